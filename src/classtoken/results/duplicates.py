"""What `duplicates` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from classtoken.results.base import Result, counted
from classtoken.results.lines import cell, columns_of, in_a_line, padded

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
    label: str | None = None
    """label of the row"""
    other_label: str | None = None
    """label of the other row"""

    @property
    def disputed(self) -> bool:
        """Whether the two are equal and have two labels, of which one is wrong."""
        return self.equal and None not in (self.label, self.other_label) and self.label != self.other_label


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
    texts: Mapping[str, str] = field(default_factory=dict)
    """of the rows that `str` shows their texts, or where their pictures are, by id"""
    other_texts: Mapping[str, str] = field(default_factory=dict)
    """the same of the other folder's rows"""

    @property
    def shown(self) -> tuple[DuplicatePair, ...]:
        """The pairs that `str` shows: the first ones, and the nearest to them below the threshold. Within one folder
        those of a row that stays and one that goes for it, row by row that stays: whatever goes is among them."""
        of_kept: dict[str, list[DuplicatePair]] = {}
        for pair in self.pairs:
            kept = self._kept(pair)
            if kept is not None:
                of_kept.setdefault(kept, []).append(pair)
        pairs = [pair for some in of_kept.values() for pair in some] or self.pairs
        return (*pairs[:SHOWN], *self.near_misses[:1])

    def _kept(self, pair: DuplicatePair) -> str | None:
        """The row of a pair within one folder that stays, if the other one goes for it."""
        for one, other in ((pair.id, pair.other), (pair.other, pair.id)):
            if self.against is None and one in self.because and self.because[one].kept == other:
                return other
        return None

    def fate(self, identity: str, *, other: bool = False) -> str:
        """What becomes of a row, and in whose favour: `stays`, `goes`, `goes for ID`."""
        if other and self.against is not None:
            return "stays"
        return f"goes for {self.because[identity].kept}" if identity in self.because else "stays"

    def _lines(self, pair: DuplicatePair, before: str | None = None) -> list[str]:
        """A pair, a line a row, first what stays; that is left out where it stayed in the pair before, too."""
        theirs = self.texts if self.against is None else self.other_texts
        sides = [(pair.id, pair.label, self.texts, False), (pair.other, pair.other_label, theirs, True)]
        if self._kept(pair) == pair.other:
            sides.reverse()
        wide = max(columns_of(cell(identity, "id")) for identity, *_ in sides)
        score, found = "equal " if pair.equal else f"{pair.score:.4f}", []
        for number, (identity, label, texts, other) in enumerate(sides):
            fate = self.fate(identity, other=other)
            fate = "goes" if fate == f"goes for {sides[1 - number][0]}" else cell(fate, "id")  # for the row beside it
            said = "  ".join(filter(None, (label and cell(label, "label"), in_a_line(texts.get(identity, "")))))
            name = cell(identity, "id")
            found.append(f"  {score if not number else '':6s}  {fate:5s}  {padded(name, wide)}  {said}".rstrip())
        if before is not None and before == self._kept(pair):
            return [f"  {score:6s}{found[1][8:]}"]
        return found

    def __str__(self) -> str:
        equal = sum(pair.equal for pair in self.pairs)
        count = counted(len(self.pairs), "pair")
        where = "" if self.against is None else f" between it and {self.against}"
        lines = [
            f"{self.folder}: {count}{where} at {self.above:g} or more ({equal} equal byte by byte), "
            f"{self.seconds:.1f} s{', from pairs found before' if self.reused else ''}",
            f"  {len(self.removed)} of {counted(self.rows, 'row')} would go, {len(self.kept)} would stay (keep: "
            f"{self.keep}); nothing was deleted",
        ]
        if self.nearest:
            lines.append(
                f"  {self.percentile:.1%} of the rows have no other one at {self.above:g} or more; half of them have "
                f"one at {self.nearest['50']:.3f} or more"
            )
        disputed = sum(pair.disputed for pair in self.pairs)
        if disputed:
            have = "has two labels" if disputed == 1 else "have two labels each"
            lines.append(f"  {counted(disputed, 'equal pair')} {have}, of which one is wrong")
        before = None
        shown = self.shown[: len(self.shown) - bool(self.near_misses)]
        for pair in shown:
            lines += self._lines(pair, before)
            before = self._kept(pair)
        if len(self.pairs) > len(shown):
            lines.append(f"  ... and {counted(len(self.pairs) - len(shown), 'pair')} more")
        if self.near_misses:
            lines += ["  just below:", *self._lines(self.near_misses[0])]
        return "\n".join([*lines, *(f"  note: {in_a_line(note)}" for note in self.notes)])
