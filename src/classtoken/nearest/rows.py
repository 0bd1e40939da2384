"""The rows of a folder's vectors in blocks: out of its files one after another, or all in memory."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from classtoken.errors import OptionError, OutputError
from classtoken.inputs.rejecting import cores
from classtoken.sink import Vectors

Similarity = Literal["cosine", "dot"]
UNIT = 1e-5
"""how far a squared length may be from 1 for a row to count as of unit length"""
AHEAD = 2
"""files that are read ahead, for each thread"""


@dataclass(frozen=True)
class RowBlock:
    """Rows that lie next to each other: `vectors` (B, D) float32; `places` (B) says which rows they are."""

    places: Tensor
    vectors: Tensor


class Rows(Protocol):
    """What can be searched: so many rows of one size, by blocks in order, and single ones by their places."""

    @property
    def count(self) -> int: ...

    @property
    def size(self) -> int: ...

    def blocks(self, most: int) -> Iterator[RowBlock]:
        """All rows in order, at most `most` in a block where that is ours to say."""

    def take(self, places: Tensor) -> Tensor:
        """The vectors of these rows, (n, D)."""


class ResidentRows:
    """Rows that are all in memory: (N, D) float32, not copied."""

    def __init__(self, matrix: np.ndarray | Tensor):
        self.matrix = matrix if isinstance(matrix, Tensor) else torch.from_numpy(matrix)
        self.count, self.size = self.matrix.shape

    def blocks(self, most: int) -> Iterator[RowBlock]:
        """See `Rows`."""
        for begin in range(0, self.count, most):
            vectors = self.matrix[begin : begin + most]
            yield RowBlock(torch.arange(begin, begin + len(vectors)), vectors)

    def take(self, places: Tensor) -> Tensor:
        """See `Rows`."""
        return self.matrix[places]


class FileRows:
    """Rows as they lie in the files of a folder: a few files are in memory at a time, read by several threads."""

    def __init__(self, vectors: Vectors, column: str):
        self.vectors, self.column = vectors, column
        self.count, self.size = len(vectors), vectors.manifest.columns[column]

    def blocks(self, most: int) -> Iterator[RowBlock]:
        """See `Rows`; a block is of one file."""
        tables = read_ahead(self.vectors, [self.column])
        begin = 0
        for table in tables:
            for vectors in vectors_of(table, self.column, self.size):
                for start in range(0, len(vectors), most):
                    part = vectors[start : start + most]
                    yield RowBlock(torch.arange(begin + start, begin + start + len(part)), part)
                begin += len(vectors)

    def take(self, places: Tensor) -> Tensor:
        """See `Rows`: the files that hold these rows are read, the others are not."""
        found = torch.empty(len(places), self.size)
        for number, inside in by_file(self.vectors, places).items():
            table = self.vectors.part(number, [self.column])
            whole = torch.cat(list(vectors_of(table, self.column, self.size)))
            at = torch.tensor([row for _, row in inside])
            found[torch.tensor([place for place, _ in inside])] = whole[at]
        return found


class ChosenRows:
    """Some rows of others, by their places in ascending order: what a condition leaves."""

    def __init__(self, rows: Rows, chosen: np.ndarray):
        self.rows, self.chosen = rows, torch.from_numpy(np.ascontiguousarray(chosen, dtype=np.int64))
        self.count, self.size = len(chosen), rows.size

    def blocks(self, most: int) -> Iterator[RowBlock]:
        """See `Rows`; places are those of all rows."""
        if isinstance(self.rows, ResidentRows):
            for part in self.chosen.split(most):
                yield RowBlock(part, self.rows.matrix[part])
            return
        begin = 0
        for block in self.rows.blocks(most):
            end = int(torch.searchsorted(self.chosen, int(block.places[-1]) + 1))
            if end > begin:
                wanted = self.chosen[begin:end]
                yield RowBlock(wanted, block.vectors[wanted - int(block.places[0])])
            begin = end

    def take(self, places: Tensor) -> Tensor:
        """See `Rows`."""
        return self.rows.take(places)


def inverse_lengths(vectors: Tensor, similarity: Similarity) -> tuple[Tensor | None, Tensor | None]:
    """What scores of these rows are multiplied by, and which of them have none; None where there is nothing to do.

    A row has no score where a number in it is NaN or infinite, or, in cosines, where it is nothing but zeros.
    """
    squares = torch.linalg.vector_norm(vectors, dim=1).square()  # eight times as fast as vecdot
    without = ~torch.isfinite(squares) | (squares == 0 if similarity == "cosine" else False)
    missing = without if bool(without.any()) else None
    if similarity == "dot" or bool(((squares - 1).abs() < UNIT).all()):
        return None, missing
    return squares.clamp_min(torch.finfo(torch.float32).tiny).rsqrt(), missing


def unit(vectors: Tensor) -> Tensor:
    """Vectors at unit length; those of no length stay as they are."""
    return vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)


def column_of(vectors: Vectors, asked: str | None) -> str:
    """Which of a folder's vectors are meant. Raises `OptionError` where that is not clear."""
    names = tuple(vectors.manifest.columns)
    if asked is not None and asked not in names:
        raise OptionError(f"{vectors.place.name} holds no vectors '{asked}'; it has {', '.join(names)}.")
    if asked is None and len(names) > 1:
        raise OptionError(f"{vectors.place.name} holds several vectors, {', '.join(names)}; name one as `column`.")
    if not len(vectors):
        raise OutputError(f"{vectors.place.name} holds no vector at all (every record was refused); embed others.")
    return asked or names[0]


def vectors_of(table: pa.Table, column: str, size: int) -> Iterator[Tensor]:
    """The vectors of a table, a tensor per piece of it."""
    for chunk in table.column(column).chunks:
        if len(chunk):
            # Not copied: numpy's view may not be written to, which torch warns about.
            yield torch.from_dlpack(chunk.flatten()).view(len(chunk), size).float()


def read_ahead(vectors: Vectors, columns: list[str]) -> Iterator[pa.Table]:
    """These columns, a table per file in order; several threads read a bounded number of files ahead."""
    return _in_threads(lambda number: vectors.part(number, columns), len(vectors.manifest.parts))


def _in_threads(work: Callable[[int], pa.Table], count: int) -> Iterator[pa.Table]:
    threads = min(cores(), max(count, 1))
    left = iter(range(count))
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future] = deque(pool.submit(work, n) for n in islice(left, AHEAD * threads))
        try:
            while waiting:
                done = waiting.popleft().result()
                waiting.extend(pool.submit(work, n) for n in islice(left, 1))
                yield done
        finally:
            for future in waiting:
                future.cancel()


def by_file(vectors: Vectors, places: Tensor | np.ndarray) -> dict[int, list[tuple[int, int]]]:
    """Number of a file -> (index in `places`, row in that file) of what lies in it."""
    ends = np.cumsum([part.rows for part in vectors.manifest.parts])
    found: dict[int, list[tuple[int, int]]] = {}
    for index, place in enumerate(places.tolist()):
        number = int(np.searchsorted(ends, place, side="right"))
        before = int(ends[number - 1]) if number else 0
        found.setdefault(number, []).append((index, place - before))
    return found


def unit_matrix(vectors: Vectors, column: str) -> tuple[Tensor, Tensor]:
    """All rows in memory at unit length (N, D), and which of them have none: those are zeros here."""
    matrix = torch.from_numpy(vectors.matrix(column))
    lengths = torch.linalg.vector_norm(matrix, dim=1, keepdim=True)
    without = ~(torch.isfinite(lengths) & (lengths > 0))[:, 0]
    matrix /= lengths
    matrix[without] = 0
    return matrix, without
