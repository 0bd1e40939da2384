"""A crew of processes on this machine: each opens the stage for itself, and is told its tasks through a pipe."""

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

from classtoken.errors import InternalError, OptionError
from classtoken.run.crew import Event
from classtoken.run.engine import RunWork
from classtoken.run.stage import StageSpec
from classtoken.run.tasks import do_tasks
from classtoken.values import Task

BELOW = "put what calls it below if __name__ == '__main__':"


def check_no_worker() -> None:
    """Raises `OptionError` where this is a worker that still reads the script which started it: it would start more."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise OptionError(f"each of the `workers` reads this script first, and must not run it; {BELOW}")


@dataclass(frozen=True)
class OpenProcessCrew:
    """A process per spec; each computes with `threads` threads."""

    specs: Sequence[StageSpec]
    threads: int | None = None

    def __call__(self, work: RunWork) -> "ProcessCrew":
        return ProcessCrew(self.specs, work, self.threads)


class ProcessCrew:
    """See `run.crew.Crew`. ProcessCrew are spawned, so that none inherits what this one holds."""

    def __init__(self, specs: Sequence[StageSpec], work: RunWork, threads: int | None):
        self._specs, self._work, self._threads = specs, work, threads
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, tuple[BaseProcess, Connection]] = {}
        self._ready: set[BaseProcess] = set()

    @property
    def size(self) -> int:
        """A worker per spec."""
        return len(self._specs)

    def start(self, worker: int) -> None:
        """See `Crew.start`."""
        ours, theirs = self._context.Pipe()
        given = (theirs, self._specs[worker], self._work.source, self._work.writer, self._work.strict, self._threads)
        process = self._context.Process(target=_work, args=(given,), name=f"classtoken-{worker}", daemon=True)
        process.start()
        theirs.close()
        self._workers[worker] = (process, ours)

    def hand(self, worker: int, task: Task) -> None:
        """See `Crew.hand`."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has died: `events` will say so
            self._workers[worker][1].send(task)

    def events(self) -> Iterator[Event]:
        """See `Crew.events`."""
        by_pipe = {pipe: worker for worker, (_, pipe) in self._workers.items()}
        for pipe in wait(list(by_pipe)):
            worker = by_pipe[pipe]  # type: ignore[index]
            process = self._workers[worker][0]
            try:
                event = Event(worker, **cast(Connection, pipe).recv())
            except (EOFError, ConnectionResetError):
                del self._workers[worker]
                process.join()
                # `_work` sends every error, so that this one came before it: in the script that is read first.
                read = process.exitcode != 1 or process in self._ready
                event = Event(worker, died=_end(process.exitcode)) if read else Event(worker, error=_unread())
            if event.ready:
                self._ready.add(process)
            yield event

    def close(self) -> None:
        """See `Crew.close`."""
        for process, pipe in self._workers.values():
            pipe.close()
            process.kill()
        for process, _ in self._workers.values():
            process.join()


def _end(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"killed by {name}" + (", as the system does when memory runs out" if name == "SIGKILL" else "")
    return f"exit code {code}"


def _unread() -> OptionError:
    """What to say where a worker ended before it came to us."""
    return OptionError(
        "none of the `workers` can begin: each reads the script that asks for them first, and fails there, with what "
        f"is said above. Where this is a script of yours, keep it in a file, and {BELOW}"
    )


def _work(given: tuple[Any, ...]) -> None:
    """What a worker does: tasks until its pipe ends."""
    pipe, spec, source, writer, strict, threads = given
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner stops us
    try:
        stage = spec.open()
        if threads is not None and "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)

        def done(records: int, tokens: int) -> None:
            pipe.send({"records": records, "tokens": tokens})

        pipe.send({"ready": True})
        while True:
            task = pipe.recv()
            (receipt,) = do_tasks(source, [task], stage, writer, strict=strict, batch_done=done)
            pipe.send({"receipt": receipt})
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the owner has gone, or needs us no more
    except BaseException as error:
        try:
            pipe.send({"error": error})
        except Exception:  # an error that cannot be sent as it is
            pipe.send({"error": InternalError(f"{type(error).__name__}: {error}")})
