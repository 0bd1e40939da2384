"""What `outliers` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from classtoken.results.base import Result, counted
from classtoken.results.lines import cell, in_a_line, names_in_a_line

SHOWN = 10
"""rows of a table"""


@dataclass(frozen=True)
class EqualRows(Result):
    """Rows that hold the same and have more than one label: of those at least one is wrong."""

    rows: tuple[Mapping[str, Any], ...]
    """each with `id`, `label` and what is carried"""

    def __str__(self) -> str:
        ids = [cell(row["id"], "id") for row in self.rows]
        names = list(dict.fromkeys(str(row["label"]) for row in self.rows if row.get("label")))
        said = names_in_a_line(names)
        return f"{', '.join(ids[:-1])} and {ids[-1]} hold the same and have {len(names)} labels: {said}"


@dataclass(frozen=True)
class OutliersResult(Result):
    """Odd rows, and labels that their neighbours contradict.

    `odd` are rows with `id`, `score` (mean similarity to the `k` nearest others), `deviations` (how far below the
    median, in robust standard deviations) and what is carried, the oddest first. `contradicted` are rows with `id`,
    `label`, `suggested`, `own` and `votes` (the neighbours' votes for either, 0 to 1) and what is carried, the most
    contradicted first; `found` is how many there are, of `labelled` rows. Rows that are equal byte by byte count and
    vote once; those of several labels vote for none, and are `disputed`.
    """

    folder: str
    column: str
    rows: int
    k: int
    """neighbours that were looked at"""
    odd: tuple[Mapping[str, Any], ...]
    """the oddest rows"""
    contradicted: tuple[Mapping[str, Any], ...]
    """rows whose label their neighbours contradict"""
    found: int
    """how many labels are contradicted"""
    labelled: int
    """rows with a label"""
    seconds: float
    notes: tuple[str, ...] = ()
    disputed: tuple[EqualRows, ...] = ()
    """rows that hold the same and have more than one label"""

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {counted(self.rows, 'row')} against their {self.k} nearest, {self.seconds:.1f} s",
        ]
        for group in self.disputed[:SHOWN]:
            lines.append(f"  {group}  {_short(group.rows[0])}".rstrip())
        if self.odd:
            lines.append("odd rows (mean similarity to those; robust standard deviations below the usual one):")
        for row in self.odd[:SHOWN]:
            lines.append(
                f"  {row['score']:.4f} ({row['deviations']:.1f} deviations)  {cell(row['id'], 'id')}  {_short(row)}"
            )
        if self.labelled:
            lines.append(
                f"labels that neighbours contradict (votes for it -> for another): {self.found} of {self.labelled}, of "
                "which many are right all the same"
            )
        for row in self.contradicted[:SHOWN]:
            said = f"{cell(row['label'], 'label')} -> {cell(row['suggested'], 'label')}"
            votes = f"{row['own']:.2f} -> {row['votes']:.2f}"
            lines.append(f"  {votes}  {said}  {cell(row['id'], 'id')}  {_short(row)}".rstrip())
        return "\n".join([*lines, *(f"  note: {in_a_line(note)}" for note in self.notes)])


def _short(row: Mapping[str, Any]) -> str:
    path = str(row.get("path") or "")
    return cell(row.get("text"), "text") or ("" if path.endswith(str(row["id"])) else cell(path, "path"))
