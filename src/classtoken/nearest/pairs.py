"""Every pair of rows above a similarity, exactly, block against block; and what is equal byte by byte."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.fingerprint import hash_file
from classtoken.sink import Vectors
from classtoken.values import Progress, written_path

BLOCK = 1024
ROUNDED = 1 - 2e-6
"""a cosine above this is 1: so far sums of 32 bits take those of equal vectors from it, on either side"""
MOST_PAIRS = 5_000_000
"""pairs that are held; more are no duplicates but a threshold that means nothing"""


@dataclass(frozen=True)
class Pairs:
    """Pairs with a score of `floor` or more: rows `first` and `second` (of one folder: first < second).

    `nearest` (N) is the similarity of each first row to its nearest other one.
    """

    first: np.ndarray
    second: np.ndarray
    scores: np.ndarray
    nearest: np.ndarray
    floor: float

    def above(self, score: float) -> "Pairs":
        """Those with this score or more."""
        keep = self.scores >= score
        return Pairs(self.first[keep], self.second[keep], self.scores[keep], self.nearest, score)


def near_pairs(
    rows_ND: Tensor,
    others_MD: Tensor | None,
    floor: float,
    needed: float,
    *,
    report: Callable[[Progress], object] | None = None,
) -> Pairs:
    """Every pair of rows, or of a row and one of `others`, whose cosine is `floor` or more; all at unit length.

    Where those are too many to hold, the floor is raised to `needed`. Raises `OptionError` where even those are.
    """
    count = len(rows_ND)
    nearest, found = torch.full((count,), -1.0), _Held(floor, needed)
    start = time.monotonic()
    for begin, other_begin, scores_AB in _products(rows_ND, others_MD):
        height, width = scores_AB.shape
        if float(scores_AB.max()) > ROUNDED:
            scores_AB.masked_fill_(scores_AB > ROUNDED, 1.0)
        if others_MD is None:
            if begin == other_begin:
                scores_AB.fill_diagonal_(-1)
            else:  # the other half of the table is never computed
                part = nearest[other_begin : other_begin + width]
                torch.maximum(part, scores_AB.amax(0), out=part)
        part = nearest[begin : begin + height]
        torch.maximum(part, scores_AB.amax(1), out=part)
        found.add(begin, other_begin, scores_AB, others_MD is None and begin == other_begin)
        if report is not None:
            report(Progress(begin + height, count, seconds=time.monotonic() - start, what="comparing"))
    first, second, scores = found.arrays()
    order = np.lexsort((second, first, -scores))
    return Pairs(first[order], second[order], scores[order], nearest.numpy(), found.floor)


class _Held:
    """The pairs so far."""

    def __init__(self, floor: float, needed: float):
        self.floor, self.needed = floor, needed
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.count = 0

    def add(self, begin: int, other_begin: int, scores_AB: Tensor, same: bool) -> None:
        """The pairs of one product; of a block with itself each once."""
        if float(scores_AB.max()) < self.floor:
            return
        hits = scores_AB >= self.floor
        at = (hits.triu(1) if same else hits).nonzero()
        scores = scores_AB[at[:, 0], at[:, 1]].numpy()
        self.parts.append((at[:, 0].numpy() + begin, at[:, 1].numpy() + other_begin, scores))
        self.count += len(scores)
        if self.count > MOST_PAIRS:
            self._raise_floor()

    def _raise_floor(self) -> None:
        self.floor = self.needed
        first, second, scores = self.arrays()
        keep = scores >= self.floor
        self.parts, self.count = [(first[keep], second[keep], scores[keep])], int(keep.sum())
        if self.count > MOST_PAIRS:
            raise OptionError(
                f"more than {MOST_PAIRS} pairs are as similar as {self.floor:g}: everything is alike by that measure; "
                "give a higher `above` (the percentiles of the folder's own similarities say which)."
            )

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All of them."""
        if not self.parts:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
        first, second, scores = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        return first, second, scores


def _products(rows_ND: Tensor, others_MD: Tensor | None) -> Iterator[tuple[int, int, Tensor]]:
    """Similarities of blocks: where they begin, and the numbers; of one folder each pair of blocks once."""
    others = rows_ND if others_MD is None else others_MD
    for begin in range(0, len(rows_ND), BLOCK):
        part = rows_ND[begin : begin + BLOCK]
        for other in range(begin if others_MD is None else 0, len(others), BLOCK):
            yield begin, other, part @ others[other : other + BLOCK].T


def contents(vectors: Vectors, *, paths_too: Vectors | None = None) -> list[str | None]:
    """What tells equal inputs: the text of a row, or of a folder of images a hash of its file, whatever words stand
    beside the picture; None where that is not there.

    Only files of a size that another one has too, here or in `paths_too`, are read.
    """
    found: list[str | None] = [None] * len(vectors)
    if _of_texts(vectors):
        texts = vectors.column("text") if "text" in vectors.carried else found
        return [None if text is None else f"text {text}" for text in texts]
    paths = _paths(vectors)
    sizes = Counter(
        _size(path) for path in [*paths.values(), *({} if paths_too is None else _paths(paths_too)).values()]
    )
    for row, path in paths.items():
        if (size := _size(path)) is not None and sizes[size] > 1:
            found[row] = f"file {hash_file(path)}"
    return found


def _of_texts(vectors: Vectors) -> bool:
    return vectors.manifest.fingerprint.modality == "text"


def _paths(vectors: Vectors) -> dict[int, Path]:
    """Where the pictures lie that the rows of a folder were made of. Beside a text a path may be anything."""
    paths = vectors.column("path") if not _of_texts(vectors) and "path" in vectors.carried else []
    return {row: written_path(path) for row, path in enumerate(paths) if isinstance(path, str)}


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
