"""A run: plan minus receipts, done by an engine, then closed."""

import time
from collections.abc import Callable, Collection
from dataclasses import replace

from classtoken.errors import BadRecord
from classtoken.run.engine import InThisProcess, RunEngine, RunWork
from classtoken.run.stage import Stage
from classtoken.sink import Manifest, Sink
from classtoken.source import Plan, Source
from classtoken.values import Progress


def run(
    source: Source,
    plan: Plan,
    stage: Stage,
    sink: Sink,
    *,
    strict: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> tuple[Manifest, Progress]:
    """Embed and write every task that has no receipt, then finish. `sink` must have been begun by nobody else.

    With `strict` the first record that cannot be embedded raises `BadRecord`; what was finished before stays.
    """
    progress = do_what_is_left(plan, InThisProcess(stage), sink, RunWork(source, sink.writer(), strict), report)
    return sink.finish(), progress


def do_what_is_left(
    plan: Plan,
    engine: RunEngine,
    sink: Sink,
    work: RunWork,
    report: Callable[[Progress], None] | None = None,
    only: Collection[int] | None = None,
) -> Progress:
    """Begin, and do every task that has no receipt, or `only` those of these numbers. Nothing is closed."""
    finished = sink.begin()
    refused = sum(part.refused for part in finished.values())
    if work.strict and refused:
        raise BadRecord(f"{refused} records were rejected by an earlier run into {sink.place}; see its quarantine.")
    rows = {task.number: len(task) for task in plan.tasks}
    before = sum(rows.get(number, 0) for number in finished)
    left = [task for task in plan.tasks if task.number not in finished and (only is None or task.number in only)]
    begun = time.monotonic()
    done = before
    computed = read = 0  # of tasks that are at work; tokens

    def progress() -> Progress:
        seconds = time.monotonic() - begun
        return Progress(done + computed, plan.total, before, refused, seconds, tokens=read)

    def batch_done(records: int, tokens: int) -> None:
        nonlocal computed, read
        computed, read = computed + records, read + tokens
        if report:
            report(progress())

    for receipt in engine.receipts(replace(work, batch_done=batch_done), left):
        records = rows[receipt.part.task]
        done, refused, computed = done + records, refused + receipt.part.refused, max(0, computed - records)
        if report:
            report(progress())
    computed = 0
    return progress()
