"""One task -> one part, its receipt, and the records that it rejects: what every engine does, here or elsewhere.

All that goes into it can be sent to another process: the source, the task, the writer, and a `StageSpec` that opens the
stage there. So a local run, a pool of processes and a cluster do the same tasks and share one way of going on.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from classtoken.errors import BadRecord, SourceError
from classtoken.run.prefetch import Prefetch
from classtoken.run.stage import Stage, StageBatch
from classtoken.sink import Part, PartWriter, Receipt, TaskRows
from classtoken.sink.states import STATES, together
from classtoken.source import Reader, Source
from classtoken.source.base import Entry
from classtoken.source.contents import state_of
from classtoken.values import Indexed, Record, Rejected, Task

#: Called with the numbers of records and of tokens whose vectors are there.
BatchDone = Callable[[int, int], None]
#: Batches that are prepared ahead of the model.
DEPTH = 4


def do_task(source: Source, task: Task, stage: Stage, writer: PartWriter, *, strict: bool = False) -> Receipt:
    """Do one task. With `strict` the first record that cannot be embedded raises `BadRecord`; nothing is written then.

    Raises `SourceError` when the source has changed since it was listed, `OutputError` when nothing can be written.
    """
    (receipt,) = do_tasks(source, [task], stage, writer, strict=strict)
    return receipt


def do_tasks(
    source: Source,
    tasks: Iterable[Task],
    stage: Stage,
    writer: PartWriter,
    *,
    strict: bool = False,
    batch_done: BatchDone | None = None,
) -> Iterator[Receipt]:
    """Do tasks one after another as their receipts are asked for, reading and preparing ahead of the model.

    `batch_done` is called with the numbers of records and of tokens of each batch when its vectors are there. What was
    written before an error stays.
    """
    with Prefetch(_prepared(source, tasks, stage), DEPTH) as items:
        blocks = _Blocks(stage)
        for item in items:
            if isinstance(item, _Ready):
                for batch, vectors in stage.outcomes(item.batch):
                    blocks.add(batch, vectors)
                if batch_done:
                    batch_done(item.records, item.batch.size)
                continue
            rows = _rows(item, blocks)
            if strict and rows.refused:
                bad = rows.refused[0]
                raise BadRecord(f"record '{bad.id}' of {source.name}: {bad.reason}. Fix it, or run without strict.")
            yield writer.write(rows)
            blocks = _Blocks(stage)


def rows_of(entry: Entry, stage: Stage) -> Sequence[Entry]:
    """The rows that an entry of a source becomes."""
    return stage.split(entry) if isinstance(entry, Record) else (entry,)


def computed_rows(source: Source, task: Task, stage: Stage) -> TaskRows:
    """One task's rows, which are written nowhere."""
    kept = _Kept()
    do_task(source, task, stage, kept)
    return kept.rows[0]


@dataclass(frozen=True)
class _Kept:
    """A writer that keeps what it is given."""

    rows: list[TaskRows] = field(default_factory=list)

    def write(self, rows: TaskRows) -> Receipt:
        self.rows.append(rows)
        part = Part(rows.task.number, "", len(rows.records), 0, "", len(rows.refused), rows.cut)
        return Receipt(part, tuple(rows.refused))


@dataclass
class _ReadTask:
    """A task whose batches have all been handed out: its rows by place, and those that give no vector.

    A record is a row, or several that follow each other: `firsts` are the places of the first of each.
    """

    task: Task
    records: dict[int, Record] = field(default_factory=dict)
    rejected: dict[int, Rejected] = field(default_factory=dict)
    held: dict[int, str] = field(default_factory=dict)
    firsts: set[int] = field(default_factory=set)
    places: int = 0

    def add(self, entries: Sequence[Entry]) -> Iterator[Indexed]:
        """The rows of one record, those that can be embedded by their place."""
        self.firsts.add(self.places)
        for entry in entries:
            place, self.places = self.places, self.places + 1
            if isinstance(entry, Rejected):
                self.reject(place, entry)
            else:
                # What is kept until the part is written: all but the bytes of images.
                path = entry.image if isinstance(entry.image, Path) else None
                self.records[place] = entry if entry.image is path else dataclasses.replace(entry, image=path)
                yield place, entry

    def settle(self) -> None:
        """What an image was made of is not known where its file was changed meanwhile: a later run will look again."""
        for place, record in self.records.items():
            known, file = record.content, record.image
            if known is None or known.time < 0 or not isinstance(file, Path):
                continue
            if state_of(file) != (known.size, known.time):
                self.records[place] = record.known_as(None)

    @property
    def extra(self) -> int:
        """Rows beyond one for each record."""
        return self.places - len(self.firsts)

    def reject(self, place: int, why: Rejected) -> None:
        """The record in this place gives no vector."""
        record = self.records.pop(place, None)
        if record is not None:  # else it was rejected before, or could not be read
            self.held[place] = "" if record.content is None else record.content.hash.hex()
        self.rejected[place] = why


@dataclass(frozen=True)
class _Ready:
    """A batch, and how many records begin in it."""

    batch: StageBatch
    records: int


def _prepared(source: Source, tasks: Iterable[Task], stage: Stage) -> Iterator[_Ready | _ReadTask]:
    """The batches of each task, then the task itself."""
    reader = Reader(source)
    for task in tasks:
        read = _ReadTask(task)
        rows = (row for entry in reader(task) for row in read.add(rows_of(entry, stage)))
        for batch in stage.batches(rows, read.reject):
            yield _Ready(batch, sum(place in read.firsts for place in batch.places))
        if len(read.firsts) != len(task) or len(read.records) + len(read.rejected) != read.places:
            raise SourceError(
                f"{source.name} changed while it was being read; stop whatever writes to it and run again."
            )
        read.settle()
        yield read


class _Blocks:
    """The vectors of one task's batches, as they come."""

    def __init__(self, stage: Stage):
        self._columns, self._kept = stage.columns, bool(stage.token_size)
        self._blocks: list[Mapping[str, np.ndarray]] = []
        self._places: list[int] = []
        self.failed: dict[int, BadRecord] = {}
        self._long: list[bool] = []

    def add(self, batch: StageBatch, vectors: Mapping[str, np.ndarray] | BadRecord) -> None:
        """One batch, or why its only record has no vectors."""
        if isinstance(vectors, BadRecord):
            self.failed[batch.places[0]] = vectors
            return
        self._blocks.append(vectors)
        self._places += batch.places
        self._long += batch.long

    def in_order(self) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        """Places of the records in rising order; for each column the vectors in that order; which were too long."""
        places = np.array(self._places, dtype=np.int64)
        order = np.argsort(places)
        whole = {}
        for column, size in self._columns.items():
            parts = [block[column] for block in self._blocks]
            whole[column] = np.concatenate(parts)[order] if parts else np.empty((0, size), np.float32)
        if self._kept:
            whole[STATES] = np.concatenate([together(()), *(block[STATES] for block in self._blocks)])[order]
        return places[order], whole, np.array(self._long, dtype=bool)[order]


def _rows(read: _ReadTask, blocks: _Blocks) -> TaskRows:
    """The task's rows; a record whose vector is not finite is rejected."""
    for place, why in blocks.failed.items():
        read.reject(place, Rejected(read.records[place].id, why.reason))
    places, vectors, long = blocks.in_order()
    finite = np.ones(len(places), dtype=bool)
    states = vectors.pop(STATES, together(()))
    for block in vectors.values():
        finite &= np.isfinite(block).all(axis=1)
    if len(states):
        finite &= [bool(np.isfinite(one.states).all()) for one in states]
    for place in places[~finite].tolist():
        read.reject(place, Rejected(read.records[place].id, "has a vector that is not finite"))
    return TaskRows(
        task=read.task,
        records=[read.records[place] for place in sorted(read.records)],
        vectors={column: block[finite] for column, block in vectors.items()},
        refused=[read.rejected[place] for place in sorted(read.rejected)],
        refused_of=[read.held.get(place, "") for place in sorted(read.rejected)],
        long=long[finite].tolist(),
        extra=read.extra,
        states=states[finite].tolist() if len(states) else (),
    )
