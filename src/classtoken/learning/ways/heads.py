"""Heads and learned poolings on frozen features, a whole grid of learning rates trained at once.

DINOv2's linear protocol: every candidate sees the same batches, their losses are summed, the best is chosen on held-out
rows (`dinov2/eval/linear.py`); SGD with momentum and a cosine for heads alone, AdamW where a pooling is learned too.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from classtoken.head import Head, LinearHead, MlpHead
from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.objectives.base import Objective, score_of
from classtoken.learning.objectives.supervised import Task, classification_loss, classification_scores, metric_for
from classtoken.readout.readout import Readout
from classtoken.tensors import States

SGD_RATES = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1, 1.0)
"""times batch / 256; on standardised vectors"""
ADAMW_RATES = (1e-4, 3e-4, 1e-3, 3e-3)


class OnVectors(nn.Module):
    """logits = head((vector - mean) / deviation)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, head: Head, mean: Tensor, scale: Tensor):
        super().__init__()
        self.head = head
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, vectors_BV: Tensor) -> Tensor:
        return self.head((vectors_BV - self.mean) / self.scale)

    def folded(self) -> Head:
        """The head with the standardisation in its first layer, so that it reads raw vectors."""
        assert isinstance(self.head, LinearHead | MlpHead)
        first = self.head.output if isinstance(self.head, LinearHead) else self.head.dense
        with torch.no_grad():
            first.weight.div_(self.scale)
            first.bias.sub_(first.weight @ self.mean)
        return self.head


class OnStates(nn.Module):
    """logits = head(readout(states))."""

    def __init__(self, readout: Readout, head: Head):
        super().__init__()
        self.readout, self.head = readout, head

    def forward(self, states: States) -> Tensor:
        return self.head(self.readout(states))


class HeadGrid(Objective):
    """Several candidates, each with its own learning rate, trained on the same batches."""

    metrics = ("best",)
    may_diverge = True

    def __init__(
        self,
        candidates: Sequence[nn.Module],
        rates: Sequence[float],
        task: Task,
        weights_C: Tensor | None = None,
        metric: str | None = None,
    ):
        super().__init__()
        self.judged_by = metric_for(task, metric)
        self.candidates = nn.ModuleList(candidates)
        self.rates, self.task, self.weights_C = tuple(rates), task, weights_C

    def rate_of(self, name: str) -> float | None:
        """The learning rate of a parameter by its name."""
        return self.rates[int(name.split(".")[1])]

    def logits(self, batch: TrainingBatch) -> list[Tensor]:
        """Every candidate's logits."""
        return [candidate(batch.views[0]) for candidate in self.candidates]

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Every candidate's logits."""
        return tuple(self.logits(batch))

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """The sum of the candidates' losses: their gradients do not meet."""
        assert batch.targets is not None
        every = [classification_loss(x, batch.targets, self.task, 0.0, self.weights_C) for x in outputs]
        return torch.stack(every).nan_to_num(nan=0.0, posinf=0.0).sum()

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """Every candidate's score by the metric that chooses (of the loss: less than 0), by number, and the best."""
        rows = [(self.logits(batch), batch.targets) for batch in held_out]
        targets = torch.cat([t for _, t in rows if t is not None])
        scores = {
            f"candidate_{i}": score_of(
                classification_scores(torch.cat([x[i] for x, _ in rows]).nan_to_num(), targets, self.task),
                self.judged_by,
            )
            for i in range(len(self.candidates))
        }
        return {**scores, "best": max(scores.values())}
