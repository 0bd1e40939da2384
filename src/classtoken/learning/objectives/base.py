"""What every objective is: a module whose parameters learn."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor, nn

from classtoken.learning.data.batches import TrainingBatch


class Objective(nn.Module, ABC):
    """What is minimised, and how one sees that it helped."""

    metric: str
    """name of the score that chooses; larger is better"""
    may_diverge: bool = False
    """whether a gradient that is not finite is no reason to stop: parts that do not meet, of which one has failed"""

    @abstractmethod
    def loss(self, batch: TrainingBatch) -> Tensor:
        """Mean loss of a batch."""

    def stepped(self, done: float) -> None:
        """Called after every step with the part of the run that is done (a teacher's average moves here)."""

    def rate_of(self, name: str) -> float | None:
        """A learning rate of its own for a parameter; None: the optimiser's."""
        return None

    @abstractmethod
    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """Scores on held-out batches, `metric` among them; called without gradients."""
