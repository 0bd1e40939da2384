"""What every objective is: a module whose parameters learn."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor, nn

from classtoken.learning.data.batches import TrainingBatch


class Objective(nn.Module, ABC):
    """What is minimised, and how one sees that it helped."""

    metric: str
    """name of the score that is reported; larger is better"""
    chooses: bool = True
    """whether `metric` grows with what is wanted, so that it may choose weights and end a run"""
    may_diverge: bool = False
    """whether a gradient that is not finite is no reason to stop: parts that do not meet, of which one has failed"""

    rowwise: bool = False
    """whether the loss is a mean over rows, so that those of parts of a batch add up to that of the whole"""

    def draw(self, batch: TrainingBatch) -> TrainingBatch:
        """What is drawn for a whole batch, by torch's generator, before any part of it is computed."""
        return batch

    @abstractmethod
    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """What the loss is made of, each row from its own row of the batch alone."""

    @abstractmethod
    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """Mean loss of a whole batch from its outputs."""

    def loss(self, batch: TrainingBatch) -> Tensor:
        """Mean loss of a batch."""
        drawn = self.draw(batch)
        return self.loss_of(self.outputs(drawn), drawn)

    def begins(self, done: float) -> None:
        """Called before every step with the part of the run that is done (schedules are set here)."""

    def stepped(self, done: float) -> None:
        """Called after every step with the part of the run that is done (a teacher's average moves here)."""

    def rate_of(self, name: str) -> float | None:
        """A learning rate of its own for a parameter; None: the optimiser's."""
        return None

    @abstractmethod
    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """Scores on held-out batches, `metric` among them; called without gradients."""
