"""What `embed` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from classtoken.results.base import Result, counted, listed
from classtoken.results.lines import in_a_line
from classtoken.values import Rejected, Task


@dataclass(frozen=True)
class Sampled:
    """What a lower precision, shorter vectors or smaller numbers keep: measured on some of the user's own records
    before the run.

    Of the ten nearest neighbours by whole float32 vectors that were computed in fp32, the share that is found: `recall`
    by what is stored, `first` by the first numbers alone, `random` by as many at random; None where nothing was cut.
    `cosine` and `lowest` are the mean and the smallest cosine of what is stored to those vectors; None where it was
    cut. `block` is the one that costs most, counted from 0, where `lowest` is below what the precision should give.
    """

    records: int
    """how many were measured"""
    recall: float
    """neighbours that what is stored finds"""
    first: float | None = None
    """neighbours that the first numbers alone find"""
    random: float | None = None
    """neighbours that as many random numbers find"""
    cosine: float | None = None
    """mean cosine of what is stored to float32 vectors"""
    lowest: float | None = None
    """the smallest of these cosines"""
    block: int | None = None
    """the block that costs most, where too much is lost"""

    def lines(self, name: str) -> list[str]:
        """What a person reads of the column `name`."""
        if self.records < 2:
            return [f"  {name}: what this costs cannot be measured on {counted(self.records, 'record')}"]
        found = [
            f"  {name}: of the 10 nearest neighbours {self.recall:.1%} are kept, on {counted(self.records, 'record')}"
        ]
        if self.cosine is not None and self.lowest is not None:
            found.append(f"    cosine to fp32 {self.cosine:.5f}, at least {self.lowest:.5f}")
        if self.block is not None:
            found.append(f"    less than this precision should give; most is lost in block {self.block}")
        if self.first is not None and self.random is not None:
            found.append(f"    by the first numbers {self.first:.1%}, by as many at random {self.random:.1%}")
        return found


@dataclass(frozen=True)
class CutText(Result):
    """A text that was longer than the model takes."""

    id: str
    tokens: int | None = None
    """of the whole text; None where that was not counted"""
    read: int | None = None
    """tokens that the model takes"""

    def __str__(self) -> str:
        if self.tokens is None or self.read is None:
            return in_a_line(self.id)
        return f"{in_a_line(self.id)} ({counted(self.tokens, 'token')}, {self.tokens - self.read} of them left out)"


@dataclass(frozen=True)
class EmbedResult(Result):
    """A finished run. `columns` are the vectors' columns with their sizes; `before` records were done by earlier runs.

    `refused` counts the records without a vector and `examples` are the first of them; `cut` counts texts that were
    longer than the model takes. `new`, `changed` and `gone` count records by id against what was there before;
    `computed` are those whose vectors were not there under any id.

    Where only some `tasks` of the work were done, `complete` is false, and the counts are of all that are done so far.
    `store` is in which numbers vectors are stored, `clipped` the share of numbers outside of the ranges of bytes, and
    `sampled` what was kept, by column. `files` are written beside the parts, in another format.

    `extra` counts rows beyond one for each record: texts that were cut into chunks; `tokens` is the size of the states
    of all tokens that are kept beside the vectors, 0 where they are not.

    `seconds` and `rate` (records a second) are of this run, reading and writing included, and so is `token_rate`
    (tokens a second).
    """

    out: str
    model: str
    source: str
    """name of the data"""
    modality: str
    columns: Mapping[str, int]
    """column of vectors -> its size"""
    total: int
    """records of the source"""
    rows: int
    """records with a vector"""
    refused: int
    """records without a vector"""
    cut: int
    """texts that were longer than the model takes"""
    before: int
    """records that earlier runs had done"""
    parts: int
    """files of vectors"""
    seconds: float
    rate: float
    """records a second"""
    examples: tuple[Rejected, ...]
    notes: tuple[str, ...]
    new: int = 0
    """records that were not there before"""
    changed: int = 0
    """records that hold something else than before"""
    gone: int = 0
    """records that are no longer there"""
    computed: int = 0
    """records whose vectors were computed now"""
    complete: bool = True
    """whether all tasks are done"""
    tasks: int = 0
    """tasks of the whole work"""
    store: str = "fp32"
    """in which numbers vectors are stored"""
    clipped: float = 0.0
    """share of numbers outside of the range of bytes"""
    sampled: Mapping[str, Sampled] = field(default_factory=dict)
    """what was kept by shorter vectors or smaller numbers, by column"""
    files: tuple[str, ...] = ()
    """written beside the parts"""
    extra: int = 0
    """rows beyond one for each record"""
    unit: str = "record"
    """what `new`, `changed`, `gone` and `computed` count: a record, or a chunk of one"""
    tokens: int = 0
    """size of the states of all tokens, where they are kept"""
    token_rate: float = 0.0
    """tokens a second"""
    cut_texts: tuple[CutText, ...] = ()
    """the first of those that were cut"""

    def __str__(self) -> str:
        columns = ", ".join(f"{name} ({size})" for name, size in self.columns.items())
        rows, parts = counted(self.rows, "vector"), counted(self.parts, "file")
        lines = [f"{rows} in {parts} in {self.out}: {columns}"]
        if not self.complete:
            lines[0] = (
                f"{self.parts} of {counted(self.tasks, 'task')} done in {self.out}, "
                f"{counted(self.rows, 'vector')}: {columns}"
            )
            close = "run the others, then close with --finish" if self.parts < self.tasks else "close with --finish"
            return "\n".join([*lines, f"  {close}"])
        if self.changed or self.gone or self.new + self.before not in (0, self.total):
            counts = f"{counted(self.new, self.unit)} new, {self.changed} changed, {self.gone} gone"
            lines.append(f"  {counts}; {self.computed} had to be computed")
        if self.before:
            lines.append(f"  {self.before} of {counted(self.total, 'record')} were done before")
        if self.total > self.before:
            now = counted(self.total - self.before, "record")
            tokens = f", {self.token_rate:,.0f} tokens a second" if self.token_rate else ""
            lines.append(f"  {now} in {self.seconds:.1f} s, {self.rate:.1f} a second{tokens}")
        if self.extra:
            whole = counted(self.total, "record")
            lines.append(f"  {self.rows} chunks of {whole}: `record`, `begin` and `end` say where each stands")
        if self.tokens:
            lines.append(f"  the states of all tokens beside them, with their roles ({self.tokens})")
        if self.cut:
            most = next((f"the {one.read} tokens that the model takes" for one in self.cut_texts if one.read), "")
            named = ", ".join(map(str, self.cut_texts)) + (", ..." if self.cut > len(self.cut_texts) else "")
            lines.append(
                f"  {counted(self.cut, 'text')} longer than {most or 'the model takes'}, and cut: {named}; --chunks N "
                "makes several vectors of a text, so that all of it is read"
            )
        if self.refused:
            lines.append(f"  {self.refused} refused, see {self.out}/_meta/quarantine.parquet:")
            lines += listed(self.examples, self.refused)
        lines += [line for name, kept in self.sampled.items() for line in kept.lines(name)]
        if self.store == "int8":
            lines.append(f"  {self.clipped:.2%} of the numbers lay outside of the sample's ranges and were clipped")
        lines += [f"  beside the parts: {name}" for name in self.files]
        lines += [f"  note: {in_a_line(note)}" for note in self.notes]
        return "\n".join(lines)


@dataclass(frozen=True)
class EmbedPlan(Result):
    """What a run would do, resolved: which tasks, of which records of which file, and what decides the numbers.

    `plan` is the hash of the work; two runs share tasks exactly when it is the same. `done` are the tasks that have
    been done.
    """

    model: str
    source: str
    """where records come from"""
    kind: str
    """what kind of source it is"""
    out: str
    modality: str
    columns: Mapping[str, int]
    """poolings, and how many numbers each has"""
    carried: tuple[str, ...]
    """columns that are kept beside the vectors"""
    fingerprint: Mapping[str, Any]
    """what decides the vectors"""
    plan: str
    """hash of the work"""
    total: int
    """records of the source"""
    tasks: tuple[Task, ...]
    """all of them"""
    done: tuple[int, ...]
    """numbers of those that have been done"""

    def __str__(self) -> str:
        return self.to_json()
