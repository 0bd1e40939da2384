"""What a run asks of a model: records become batches, batches vectors. Without torch; `embedding` has the real one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from classtoken.values import Record

#: A record and its place among the entries of its task.
Placed = tuple[int, Record]


@dataclass(frozen=True)
class Batch:
    """Prepared records of one task (`tensors.Tokens`, as a rule); `cut` of them were longer than the model takes."""

    places: tuple[int, ...]
    tokens: Any
    cut: int = 0


@dataclass(frozen=True)
class Turned:
    """A record that cannot be prepared, and why."""

    place: int
    reason: str


class Stage(Protocol):
    """What a run asks of a model. `batches` runs in a thread of its own, ahead of `vectors`."""

    @property
    def columns(self) -> Mapping[str, int]:
        """Name and size of each vector that a record gets."""

    def batches(self, records: Iterator[Placed]) -> Iterator[Batch | Turned]:
        """The records of one task, prepared; each is in one batch or turned away."""

    def vectors(self, batch: Batch) -> Mapping[str, np.ndarray]:
        """Vectors of one batch by name: (rows, size) float32."""


class StageSpec(Protocol):
    """A stage as a small value: it goes to another process, which opens it there."""

    def open(self) -> Stage:
        """The stage, ready to work; loading it may take a while."""
