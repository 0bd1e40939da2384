"""What every objective is: a module whose parameters learn."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from classtoken.errors import OptionError
from classtoken.learning.data.batches import TrainingBatch

LOWER = frozenset({"loss"})
"""scores that fall with what is wanted"""


def score_of(scores: Mapping[str, float], metric: str) -> float:
    """One score, turned so that larger is better."""
    return -scores[metric] if metric in LOWER else scores[metric]


def known_metric(metrics: Sequence[str], wanted: str | None) -> str:
    """The wanted one of these, or the first. Raises `OptionError` for one that is none of them."""
    if wanted is not None and wanted not in metrics:
        raise OptionError(f"[loop] metric = '{wanted}' cannot choose here; there are {', '.join(metrics)}.")
    return wanted or metrics[0]


class Objective(nn.Module, ABC):
    """What is minimised, and how one sees that it helped."""

    metrics: tuple[str, ...]
    """names of the scores that may choose weights and end a run, the usual one first: each is known to grow with what
    is wanted, but for `LOWER`, which fall"""
    chosen: str = ""
    """the one that was asked for"""
    chooses: bool = True
    """whether there is such a score at all"""
    may_diverge: bool = False
    """whether a gradient that is not finite is no reason to stop: parts that do not meet, of which one has failed"""

    @property
    def metric(self) -> str:
        """The score that is reported, and that chooses where one does."""
        return self.chosen or self.metrics[0]

    def value(self, scores: Mapping[str, float]) -> float | None:
        """That score of an evaluation, turned so that larger is better; None where too little was held out for it."""
        return score_of(scores, self.metric) if self.metric in scores else None

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
