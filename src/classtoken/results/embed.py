"""What `embed` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from classtoken.results.base import Result
from classtoken.values import Rejected, Task


@dataclass(frozen=True)
class EmbedResult(Result):
    """A finished run. `columns` are the vectors' columns with their sizes; `before` records were done by earlier runs.

    `refused` counts the records without a vector and `examples` are the first of them; `cut` counts texts that were
    longer than the model takes. `new`, `changed` and `gone` count records by id against what was there before;
    `computed` are those whose vectors were not there under any id.

    Where only some `tasks` of the work were done, `complete` is false, and the counts are of all that are done so far.
    `seconds` and `rate` (records a second) are of this run, reading and writing included.
    """

    out: str
    model: str
    source: str
    modality: str
    columns: Mapping[str, int]
    total: int
    rows: int
    refused: int
    cut: int
    before: int
    parts: int
    seconds: float
    rate: float
    examples: tuple[Rejected, ...]
    notes: tuple[str, ...]
    new: int = 0
    changed: int = 0
    gone: int = 0
    computed: int = 0
    complete: bool = True
    tasks: int = 0

    def __str__(self) -> str:
        columns = ", ".join(f"{name} ({size})" for name, size in self.columns.items())
        lines = [f"{self.rows} vectors in {self.parts} file{'s' * (self.parts != 1)} in {self.out}: {columns}"]
        if not self.complete:
            lines[0] = f"{self.parts} of {self.tasks} tasks are done in {self.out}, {self.rows} vectors: {columns}"
            close = "run the others, then close with --finish" if self.parts < self.tasks else "close with --finish"
            return "\n".join([*lines, f"  {close}"])
        if self.changed or self.gone or self.new + self.before not in (0, self.total):
            counts = f"{self.new} records new, {self.changed} changed, {self.gone} gone"
            lines.append(f"  {counts}; {self.computed} had to be computed")
        if self.before:
            lines.append(f"  {self.before} of {self.total} records were done before")
        if self.total > self.before:
            lines.append(f"  {self.total - self.before} records in {self.seconds:.1f} s, {self.rate:.1f} a second")
        if self.cut:
            lines.append(f"  {self.cut} texts were longer than the model takes and were cut")
        if self.refused:
            lines.append(f"  {self.refused} refused, see {self.out}/_meta/quarantine.parquet:")
            lines += [f"    {entry.id}: {entry.reason}" for entry in self.examples]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


@dataclass(frozen=True)
class EmbedPlan(Result):
    """What a run would do, resolved: which tasks, of which records of which file, and what decides the numbers.

    `plan` is the hash of the work; two runs share tasks exactly when it is the same. `done` are the tasks that have
    been done.
    """

    model: str
    source: str
    kind: str
    out: str
    modality: str
    columns: Mapping[str, int]
    carried: tuple[str, ...]
    fingerprint: Mapping[str, Any]
    plan: str
    total: int
    tasks: tuple[Task, ...]
    done: tuple[int, ...]

    def __str__(self) -> str:
        return self.to_json()
