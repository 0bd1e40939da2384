"""What `outliers` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from classtoken.results.base import Result, counted

SHOWN = 10
"""rows of a table"""


@dataclass(frozen=True)
class OutliersResult(Result):
    """Odd rows, and labels that their neighbours contradict.

    `odd` are rows with `id`, `score` (mean similarity to the `k` nearest others), `deviations` (how far below the
    median, in robust standard deviations) and what is carried, the oddest first. `contradicted` are rows with `id`,
    `label`, `suggested`, `own` and `votes` (the neighbours' votes for either, 0 to 1) and what is carried, the most
    contradicted first; `found` is how many there are, of `labelled` rows.
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

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {counted(self.rows, 'row')} against their {self.k} nearest, {self.seconds:.1f} s",
        ]
        if self.odd:
            lines.append("odd rows (similarity to those):")
        for row in self.odd[:SHOWN]:
            lines.append(f"  {row['score']:.4f} ({row['deviations']:.1f} deviations)  {row['id']}  {_short(row)}")
        if self.labelled:
            lines.append(
                f"labels that neighbours contradict: {self.found} of {self.labelled} (votes for it -> for another)"
            )
        for row in self.contradicted[:SHOWN]:
            said = f"{row['label']} -> {row['suggested']}"
            lines.append(f"  {row['own']:.2f} -> {row['votes']:.2f}  {said}  {row['id']}  {_short(row)}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _short(row: Mapping[str, Any]) -> str:
    text = " ".join(str(row.get("text", "")).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
