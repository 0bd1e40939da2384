"""The rows of a folder's vectors in blocks: out of its files one after another, or all in memory."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from classtoken.errors import OptionError, OutputError
from classtoken.inputs.rejecting import cores
from classtoken.results.base import counted
from classtoken.sink import Vectors

Similarity = Literal["cosine", "dot"]
T = TypeVar("T")
UNIT = 1e-5
"""how far a squared length may be from 1 for a row to count as of unit length"""
LEAST, MOST = 1e-30, 1e30
"""lengths between which the direction of a vector can be told in 32-bit numbers"""
EASY = 1e15
"""lengths up to it, and down to its inverse, have squares that 32-bit numbers hold"""
AHEAD = 2
"""files that are read ahead, for each thread"""


NAMED = 5
"""rows that are named where they lack something"""


@dataclass(frozen=True)
class Lengths:
    """What scores of rows are multiplied by (`inverse`), and which rows have no score (`without`, `missing` of them);
    None where there is nothing to do.

    A row has no score where a number in it is NaN or infinite, or, in cosines, where it is nothing but zeros; lengths
    beyond `LEAST` and `MOST` count as these.
    """

    inverse: Tensor | None
    without: Tensor | None
    missing: int = 0

    @classmethod
    def of(cls, vectors: Tensor, similarity: Similarity) -> "Lengths":
        """Those of these rows."""
        lengths = lengths_of(vectors)
        without = ~(has_direction(lengths) if similarity == "cosine" else lengths <= MOST)
        missing = int(without.sum())
        which = without if missing else None
        if similarity == "dot" or bool((((lengths.square() - 1).abs() < UNIT) | without).all()):
            return cls(None, which, missing)
        return cls(lengths.reciprocal(), which, missing)

    def __getitem__(self, part: slice) -> "Lengths":
        without = None if self.without is None else self.without[part]
        missing = 0 if without is None else int(without.sum())
        return Lengths(None if self.inverse is None else self.inverse[part], without if missing else None, missing)


@dataclass(frozen=True)
class RowBlock:
    """Rows that lie next to each other: `vectors` (B, D) float32; `places` (B) says which rows they are; `lengths`
    where they are known already."""

    places: Tensor
    vectors: Tensor
    lengths: Lengths | None = None


class Rows(Protocol):
    """What can be searched: so many rows of one size, by blocks in order, and single ones by their places."""

    @property
    def count(self) -> int: ...

    @property
    def size(self) -> int: ...

    def blocks(self, most: int, similarity: Similarity = "cosine") -> Iterator[RowBlock]:
        """All rows in order, at most `most` in a block where that is ours to say; lengths are for this similarity."""

    def take(self, places: Tensor) -> Tensor:
        """The vectors of these rows, (n, D)."""


class ResidentRows:
    """Rows that are all in memory: (N, D) float32, not copied and not changed from now on."""

    def __init__(self, matrix: np.ndarray | Tensor):
        self.matrix = matrix if isinstance(matrix, Tensor) else torch.from_numpy(matrix)
        self.count, self.size = self.matrix.shape
        self._lengths: dict[Similarity, Lengths] = {}

    def lengths(self, similarity: Similarity) -> Lengths:
        """The lengths of all rows, worked out once: reading every row for them would take as long as a query does."""
        if similarity not in self._lengths:
            self._lengths[similarity] = Lengths.of(self.matrix, similarity)
        return self._lengths[similarity]

    def blocks(self, most: int, similarity: Similarity = "cosine") -> Iterator[RowBlock]:
        """See `Rows`."""
        lengths = self.lengths(similarity)
        for begin in range(0, self.count, most):
            vectors = self.matrix[begin : begin + most]
            yield RowBlock(torch.arange(begin, begin + len(vectors)), vectors, lengths[begin : begin + most])

    def take(self, places: Tensor) -> Tensor:
        """See `Rows`."""
        return self.matrix[places]


class FileRows:
    """Rows as they lie in the files of a folder: a few files are in memory at a time, read by several threads."""

    def __init__(self, vectors: Vectors, column: str):
        self.vectors, self.column = vectors, column
        self.count, self.size = len(vectors), vectors.manifest.columns[column]

    def blocks(self, most: int, similarity: Similarity = "cosine") -> Iterator[RowBlock]:
        """See `Rows`; a block is of one file."""
        begin = 0
        for numbers in _in_threads(self._numbers, len(self.vectors.manifest.parts)):
            for start in range(0, len(numbers), most):
                part = numbers[start : start + most]
                yield RowBlock(torch.arange(begin + start, begin + start + len(part)), part)
            begin += len(numbers)

    def _numbers(self, number: int) -> Tensor:
        numbers = self.vectors.numbers(number, self.column)
        return torch.from_numpy(numbers if numbers.flags.writeable else numbers.copy())

    def take(self, places: Tensor) -> Tensor:
        """See `Rows`: the files that hold these rows are read, the others are not."""
        found = torch.empty(len(places), self.size)
        for number, inside in by_file(self.vectors, places).items():
            whole = self._numbers(number)
            at = torch.tensor([row for _, row in inside])
            found[torch.tensor([place for place, _ in inside])] = whole[at]
        return found


class ChosenRows:
    """Some rows of others, by their places in ascending order: what a condition leaves."""

    def __init__(self, rows: Rows, chosen: np.ndarray):
        self.rows, self.chosen = rows, torch.from_numpy(np.ascontiguousarray(chosen, dtype=np.int64))
        self.count, self.size = len(chosen), rows.size

    def blocks(self, most: int, similarity: Similarity = "cosine") -> Iterator[RowBlock]:
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


def lengths_of(vectors: Tensor) -> Tensor:
    """The length of each row, (N,), also where squares of its numbers are beyond what 32 bits hold."""
    lengths = torch.linalg.vector_norm(vectors, dim=1)  # eight times as fast as vecdot
    odd = ~((lengths > 1 / EASY) & (lengths < EASY))
    if bool(odd.any()):
        lengths[odd] = torch.linalg.vector_norm(vectors[odd].double(), dim=1).to(lengths.dtype)
    return lengths


def has_direction(lengths: Tensor) -> Tensor:
    """Which rows of these lengths can be compared by cosine."""
    return (lengths >= LEAST) & (lengths <= MOST)


def unit(vectors: Tensor) -> Tensor:
    """Vectors at unit length; those of no length stay as they are."""
    lengths = lengths_of(vectors)
    return vectors / torch.where(has_direction(lengths), lengths, 1).unsqueeze(1)


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


def read_ahead(vectors: Vectors, columns: list[str]) -> Iterator[pa.Table]:
    """These columns, a table per file in order; several threads read a bounded number of files ahead."""
    return _in_threads(lambda number: vectors.part(number, columns), len(vectors.manifest.parts))


def _in_threads(work: Callable[[int], T], count: int) -> Iterator[T]:
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


def by_file(vectors: Vectors, places: Tensor | np.ndarray | Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Number of a file -> (index in `places`, row in that file) of what lies in it."""
    ends = np.cumsum([part.rows for part in vectors.manifest.parts])
    found: dict[int, list[tuple[int, int]]] = {}
    for index, place in enumerate(np.asarray(places).tolist()):
        number = int(np.searchsorted(ends, place, side="right"))
        before = int(ends[number - 1]) if number else 0
        found.setdefault(number, []).append((index, place - before))
    return found


def without_in_words(vectors: Vectors, column: str, count: int, lacks: str, *, whole: bool = True) -> tuple[str, ...]:
    """That `count` rows have no direction, and, where they are of the whole folder, the ids of the first ones; nothing
    where there are none."""
    if not count:
        return ()
    named: list[str] = []
    begin, ids = 0, vectors.ids
    for block in vectors.blocks(column) if whole else ():
        there = has_direction(lengths_of(torch.from_numpy(np.array(block))))
        named += [ids[begin + row] for row in (~there).nonzero()[:, 0].tolist()]
        begin += len(block)
        if len(named) >= NAMED:
            break
    shown = f" ({', '.join(named[:NAMED])}{' ...' if count > NAMED else ''})" if named else ""
    return (f"{counted(count, 'row')} without {lacks}: numbers in them are not finite, or all are zero{shown}",)


def unit_matrix(vectors: Vectors, column: str) -> tuple[Tensor, Tensor]:
    """All rows in memory at unit length (N, D), and which of them have none: those are zeros here."""
    matrix = torch.from_numpy(vectors.matrix(column))
    lengths = lengths_of(matrix)
    without = ~has_direction(lengths)
    matrix /= lengths.unsqueeze(1)
    matrix[without] = 0
    return matrix, without
