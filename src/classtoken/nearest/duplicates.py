"""What is alike in a folder, or between two, and which rows would go."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from classtoken.inputs.thumbnail import picture_size
from classtoken.nearest.keeping import Keep, Reason, against, equals, kept_rows
from classtoken.nearest.pair_table import BELOW, PairTable, pair_table
from classtoken.nearest.pairs import contents
from classtoken.sink import Vectors
from classtoken.values import Progress, written_path

Alike = tuple[int, int, float, bool]
"""two rows, how alike, and whether they are equal byte by byte"""


@dataclass(frozen=True)
class Duplicates:
    """Pairs at the threshold and above, those just below, and the rows that go with the reason."""

    pairs: list[Alike]
    below: list[Alike]
    gone: Mapping[int, Reason]
    table: PairTable


def duplicates_in(
    vectors: Vectors, column: str, above: float, keep: Keep, *, report: Callable[[Progress], object] | None = None
) -> Duplicates:
    """Within one folder: equal rows first, then near ones among one row of each group of equals."""
    same = equals(contents(vectors))
    table = pair_table(vectors, column, same, above, None, report=report)
    equal = [(rows[0], row, 1.0, True) for rows in same.groups().values() for row in rows[1:]]
    gone = kept_rows(table.pairs.above(above), same, goodness_of(vectors, keep))
    return Duplicates(equal + _near(table, above), _below(table, above), gone, table)


def duplicates_between(
    vectors: Vectors,
    column: str,
    above: float,
    other: tuple[Vectors, str],
    *,
    report: Callable[[Progress], object] | None = None,
) -> Duplicates:
    """Between two folders: rows of the first that are in the second too, or nearly."""
    theirs = list(enumerate(contents(other[0], paths_too=vectors)))
    first = {content: row for row, content in reversed(theirs) if content is not None}
    own = enumerate(contents(vectors, paths_too=other[0]))
    equal = {row: first[content] for row, content in own if content in first}
    table = pair_table(vectors, column, equals([None] * len(vectors)), above, other, report=report)
    gone = against(table.pairs.above(above), equal)
    near = [pair for pair in _near(table, above) if equal.get(pair[0]) != pair[1]]
    return Duplicates([(a, b, 1.0, True) for a, b in equal.items()] + near, _below(table, above), gone, table)


def goodness_of(vectors: Vectors, keep: Keep) -> np.ndarray:
    """(N,) larger for rows that should rather stay: those with a label, the longest texts, the largest pictures."""
    if keep == "labelled":
        return np.array([label is not None and label != "" for label in vectors.labels()], dtype=np.float64)
    name, size = {"longest": ("text", _length), "largest": ("path", _pixels)}.get(keep, ("", _length))
    values: list[Any] = vectors.column(name) if name in vectors.carried else [None] * len(vectors)
    return np.array([size(value) for value in values], dtype=np.float64)


def _length(text: str | None) -> int:
    return 0 if text is None else len(text)


def _pixels(path: Any) -> int:
    height, width = (0, 0) if not isinstance(path, str) else picture_size(written_path(path))
    return height * width


def _near(table: PairTable, above: float) -> list[Alike]:
    chosen = table.pairs.above(above)
    found = zip(chosen.first.tolist(), chosen.second.tolist(), chosen.scores.tolist(), strict=True)
    return [(a, b, score, False) for a, b, score in found]


def _below(table: PairTable, above: float) -> list[Alike]:
    """Pairs just below the threshold, the nearest to it first, as many whatever was kept; they are sorted by score."""
    pairs = table.pairs
    begin = int((pairs.scores >= above).sum())
    rest = slice(begin, int((pairs.scores >= above - BELOW).sum()))
    found = zip(pairs.first[rest].tolist(), pairs.second[rest].tolist(), pairs.scores[rest].tolist(), strict=True)
    return [(a, b, score, False) for a, b, score in found]
