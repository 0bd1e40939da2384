"""What `duplicates` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass

from classtoken.results.base import Result, counted

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
SHOWN = 10
"""pairs of a table"""


@dataclass(frozen=True)
class DuplicatePair:
    """Two rows that are alike: their ids, the cosine of their vectors, and whether they are equal byte by byte."""

    id: str
    other: str
    """id of the other row"""
    score: float
    """cosine of their vectors"""
    equal: bool = False
    """whether they are equal byte by byte"""


@dataclass(frozen=True)
class RemovedRow:
    """Why a row is removed: the row that is kept, how alike they are, and whether they are equal byte by byte."""

    kept: str
    """id of the row that is kept instead"""
    score: float
    """cosine of their vectors"""
    equal: bool
    """whether they are equal byte by byte"""


@dataclass(frozen=True)
class DuplicatesResult(Result):
    """Pairs of rows that are alike, and which rows would go; nothing was deleted.

    `pairs` are those with a score of `above` or more: of rows that are equal byte by byte each with the first of them,
    and near ones between rows that are no equals of an earlier one. `near_misses` lie just below. `kept` and `removed`
    are ids; `because` says of each removed row which KEPT one it is alike to, and how much. With `against`, `other` and
    `because` name rows of that folder, and `removed` are rows of this one.

    `nearest` are percentiles of the similarity of each row to its nearest other one, and `percentile` the share of rows
    for which that is below `above`: thresholds do not carry over from one model to another, percentiles do better.
    `reused` says that pairs found earlier were used.
    """

    folder: str
    against: str | None
    """the other folder"""
    column: str
    above: float
    """cosine from which on two rows are alike"""
    keep: str
    """the rule for which of them is kept"""
    rows: int
    pairs: tuple[DuplicatePair, ...]
    """rows that are alike"""
    kept: tuple[str, ...]
    """ids that stay"""
    removed: tuple[str, ...]
    """ids that would go"""
    because: Mapping[str, RemovedRow]
    """removed id -> why"""
    near_misses: tuple[DuplicatePair, ...]
    """pairs just below the threshold"""
    nearest: Mapping[str, float]
    """percentile -> cosine of a row to its nearest other one"""
    percentile: float
    """share of rows for which that is below `above`"""
    reused: bool
    """whether the pairs were there from an earlier run"""
    seconds: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        equal = sum(pair.equal for pair in self.pairs)
        count = counted(len(self.pairs), "pair")
        where = "" if self.against is None else f" between it and {self.against}"
        lines = [
            f"{self.folder}: {count}{where} at {self.above:g} or more ({equal} equal byte by byte), "
            f"{self.seconds:.1f} s{', from pairs found before' if self.reused else ''}",
            f"  {len(self.removed)} of {counted(self.rows, 'row')} would go, {len(self.kept)} would stay (keep: "
            f"{self.keep}); nothing "
            "was deleted",
        ]
        if self.nearest:
            shown = ", ".join(f"{name} % {value:.3f}" for name, value in self.nearest.items())
            share = f"{self.above:g} is above the nearest similarity of {self.percentile:.1%} of the rows"
            lines.append(f"  {share}; percentiles: {shown}")
        lines += [f"  {'equal ' if p.equal else f'{p.score:.4f}'}  {p.id}  {p.other}" for p in self.pairs[:SHOWN]]
        if len(self.pairs) > SHOWN:
            lines.append(f"  ... and {len(self.pairs) - SHOWN} more")
        if self.near_misses:
            first = self.near_misses[0]
            lines.append(f"  just below: {first.score:.4f}  {first.id}  {first.other}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
