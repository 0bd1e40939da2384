"""A run on one machine: plan minus receipts, reading and preparing in a thread beside the model."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from classtoken.errors import BadRecord, SourceError
from classtoken.run.ahead import Ahead
from classtoken.run.stage import Batch, Placed, Stage
from classtoken.sink import Manifest, ParquetSink
from classtoken.source import Plan, Reader, Source
from classtoken.values import Progress, Record, Refused, Task

#: Batches that are prepared ahead of the model.
DEPTH = 4


@dataclass
class Finished:
    """A task whose batches have all been handed out: its records by place, and those that were refused."""

    task: Task
    records: dict[int, Record] = field(default_factory=dict)
    refused: dict[int, Refused] = field(default_factory=dict)


def run(
    source: Source,
    plan: Plan,
    stage: Stage,
    sink: ParquetSink,
    *,
    strict: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> tuple[Manifest, Progress]:
    """Embed and write every task that has no receipt, then finish. `sink` must have been begun by nobody else.

    With `strict` the first record that cannot be embedded raises `BadRecord`; what was finished before stays.
    """
    finished = sink.begin()
    before = sum(len(task) for task in plan.tasks if task.number in finished)
    refused = sum(part.refused for part in sink.done)
    if strict and refused:
        raise BadRecord(f"{refused} records were refused by an earlier run into {sink.folder}; see its quarantine.")
    left = [task for task in plan.tasks if task.number not in finished]
    begun = time.monotonic()
    progress = Progress(before, plan.total, before, refused, 0.0)
    with Ahead(prepared(source, left, stage), DEPTH) as items:
        rows = TaskRows(stage)
        for item in items:
            shown = progress
            if isinstance(item, Batch):
                rows.add(item)
                shown = dataclasses.replace(progress, done=progress.done + rows.count)
            else:
                rows.write(item, sink, strict, source.name)
                done, refused = progress.done + len(item.task), progress.refused + len(item.refused)
                shown = progress = dataclasses.replace(progress, done=done, refused=refused)
                rows = TaskRows(stage)
            if report:
                report(dataclasses.replace(shown, seconds=time.monotonic() - begun))
    return sink.finish(), dataclasses.replace(progress, seconds=time.monotonic() - begun)


def prepared(source: Source, tasks: Sequence[Task], stage: Stage) -> Iterator[Batch | Finished]:
    """The batches of each task, then the task itself. Records keep only what is written beside the vectors."""
    reader = Reader(source)
    for task in tasks:
        finished = Finished(task)
        for item in stage.batches(_usable(reader, finished)):
            if isinstance(item, Batch):
                yield item
            else:
                record = finished.records.pop(item.place)
                finished.refused[item.place] = Refused(record.id, item.reason)
        if len(finished.records) + len(finished.refused) != len(task):
            raise SourceError(f"{source.name} has changed since it was listed; run it again when it is at rest.")
        yield finished


def _usable(reader: Reader, finished: Finished) -> Iterator[Placed]:
    for place, entry in enumerate(reader(finished.task)):
        if isinstance(entry, Refused):
            finished.refused[place] = entry
        else:
            finished.records[place] = dataclasses.replace(entry, text=None, image=None)
            yield place, entry


class TaskRows:
    """The vectors of one task, in the order of its records, as its batches come in."""

    def __init__(self, stage: Stage):
        self._stage = stage
        self._blocks: list[tuple[tuple[int, ...], dict[str, np.ndarray]]] = []
        self._cut = 0
        self.count = 0

    def add(self, batch: Batch) -> None:
        """Compute one batch."""
        self._blocks.append((batch.places, dict(self._stage.vectors(batch))))
        self._cut += batch.cut
        self.count += len(batch.places)

    def write(self, finished: Finished, sink: ParquetSink, strict: bool, name: str) -> None:
        """Put the task's rows into the sink; a vector that is not finite refuses its record."""
        places = np.array([place for chosen, _ in self._blocks for place in chosen], dtype=np.int64)
        order = np.argsort(places)
        whole: dict[str, np.ndarray] = {}
        kept = np.ones(len(places), dtype=bool)
        for column, size in self._stage.columns.items():
            blocks = [block[column] for _, block in self._blocks]
            whole[column] = np.concatenate(blocks)[order] if blocks else np.empty((0, size), np.float32)
            kept &= np.isfinite(whole[column]).all(axis=1)
        for place in places[order][~kept].tolist():
            record = finished.records.pop(place)
            finished.refused[place] = Refused(record.id, "has a vector that is not finite")
        refused = [finished.refused[place] for place in sorted(finished.refused)]
        if strict and refused:
            raise BadRecord(f"record '{refused[0].id}' of {name}: {refused[0].reason}. Mend it, or leave out --strict.")
        records = [finished.records[place] for place in sorted(finished.records)]
        vectors = {column: rows[kept] for column, rows in whole.items()}
        sink.put(finished.task, records, vectors, refused, cut=self._cut)
