"""Which rows stay and which go, given pairs that are too alike.

Rows are gone through by a rule, the best first. A row stays unless one that stays already is within the threshold of
it; then it goes, and that row is the reason. So every row that goes is within the threshold of a row that STAYS: of a
chain A~B~C in which A and C are not alike, B goes and both ends stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from classtoken.nearest.pairs import Pairs

Keep = Literal["first", "largest", "longest", "labelled"]


@dataclass(frozen=True)
class Reason:
    """Why a row goes: the row that stays, how alike they are, and whether they are equal byte by byte."""

    kept: int
    score: float
    equal: bool


@dataclass(frozen=True)
class Equals:
    """Groups of rows that are equal byte by byte: the first row of its group for every row."""

    first: np.ndarray

    @property
    def representatives(self) -> np.ndarray:
        """A row of each group, ascending."""
        return np.unique(self.first)

    def groups(self) -> dict[int, list[int]]:
        """First row -> all rows of the group, of groups of more than one."""
        found: dict[int, list[int]] = {}
        for row in np.flatnonzero(np.bincount(self.first, minlength=len(self.first))[self.first] > 1).tolist():
            found.setdefault(int(self.first[row]), []).append(row)
        return found


def equals(contents: Sequence[str | None]) -> Equals:
    """Groups of equal contents; a row without any is a group of its own."""
    seen: dict[str, int] = {}
    first = [row if content is None else seen.setdefault(content, row) for row, content in enumerate(contents)]
    return Equals(np.array(first, dtype=np.int64))


def kept_rows(pairs: Pairs, same: Equals, goodness: np.ndarray) -> dict[int, Reason]:
    """Row that goes -> why. `pairs` are those above the threshold, between representatives; `goodness` (N) is larger
    for rows that should rather stay, and of equally good ones the first does."""
    order = np.lexsort((np.arange(len(goodness)), -goodness))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    best = {int(row): int(row) for row in same.representatives}
    groups = same.groups()
    for representative, rows in groups.items():
        best[representative] = min(rows, key=lambda row: rank[row])
    alike: dict[int, list[tuple[int, float]]] = {}
    for first, second, score in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.scores.tolist(), strict=True):
        alike.setdefault(first, []).append((second, score))
        alike.setdefault(second, []).append((first, score))
    gone: dict[int, Reason] = {}
    for group in sorted(alike, key=lambda row: rank[best[row]]):
        if group not in gone:
            for other, score in alike[group]:
                if rank[best[other]] > rank[best[group]] and other not in gone:
                    gone[other] = Reason(best[group], score, equal=False)
    return _of_members(gone, groups, best)


def _of_members(
    gone: Mapping[int, Reason], groups: Mapping[int, list[int]], best: Mapping[int, int]
) -> dict[int, Reason]:
    """What holds of a representative holds of all that are equal to it; of those that stay only the best one does."""
    found = {member: reason for row, reason in gone.items() for member in groups.get(row, [row])}
    for representative, rows in groups.items():
        if representative not in gone:
            reason = Reason(best[representative], 1.0, equal=True)
            found |= {row: reason for row in rows if row != best[representative]}
    return found


def against(pairs: Pairs, same: Mapping[int, int]) -> dict[int, Reason]:
    """Row of the first folder that goes -> why: the most similar row of the second. `same` are those that are equal."""
    found: dict[int, Reason] = {row: Reason(other, 1.0, equal=True) for row, other in same.items()}
    for first, second, score in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.scores.tolist(), strict=True):
        if first not in found:  # sorted, the most similar pair first
            found[first] = Reason(second, score, equal=False)
    return found
