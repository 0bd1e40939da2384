"""A run in this process: plan minus receipts, reading and preparing in a thread beside the model."""

import time
from collections.abc import Callable

from classtoken.errors import BadRecord
from classtoken.run.stage import Stage
from classtoken.run.tasks import do_tasks
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
    finished = sink.begin()
    refused = sum(part.refused for part in finished.values())
    if strict and refused:
        raise BadRecord(f"{refused} records were rejected by an earlier run into {sink.place}; see its quarantine.")
    rows = {task.number: len(task) for task in plan.tasks}
    before = sum(rows.get(number, 0) for number in finished)
    left = [task for task in plan.tasks if task.number not in finished]
    begun = time.monotonic()
    done = before

    def progress(computed: int) -> Progress:
        return Progress(done + computed, plan.total, before, refused, time.monotonic() - begun)

    computed = 0  # of the task at hand

    def batch_done(records: int) -> None:
        nonlocal computed
        computed += records
        if report:
            report(progress(computed))

    for receipt in do_tasks(source, left, stage, sink.writer(), strict=strict, batch_done=batch_done):
        done, refused, computed = done + rows[receipt.part.task], refused + receipt.part.refused, 0
        if report:
            report(progress(0))
    return sink.finish(), progress(0)
