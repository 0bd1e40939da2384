"""What every way of training gives back: all that the folder, its record and its figures are made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from classtoken.head import Head, probabilities
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.work import Work
from classtoken.readout.readout import Readout
from classtoken.readout.typical import Typical
from classtoken.results.train import Trial
from classtoken.values import Record


@dataclass(frozen=True)
class JudgedPooling:
    """One of several poolings that were compared, with the logits of rows that its head has not learned from."""

    pooling: str
    logits: Tensor
    targets: Tensor
    folds: int = 0


@dataclass(frozen=True)
class TrainedModel:
    """A trained encoder, readout and head, and how they came about.

    `logits` are of rows that the head has neither learned nor was chosen from; None where there is no head, and then
    `scores` are those of the objective. `seconds` are those of the steps; None where there were none.
    """

    encoder: Any
    readout: Readout
    head: Head | None
    pooling_arguments: Mapping[str, Mapping[str, Any]]
    rows: TrainingSet
    logits: Tensor | None
    targets: Tensor | None
    trained_parameters: int
    scores: Mapping[str, float] = field(default_factory=dict)
    folds: int = 0
    """parts of all rows that `logits` come from, each by a head that was learned without it; 0: the rows held out"""
    steps: int = 0
    seconds: float | None = None
    stopped_early: bool = False
    trials: tuple[Trial, ...] = ()
    chosen: str = ""
    features_cached: bool = False
    poolings: tuple[JudgedPooling, ...] = ()
    """all that were compared, where there were several"""
    whole: Mapping[str, Tensor] | None = None
    """all tensors of a model of two sides, by their names in its file; None where one encoder is written"""
    typical: Typical | None = None
    """how typical a vector is of the labels; None where too little was held out, and for several labels a record"""
    shipped: Tensor | None = None
    """logits of the held-out rows with the settings that are shipped, where those of `logits` were chosen anew"""
    work: Work | None = None
    """what was done, as decides its outcome"""
    judged: Tensor | None = None
    """the rows that `logits` are of"""

    def answers(self, temperature: float) -> Iterator[tuple[Record, NDArray]]:
        """The records that were judged, each with the probabilities of its labels by a head that has not seen it."""
        if self.logits is not None and self.judged is not None and len(self.rows.records):
            found = probabilities(self.logits, multilabel=self.rows.several, temperature=temperature)
            for row, own in zip(self.judged.tolist(), found.cpu().numpy(), strict=True):
                if row < len(self.rows.records):
                    yield self.rows.records[row], own
