"""Records made ready to learn from: batches, labels, which rows are held out, and how they were prepared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from classtoken.learning.data.batches import Batches
from classtoken.learning.data.labels import Task
from classtoken.values import TEXT_POOLED, Rejected, Role


@dataclass(frozen=True)
class TrainingSet:
    """Records made ready for an encoder or a head: what is learned from, what is held out, what could not be read."""

    data: Batches
    labels: tuple[str, ...]
    several: bool
    """rows may have several labels"""
    learned: Tensor
    held_out: Tensor
    preparation: Sequence[Any]
    """what decides how records become tokens, in plain values"""
    refused: tuple[Rejected, ...] = ()
    positions: int | None = None
    """tokens that a pooling reads, at most"""
    grid: tuple[int, int] | None = None
    over: frozenset[Role] = TEXT_POOLED
    taught: str = ""
    """hash of a teacher's answers that were computed beforehand"""

    @property
    def task(self) -> Task:
        """One label a row, or any number of them."""
        return "multi" if self.several else "single"

    @property
    def targets(self) -> Tensor:
        """The targets of all rows, of a set that has some."""
        assert self.data.targets is not None
        return self.data.targets
