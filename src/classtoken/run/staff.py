"""Who computes: this process, several here, or actors of a cluster."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from classtoken.places import Place
from classtoken.run.crew import CrewEngine, OpenCrew
from classtoken.run.engine import InThisProcess, RunEngine
from classtoken.run.known import KnownStage, KnownStageSpec, ledger_of_all
from classtoken.run.on_ray import OpenRay
from classtoken.run.processes import OpenProcessCrew, check_no_worker
from classtoken.run.stage import Stage, StageSpec


class SentStage(Stage, Protocol):
    """A stage that can be opened elsewhere too."""

    def specs(self, count: int, *, spread: bool) -> Sequence[StageSpec]:
        """Itself as a value for each of several workers; `spread` over the devices of this machine."""

    @property
    def gpus(self) -> int:
        """How many GPUs each worker takes: 1 or 0."""


@dataclass(frozen=True)
class Staff:
    """How many compute, and where; one worker of the engine local is this process itself."""

    workers: int | None = None
    engine: Literal["local", "ray"] = "local"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.engine == "local" and self.workers not in (None, 1):
            check_no_worker()  # at once: what locks a folder says that another run is writing to it

    def engine_for(self, stage: SentStage, known: Place | None = None) -> RunEngine:
        """The engine that runs a stage; vectors that are `known` in a place are taken from there."""
        if self.engine == "local" and self.workers in (None, 1):
            return InThisProcess(stage if known is None else KnownStage(stage, ledger_of_all(known)))
        count = self.workers or os.cpu_count() or 1
        own = stage.specs(count, spread=self.engine == "local")
        specs = own if known is None else [KnownStageSpec(spec, known) for spec in own]
        opened: OpenCrew = OpenProcessCrew(specs, max(1, (os.cpu_count() or 1) // count))
        if self.engine == "ray":
            opened = OpenRay(specs, self.address, stage.gpus)
        return CrewEngine(opened, stage.columns)
