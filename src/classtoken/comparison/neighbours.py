"""Items with their nearest neighbours under several candidates, right and wrong, as a person can look at them."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classtoken.comparison.classification import Classification
from classtoken.comparison.contest import Entrant
from classtoken.comparison.retrieval import RetrievalByClass
from classtoken.comparison.task import JudgedTask
from classtoken.comparison.transform import unit_rows
from classtoken.errors import ClasstokenError
from classtoken.results.compare import ConfusionTable, Neighbour, NeighbourRow
from classtoken.tokens.decode import decode
from classtoken.values import Record

ROWS, NEIGHBOURS, CANDIDATES, SIDE = 9, 4, 3, 72
MOST_CLASSES = 30
TEXT = 90


def neighbours_of(entrants: Sequence[Entrant], task: JudgedTask) -> tuple[NeighbourRow, ...]:
    """Items whose neighbours are right under one candidate and wrong under another, as many of each kind as there are;
    of the first candidates in the order, for tasks with one label an item."""
    some = [one for one in entrants if one.vectors is not None and one.role == "candidate"][:CANDIDATES]
    if not some or not isinstance(task, Classification | RetrievalByClass):
        return ()
    labels = [str(record.label) for record in task.records]
    numbers = np.unique(labels, return_inverse=True)[1]
    near = [_nearest(one.vectors) for one in some if one.vectors is not None]
    right = np.stack([(numbers[rows] == numbers[:, None]).mean(1) for rows, _ in near])
    rows = []
    for item in _chosen(right):
        found = {}
        for one, (places, cosines) in zip(some, near, strict=True):
            found[one.name] = tuple(
                _neighbour(task.records[p], labels[p] == labels[item], float(c))
                for p, c in zip(places[item].tolist(), cosines[item].tolist(), strict=True)
            )
        rows.append(NeighbourRow(_neighbour(task.records[item], True, 1.0), found))
    return tuple(rows)


def _nearest(vectors: NDArray) -> tuple[NDArray, NDArray]:
    x, rows, cosines = unit_rows(vectors), [], []
    for begin in range(0, len(x), 512):
        block = x[begin : begin + 512] @ x.T
        block[np.arange(len(block)), begin + np.arange(len(block))] = -2
        best = np.argsort(-block, axis=1, kind="stable")[:, :NEIGHBOURS]
        rows.append(best)
        cosines.append(np.take_along_axis(block, best, 1))
    return np.concatenate(rows), np.concatenate(cosines)


def _chosen(right: NDArray) -> list[int]:
    """Items on which the first candidate does better than the last, worse, and on which all do badly; evenly."""
    gap = right[0] - right[-1]
    kinds = [np.argsort(-gap, kind="stable"), np.argsort(gap, kind="stable"), np.argsort(right.sum(0), kind="stable")]
    chosen: list[int] = []
    for kind in kinds:
        chosen += [int(row) for row in kind if int(row) not in chosen][: ROWS // len(kinds)]
    return chosen


def _neighbour(record: Record, right: bool, cosine: float) -> Neighbour:
    text = None if record.text is None else record.text[:TEXT] + ("..." if len(record.text) > TEXT else "")
    return Neighbour(record.id, str(record.label), right, cosine, _thumbnail(record), text)


def _thumbnail(record: Record) -> str | None:
    """A small JPEG as a data URI; None where there is no picture."""
    if record.image is None:
        return None
    try:
        picture = decode(record.image)
    except ClasstokenError:
        return None
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=72)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def confusion_of(best: Entrant, task: JudgedTask) -> ConfusionTable | None:
    """Which class was given for which, by the best candidate; None for other tasks, and for very many classes."""
    if not isinstance(task, Classification) or best.judged.predicted is None or len(task.labels) > MOST_CLASSES:
        return None
    counts = np.zeros((len(task.labels), len(task.labels)), dtype=int)
    np.add.at(counts, (task.truth, best.judged.predicted), 1)
    return ConfusionTable(best.name, task.labels, tuple(tuple(map(int, row)) for row in counts))
