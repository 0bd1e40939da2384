"""Prepared inputs of many requests -> batches for one computing thread, by a budget of tokens.

Nobody waits for a batch to fill: while the model computes one, what arrives makes up the next. Requests take turns, so
that a large one delays small ones by a round and not by all of it. What is waiting has a limit; beyond it `Full` is
raised and nothing is queued.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
IN_TURN = "in turn"
"""the key of rows that are work themselves, to be done in the computing thread"""
Outcome = Any
"""what the computation gives for a row: a vector, or the error that is the row's own"""
Compute = Callable[[Any, list[Any]], Sequence[Outcome]]

#: Tokens that are computed before it is the next requests' turn; benchmarks/serve.py measures with others.
ROUND_TOKENS = 4096


def apart(work: Callable[[], T]) -> T:
    """Do it in a thread that ends with it.

    For whatever computes in a process in which another thread is to compute later. OpenMP (libgomp) keeps helpers for
    each thread that ever did; once those of all together are more than there are cores, they sleep at every step
    instead of spinning, and a model of many small steps takes 2.4 times as long. A thread's helpers end with it.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="classtoken-apart") as pool:
        return pool.submit(work).result()


class Full(Exception):
    """So much is waiting already that more would only wait for ever; `seconds` until there is room, at this pace."""

    def __init__(self, seconds: float):
        super().__init__(f"room in {seconds:.1f} s")
        self.seconds = seconds


@dataclass(eq=False)
class Job:
    """Rows of one request that can be computed together with others of the same `key`; `tokens` is what each costs.

    `done` is called in the computing thread, once, with an outcome per row or with what went wrong.
    """

    key: Any
    rows: Sequence[Any]
    tokens: Sequence[int]
    done: Callable[[list[Outcome] | BaseException], object]
    begun: int = 0
    abandoned: bool = False
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Tokens that are still waiting."""
        return sum(self.tokens[self.begun :])


class Batcher:
    """One computing thread and the jobs that wait for it. The thread begins with the first job."""

    def __init__(self, compute: Compute, *, most_waiting: int, round_tokens: int = ROUND_TOKENS):
        self.compute, self.most_waiting, self.round_tokens = compute, most_waiting, round_tokens
        self.waiting = 0
        self.rounds = self.computed_tokens = 0
        self.computing_seconds = 0.0
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def pace(self) -> float:
        """Tokens a second, of all that was computed; a guess before there was anything."""
        return self.computed_tokens / self.computing_seconds if self.computing_seconds else 1000.0

    def submit(self, job: Job) -> None:
        """Queue a job. Raises `Full` where there is no room for it; one that is alone is always let in."""
        cost = job.left
        with self._changed:
            if self._closed:
                raise Full(1.0)
            if self.waiting and self.waiting + cost > self.most_waiting:
                raise Full((self.waiting + cost - self.most_waiting) / self.pace)
            self.waiting += cost
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="classtoken-compute", daemon=True)
                self._thread.start()
            self._changed.notify()

    def abandon(self, job: Job) -> None:
        """Nobody waits for this job any more: what is not computed of it will not be."""
        with self._changed:
            job.abandoned = True
            if job in self._jobs:
                self._jobs = deque(other for other in self._jobs if other is not job)
                self.waiting -= job.left

    def close(self) -> None:
        """Take nothing more, and end the thread after its round."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(10)

    # -- in the computing thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if self._closed:
                    return
                taken = self._next_round()
            self._compute(taken)

    def _next_round(self) -> list[tuple[Job, int, int]]:
        """Jobs of the first one's key with the rows (begin, end) that are next; unfinished ones go to the end."""
        taken: list[tuple[Job, int, int]] = []
        others: list[Job] = []
        unfinished: list[Job] = []
        room = self.round_tokens
        while self._jobs and (room > 0 or not taken):
            job = self._jobs.popleft()
            if taken and job.key != taken[0][0].key:
                others.append(job)
                continue
            begin = end = job.begun
            while end < len(job.rows) and (room > 0 or end == begin):
                room -= job.tokens[end]
                self.waiting -= job.tokens[end]
                end += 1
            job.begun = end
            taken.append((job, begin, end))
            if end < len(job.rows):
                unfinished.append(job)
        self._jobs.extendleft(reversed(others))
        self._jobs.extend(unfinished)
        return taken

    def _compute(self, taken: list[tuple[Job, int, int]]) -> None:
        rows = [row for job, begin, end in taken for row in job.rows[begin:end]]
        tokens = sum(sum(job.tokens[begin:end]) for job, begin, end in taken)
        began = time.perf_counter()
        key = taken[0][0].key
        try:
            outcomes = [work() for work in rows] if key == IN_TURN else list(self.compute(key, rows))
        except BaseException as error:  # whoever asked is told; the thread goes on for the others
            for job, _, _ in taken:
                self.abandon(job)
                job.done(error)
            return
        self.computing_seconds += time.perf_counter() - began
        self.computed_tokens += tokens
        self.rounds += 1
        at = 0
        for job, begin, end in taken:
            job.outcomes += outcomes[at : at + end - begin]
            at += end - begin
            if end == len(job.rows) and not job.abandoned:
                job.done(job.outcomes)
