"""What a candidate's vectors have lost, how alike candidates are, and which items stand on both sides of a split."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.contest import Entrant
from classtoken.comparison.dense import Segmentation
from classtoken.comparison.labelled import Labelled
from classtoken.comparison.task import JudgedTask
from classtoken.comparison.transform import unit_rows
from classtoken.errors import OptionError
from classtoken.fingerprint import hash_bytes, hash_file
from classtoken.measure.geometry import alignment, anisotropy, effective_rank, linear_cka, uniformity
from classtoken.results.compare import SplitOverlap, VectorShape
from classtoken.values import Record

MOST = 2000
"""vectors that are looked at, evenly taken"""
ALIKE = 12
"""candidates between which likeness is told"""
NEAR = 0.98
BLOCK = 512


def shape_of(vectors: NDArray, partners: tuple[NDArray, NDArray] | None) -> VectorShape:
    """How vectors lie: see `VectorShape`."""
    some = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), MOST)).astype(int)].astype(np.float64)
    some = some[np.linalg.norm(some, axis=1) > 0]
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    middle = float(np.median(norms))
    width = 1.4826 * float(np.median(abs(norms - middle)))
    pairs = None
    if partners is not None and len(partners[0]):
        x = unit_rows(vectors)
        pairs = alignment(x[partners[0]], x[partners[1]]) if _whole(x, partners) else None
    return VectorShape(
        effective_rank=effective_rank(some),
        anisotropy=anisotropy(some),
        uniformity=uniformity(some),
        alignment=pairs,
        norm=middle,
        norm_outliers=int((abs(norms - middle) > 4 * max(width, 1e-9 * max(middle, 1e-30))).sum()),
    )


def _whole(x: NDArray, partners: tuple[NDArray, NDArray]) -> bool:
    """Whether no partner is a vector of zeros, which has no direction."""
    return bool(all((np.linalg.norm(x[rows], axis=1) > 0).all() for rows in partners))


def likeness(entrants: Sequence[Entrant]) -> dict[str, dict[str, float]]:
    """Linear CKA (unbiased) of the first candidates that have vectors: 1 where one is a rotation of the other. Those
    whose vectors are nearly all equal are left out: it says nothing of them."""
    rows: dict[str, NDArray] = {}
    for one in entrants:
        if one.vectors is not None and len(one.vectors) >= 4 and len(rows) < ALIKE:
            x = one.vectors[np.linspace(0, len(one.vectors) - 1, min(len(one.vectors), 500)).astype(int)]
            with suppress(OptionError):
                linear_cka(x, x, unbiased=True)
                rows[one.name] = x
    return {first: {second: linear_cka(x, y, unbiased=True) for second, y in rows.items()} for first, x in rows.items()}


def overlap_of(task: JudgedTask, advised: Entrant) -> SplitOverlap | None:
    """Judged items that are equal to one that was learned from, or nearly (cosine above 0.98 of centred vectors), and
    the advised candidate's score with and without them. None where nothing is learned."""
    if not isinstance(task, Labelled) or advised.vectors is None:
        return None
    same = [content_of(record) for record in task.records]
    x = unit_rows(advised.vectors - advised.vectors.mean(0))
    equal, near, examples, place = np.zeros(len(task.items), bool), np.zeros(len(task.items), bool), [], 0
    for learned, judged in task.split.parts:
        known = {same[row] for row in learned.tolist()}
        for begin in range(0, len(judged), BLOCK):
            rows = judged[begin : begin + BLOCK]
            cosines = x[rows] @ x[learned].T
            best_of = cosines.argmax(1)
            for i, row in enumerate(rows.tolist()):
                equal[place] = same[row] in known
                near[place] = cosines[i, best_of[i]] > NEAR
                if equal[place] or near[place]:
                    examples.append((task.records[row].id, task.records[int(learned[best_of[i]])].id))
                place += 1
    values = advised.judged.values[task.metric]
    clear = ~(equal | near)
    without = float(values[clear].mean()) if clear.any() else None
    return SplitOverlap(
        equal=int(equal.sum()),
        near=int((near & ~equal).sum()),
        above=NEAR,
        checked=len(task.items),
        score=float(values.mean()),
        score_without=without,
        examples=tuple(examples[:10]),
        candidate=advised.name,
    )


def content_of(record: Record) -> str:
    """What a record holds: equal exactly when it is the same text, or the same picture byte for byte."""
    if record.text is not None:
        return record.text
    if isinstance(record.image, bytes):
        return hash_bytes(record.image)
    image = record.image
    return hash_file(image) if isinstance(image, Path) and image.is_file() else str(image)


def shapes(entrants: Sequence[Entrant], task: JudgedTask) -> Mapping[str, VectorShape]:
    """Of every candidate that has vectors which lie somehow: not where nearly all are equal, or zeros."""
    if isinstance(task, Segmentation):  # a vector here is a whole picture's patches
        return {}
    partners, found = task.partners(), {}
    for one in entrants:
        if one.vectors is not None:
            with suppress(OptionError):
                found[one.name] = shape_of(one.vectors, partners)
    return found
