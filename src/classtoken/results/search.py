"""What `search` gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classtoken.results.base import Result, counted
from classtoken.results.lines import aligned, cell, in_a_line

LAST = ("text", "path")
"""long values stand last in a row"""


@dataclass(frozen=True)
class QueryHits:
    """One query of several: its name (its text, the path of its picture, its id) and what was found."""

    query: str
    """its text, picture or id"""
    hits: tuple[Mapping[str, Any], ...]
    """what was found, the best first"""


@dataclass(frozen=True)
class SearchResult(Result):
    """The rows of a folder that are most like one query (`hits`) or each of several (`queries`), the best first.

    A hit has `id`, `score` and what is carried beside its vector under its own name (`score_source` for a column
    `score`). `searched` rows were looked at of `rows`: those that `where` leaves. `prompt` is what stood before a query
    that is a text, by name or in words. `exact` is False where an approximate index answered, whose recall is `recall`.
    """

    folder: str
    column: str
    similarity: str
    """what `score` is"""
    rows: int
    searched: int
    """rows that were looked at"""
    k: int
    """hits that were asked for"""
    above: float | None
    """lowest score that was asked for"""
    where: str | None
    """condition on the rows"""
    model: str | None
    prompt: str | None
    """what stood before a text"""
    exact: bool
    """whether every row was compared"""
    recall: float | None
    """of the index that answered"""
    seconds: float
    hits: tuple[Mapping[str, Any], ...] = ()
    """what was found for one query, the best first"""
    queries: tuple[QueryHits, ...] = ()
    """what was found for each of several"""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [] if self.queries else hit_lines(self.hits)
        for query in self.queries:
            lines += [f"'{in_a_line(query.query)}'", *(f"  {line}" for line in hit_lines(query.hits)), ""]
        lines.append(f"{self.said()}, {self.seconds:.2f} s")
        return "\n".join([*lines, *(f"  note: {in_a_line(note)}" for note in self.notes)])

    def said(self) -> str:
        """What was searched, in words."""
        of = f" of {self.rows}" if self.searched != self.rows else ""
        how = "exact" if self.exact else f"by the index (recall {self.recall:.3f})"
        many = f"{self.searched}{of} vectors" if of else counted(self.searched, "vector")
        return f"{many} '{self.column}' in {self.folder} by {self.similarity}, {how}"


def hit_lines(hits: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hits as a table of plain text."""
    if not hits:
        return ["nothing found"]
    names = ordered(hits)
    return aligned([names, *([cell(hit.get(name), name) for name in names] for hit in hits)])


def ordered(hits: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of what hits have: score and id, short values, long ones."""
    names = dict.fromkeys(name for hit in hits for name in hit)
    first = [name for name in ("score", "id") if name in names]
    last = [name for name in LAST if name in names]
    return [*first, *(name for name in names if name not in (*first, *last)), *last]
