"""What a task is: items that are judged, and what a candidate's vectors say of each of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from classtoken.measure.paired import Units
from classtoken.values import Record, Rejected

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Judged:
    """What one candidate got: per metric one number an item, whose mean is the metric.

    spread: standard deviation over repetitions and their number, where there are any. inner: of every part of the
    split the score on held-out training items, with which settings and layers are chosen. predicted: the class that
    each judged item was given.
    """

    values: Mapping[str, Floats]
    spread: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    inner: tuple[float, ...] = ()
    predicted: NDArray[np.intp] | None = None
    per_class: Mapping[str, float] = field(default_factory=dict)
    setting: str = ""


@dataclass(frozen=True)
class Split:
    """Which records are learned from and which are judged, in parts; every record is judged at most once."""

    parts: tuple[tuple[Rows, Rows], ...]

    @property
    def judged(self) -> Rows:
        """All judged records, part by part."""
        return np.concatenate([judged for _, judged in self.parts])

    @property
    def part_of(self) -> Rows:
        """The part of each judged record, in the order of `judged`."""
        return np.concatenate([np.full(len(judged), n) for n, (_, judged) in enumerate(self.parts)])


class JudgedTask(ABC):
    """Items to be judged, made of `records`, each of which needs a vector."""

    name: str
    metric: str
    """the metric that ranks"""
    choices: "Choices"
    records: tuple[Record, ...]
    refused: tuple[Rejected, ...]
    """items that are left out, and why"""
    units: Units
    """of the judged items"""
    found_by: str = "id"
    """the column by which a record's stored vector is found: pairs have texts and no ids of their own"""
    clusters: str = ""
    """by what items are one unit, in words"""
    deviation: float = 0.3
    """standard deviation of an item's difference between two candidates, as it is assumed before anything is known"""
    assumed: str = ""
    """that assumption in words"""
    read: tuple[Record, ...] = ()
    """every record that was read, those that are left out among them: stored rows may be as many"""
    told: tuple[str, ...] = ()
    """what is to be said of where they come from"""

    @property
    @abstractmethod
    def items(self) -> Sequence[str]:
        """The ids of the judged items."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The protocol in words: what is fixed, and what is chosen on what."""

    @abstractmethod
    def judge(self, vectors: Floats, *, whiten: bool = False, only: str | None = None) -> Judged:
        """Judge one candidate by its vectors of `records`, (R, V). `only` one metric, for quickness."""

    @abstractmethod
    def without(self, bad: Mapping[int, Rejected]) -> "JudgedTask":
        """The same task, made of the same records but for those that have no vector."""

    def limits(self) -> tuple[str, ...]:
        """What the data do not allow to be judged, in words."""
        return ()

    def answers(self) -> object:
        """What is right, as plain values, where records' labels do not say it: a part of the data's hash."""
        return None

    def partners(self) -> tuple[Rows, Rows] | None:
        """Rows of records that should lie near each other, pair by pair."""
        return None


@dataclass(frozen=True)
class Choices:
    """What a user chose of a task: columns that group items, how often something is repeated, the seed."""

    cluster: str | None = None
    group: str | None = None
    called: Mapping[str, str] = field(default_factory=dict)
    """which column of the source each part of a record came from"""
    folds: int = 5
    draws: int = 10
    shots: int = 8
    seeds: int = 3
    seed: int = 0
