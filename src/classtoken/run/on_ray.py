"""A crew of Ray actors: plain actors that do our tasks, so that going on is ours whatever becomes of the cluster."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classtoken.errors import OptionError
from classtoken.extras import need
from classtoken.run.crew import Event
from classtoken.run.engine import RunWork
from classtoken.run.stage import Stage, StageSpec
from classtoken.run.tasks import do_tasks
from classtoken.sink import Receipt
from classtoken.values import Task

#: Seconds after which a wait for the cluster looks again.
LOOK = 5.0


@dataclass(frozen=True)
class OpenRay:
    """An actor per spec, on the cluster at `address`, or on one that is started here; each takes `gpus`."""

    specs: Sequence[StageSpec]
    address: str | None = None
    gpus: float = 0.0

    def __call__(self, work: RunWork) -> "RayCrew":
        ray = need("ray", "the engine ray")
        if not ray.is_initialized():
            try:
                ray.init(address=self.address, log_to_driver=False, configure_logging=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise OptionError(f"`address` '{self.address}' is no Ray cluster that answers ({error}).") from error
        return RayCrew(ray, self.specs, work, self.gpus)


class RayWorker:
    """What an actor is: the stage, opened once, and the tasks that it is handed."""

    def __init__(self, spec: StageSpec, work: RunWork, folder: str):
        if Path(folder).is_dir():  # names of files are relative to where the run was started
            os.chdir(folder)
        self.spec, self.work = spec, work

    def ready(self) -> bool:
        """Opens the stage; what goes wrong with that is raised here, since Ray takes an actor whose making fails for
        one that died."""
        self.stage: Stage = self.spec.open()
        if "torch" in sys.modules:  # a processor each, whatever OMP_NUM_THREADS says here
            sys.modules["torch"].set_num_threads(1)
        return True

    def do(self, task: Task) -> tuple[Receipt, int]:
        """Do one task; its receipt, and how many tokens were read."""
        read = 0

        def done(_: int, tokens: int) -> None:
            nonlocal read
            read += tokens

        work = self.work
        (receipt,) = do_tasks(work.source, [task], self.stage, work.writer, strict=work.strict, batch_done=done)
        return receipt, read


class RayCrew:
    """See `run.crew.Crew`. An actor is never restarted by Ray: what a dead one was at is for us to know."""

    def __init__(self, ray: Any, specs: Sequence[StageSpec], work: RunWork, gpus: float):
        self._ray, self._specs = ray, specs
        sent = RunWork(work.source, work.writer, work.strict)  # progress is counted here, task by task
        self._work = ray.put(sent)
        environment = {"env_vars": {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}}
        self._kind = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, runtime_env=environment)(RayWorker)
        self._actors: dict[int, Any] = {}
        self._asked: dict[Any, tuple[int, str]] = {}

    @property
    def size(self) -> int:
        """A worker per spec."""
        return len(self._specs)

    def start(self, worker: int) -> None:
        """See `Crew.start`. Where the cluster has no room, it begins when there is some."""
        self._actors[worker] = self._kind.remote(self._specs[worker], self._work, str(Path.cwd()))
        self._asked[self._actors[worker].ready.remote()] = (worker, "ready")

    def hand(self, worker: int, task: Task) -> None:
        """See `Crew.hand`."""
        self._asked[self._actors[worker].do.remote(task)] = (worker, "receipt")

    def events(self) -> Iterator[Event]:
        """See `Crew.events`."""
        answered, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=LOOK)
        for reference in answered:
            if reference not in self._asked:
                continue  # its worker has died meanwhile
            worker, kind = self._asked.pop(reference)
            try:
                answer = self._ray.get(reference)
            except self._ray.exceptions.RayActorError as error:
                self._asked = {r: asked for r, asked in self._asked.items() if asked[0] != worker}
                yield Event(worker, died=_end(error))
            except self._ray.exceptions.RayTaskError as error:
                yield Event(worker, error=error.cause if isinstance(error.cause, BaseException) else error)
            else:
                if kind == "ready":
                    yield Event(worker, ready=True)
                else:
                    yield Event(worker, receipt=answer[0], tokens=answer[1])

    def close(self) -> None:
        """See `Crew.close`."""
        for actor in self._actors.values():
            with contextlib.suppress(Exception):  # one that is gone
                self._ray.kill(actor)


def _end(error: Exception) -> str:
    """How an actor ended, in a few words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "died" in line or "dead" in line or "unavailable" in line), "")
    return told[:120] or type(error).__name__
