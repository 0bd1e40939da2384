"""Who does the tasks: this process, other processes here, or a cluster. The tasks are the same, and so is going on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from classtoken.run.stage import Stage
from classtoken.run.tasks import BatchDone, do_tasks
from classtoken.sink import PartWriter, Receipt
from classtoken.source import Source
from classtoken.values import Task


@dataclass(frozen=True)
class RunWork:
    """What an engine needs besides the tasks: where records come from and parts go to.

    strict: the first record that cannot be embedded raises `BadRecord`. batch_done is called with the numbers of
    records whose vectors are there, and of tokens that were read.
    """

    source: Source
    writer: PartWriter
    strict: bool = False
    batch_done: BatchDone | None = None


class RunEngine(Protocol):
    """Does tasks, in any order; what was written before an error stays."""

    def receipts(self, work: RunWork, tasks: Iterable[Task]) -> Iterator[Receipt]:
        """The receipt of each task, as it is done."""


@dataclass(frozen=True)
class InThisProcess:
    """One task after another, reading and preparing in a thread beside the model."""

    stage: Stage

    def receipts(self, work: RunWork, tasks: Iterable[Task]) -> Iterator[Receipt]:
        """See `RunEngine.receipts`."""
        return do_tasks(work.source, tasks, self.stage, work.writer, strict=work.strict, batch_done=work.batch_done)
