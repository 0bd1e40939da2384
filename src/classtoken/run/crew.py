"""Tasks handed to several workers, whoever they are; a worker that dies costs its task another try.

A task whose worker died is handed out again, alone. One that has killed `DEATHS` workers is put into quarantine whole,
with what was seen of their ends: one record (a picture that crashes its decoder, a text that takes all memory) must not
stop a run for ever.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from classtoken.errors import OptionError
from classtoken.run.engine import RunWork
from classtoken.sink import Receipt, TaskRows
from classtoken.source import Reader
from classtoken.values import Rejected, Task

#: Workers that a task may kill.
DEATHS = 3
#: Tasks that a worker has at once: one that it is at, and one that is read ahead.
AHEAD = 2


@dataclass(frozen=True)
class Event:
    """What a worker says: that it is ready, a receipt, what was computed, an error of the run's; or that it ended."""

    worker: int
    ready: bool = False
    receipt: Receipt | None = None
    records: int = 0
    tokens: int = 0
    error: BaseException | None = None
    died: str = ""


class Crew(Protocol):
    """Workers by number, from 0. Each does the tasks that it is handed, in order, and can be replaced."""

    @property
    def size(self) -> int: ...

    def start(self, worker: int) -> None:
        """A new worker of this number, instead of one that died."""

    def hand(self, worker: int, task: Task) -> None:
        """One more task for a worker."""

    def events(self) -> Iterator[Event]:
        """What has happened since; waits until something has."""

    def close(self) -> None:
        """Stop every worker, at once."""


class OpenCrew(Protocol):
    """Makes the crew for some work."""

    def __call__(self, work: RunWork) -> Crew: ...


@dataclass
class CrewEngine:
    """An engine (`run.engine.RunEngine`) of several workers; `columns` are those of the vectors that they compute."""

    open: OpenCrew
    columns: Mapping[str, int]
    _waiting: deque[Task] = field(default_factory=deque)
    _at_work: dict[int, deque[Task]] = field(default_factory=dict)
    _deaths: Counter[int] = field(default_factory=Counter)
    _starts: Counter[int] = field(default_factory=Counter)

    def receipts(self, work: RunWork, tasks: Iterable[Task]) -> Iterator[Receipt]:
        """See `RunEngine.receipts`."""
        self._waiting, self._deaths, self._starts = deque(tasks), Counter(), Counter()
        self._at_work = {}
        if not self._waiting:
            return
        crew = self.open(work)
        try:
            for worker in range(min(crew.size, len(self._waiting))):
                crew.start(worker)
            while self._waiting or any(self._at_work.values()):
                for event in crew.events():
                    receipt = self._receipt(event, work, crew)
                    if receipt is not None:
                        yield receipt
                self._hand_out(crew)
        finally:
            crew.close()

    def _receipt(self, event: Event, work: RunWork, crew: Crew) -> Receipt | None:
        """What an event means; the receipt that it gives, if any."""
        if event.error is not None:
            raise event.error
        if event.ready:
            self._at_work[event.worker] = deque()
            self._starts[event.worker] = 0
        if (event.records or event.tokens) and work.batch_done:
            work.batch_done(event.records, event.tokens)
        if event.receipt is not None:
            self._at_work[event.worker].popleft()
            return event.receipt
        if event.died:
            given_up = self._take_back(event)
            crew.start(event.worker)
            return None if given_up is None else refuse(work, given_up, self.columns, event.died)
        return None

    def _hand_out(self, crew: Crew) -> None:
        """Each worker gets a task, then each one more; what has killed a worker is handed out alone."""
        for depth in range(1, AHEAD + 1):
            for worker, mine in self._at_work.items():
                if not self._waiting or len(mine) >= depth or any(self._deaths[task.number] for task in mine):
                    continue
                if mine and self._deaths[self._waiting[0].number]:
                    continue
                mine.append(self._waiting.popleft())
                crew.hand(worker, mine[-1])

    def _take_back(self, event: Event) -> Task | None:
        """Take a dead worker's tasks back: the first is what it was at. The one that is given up, if it is."""
        mine = self._at_work.pop(event.worker, None)
        if mine is None:
            self._starts[event.worker] += 1
            if self._starts[event.worker] >= DEATHS:
                raise OptionError(
                    f"a worker ends while it opens the model ({event.died}), {DEATHS} times; give fewer `workers`."
                )
            return None
        if not mine:
            return None
        first, *others = mine
        self._waiting.extendleft(reversed(others))
        self._deaths[first.number] += 1
        if self._deaths[first.number] >= DEATHS:
            return first
        self._waiting.append(first)
        return None


def refuse(work: RunWork, task: Task, columns: Mapping[str, int], why: str) -> Receipt:
    """Put a whole task into quarantine."""
    reason = f"is in a task of {len(task)} records that ended {DEATHS} workers ({why}); embed it in smaller parts"
    refused = [Rejected(entry.id, reason) for entry in Reader(work.source)(task)]
    return work.writer.write(
        TaskRows(task, [], {name: np.empty((0, size), np.float32) for name, size in columns.items()}, refused)
    )
