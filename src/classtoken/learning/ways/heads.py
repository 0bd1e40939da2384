"""Heads and learned poolings on frozen features, a whole grid of learning rates trained at once.

DINOv2's linear protocol: every candidate sees the same batches, their losses are summed, the best is chosen on held-out
rows (`dinov2/eval/linear.py`); SGD with momentum and a cosine for heads alone, AdamW where a pooling is learned too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from classtoken.head import Head
from classtoken.learning.data.batches import Batch
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.supervised import Task, classification_loss, classification_scores
from classtoken.readout.readout import Readout
from classtoken.tensors import States, Tokens

SGD_RATES = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1, 1.0)
"""times batch / 256; on standardised vectors"""
ADAMW_RATES = (1e-4, 3e-4, 1e-3, 3e-3)


@dataclass(frozen=True)
class FrozenVectors:
    """Vectors (N, V) that no longer change, as batches: they travel where a model's pixels would."""

    vectors: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def train(self, rows: Tensor, generator: Generator) -> Batch:
        return self.plain(rows)

    def plain(self, rows: Tensor) -> Batch:
        x = self.vectors[rows]
        return Batch((Tokens(torch.zeros(len(x), 1, dtype=torch.long), pixels=x),), self.targets[rows], rows)


@dataclass(frozen=True)
class FrozenStates:
    """States (N, L, D) and roles (N, L) that no longer change, as batches."""

    states: Tensor
    roles: Tensor
    targets: Tensor
    grid: tuple[int, int] | None

    def __len__(self) -> int:
        return len(self.states)

    def train(self, rows: Tensor, generator: Generator) -> Batch:
        return self.plain(rows)

    def plain(self, rows: Tensor) -> Batch:
        tokens = Tokens(self.roles[rows].long(), pixels=self.states[rows], grid=self.grid)
        return Batch((tokens,), self.targets[rows], rows)


class OnVectors(nn.Module):
    """logits = head((vector - mean) / deviation)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, head: Head, mean: Tensor, scale: Tensor):
        super().__init__()
        self.head = head
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, tokens: Tokens) -> Tensor:
        assert tokens.pixels is not None
        return self.head((tokens.pixels - self.mean) / self.scale)


class OnStates(nn.Module):
    """logits = head(readout(states))."""

    def __init__(self, readout: Readout, head: Head):
        super().__init__()
        self.readout, self.head = readout, head

    def forward(self, tokens: Tokens) -> Tensor:
        assert tokens.pixels is not None
        return self.head(self.readout(States(tokens.pixels, tokens.roles_BL, tokens.grid)))


class Grid(Objective):
    """Several candidates, each with its own learning rate, trained on the same batches."""

    metric = "best"

    def __init__(
        self, candidates: Sequence[nn.Module], rates: Sequence[float], task: Task, weights_C: Tensor | None = None
    ):
        super().__init__()
        self.candidates = nn.ModuleList(candidates)
        self.rates, self.task, self.weights_C = tuple(rates), task, weights_C

    def rate_of(self, name: str) -> float | None:
        """The learning rate of a parameter by its name."""
        return self.rates[int(name.split(".")[1])]

    def logits(self, batch: Batch) -> list[Tensor]:
        """Every candidate's logits."""
        return [candidate(batch.views[0]) for candidate in self.candidates]

    def loss(self, batch: Batch) -> Tensor:
        """The sum of the candidates' losses: their gradients do not meet."""
        assert batch.targets is not None
        every = [classification_loss(x, batch.targets, self.task, 0.0, self.weights_C) for x in self.logits(batch)]
        return torch.stack(every).nan_to_num(nan=0.0, posinf=0.0).sum()

    def score(self, held_out: Iterator[Batch]) -> dict[str, float]:
        """Every candidate's accuracy (or mean average precision), by number, and the best of them."""
        rows = [(self.logits(batch), batch.targets) for batch in held_out]
        targets = torch.cat([t for _, t in rows if t is not None])
        name = "accuracy" if self.task == "single" else "mean_average_precision"
        scores = {
            f"candidate_{i}": classification_scores(torch.cat([x[i] for x, _ in rows]), targets, self.task)[name]
            for i in range(len(self.candidates))
        }
        return {**scores, "best": max(scores.values())}
