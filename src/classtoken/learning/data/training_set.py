"""Records made ready to learn from: batches, labels, which rows are held out, and how they were prepared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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
    groups: NDArray[np.intp] | None = None
    """number of the group that each row belongs to; None where there are no groups"""
    taught: str = ""
    """hash of a teacher's answers that were computed beforehand"""

    @property
    def task(self) -> Task:
        """One label a row, or any number of them."""
        return "multi" if self.several else "single"

    def halves(self) -> tuple[Tensor, Tensor]:
        """The held-out rows in two: those that choose among settings or evaluations, and those that judge what was
        chosen, which are half or one fewer of every label. What chose is no judge: the best of ten looks better on the
        rows that chose it than it is. Groups stay whole."""
        held = self.held_out
        if self.groups is not None:
            key = torch.from_numpy(np.unique(self.groups[held.numpy()], return_inverse=True)[1])
            return held[key % 2 == 0], held[key % 2 == 1]
        known = self.data.targets
        targets = None if known is None or known.dim() == 2 else known[held.to(known.device)].cpu()
        order = torch.arange(len(held)) if targets is None else torch.argsort(targets, stable=True)
        return held[order[::2].sort().values], held[order[1::2].sort().values]

    @property
    def targets(self) -> Tensor:
        """The targets of all rows, of a set that has some."""
        assert self.data.targets is not None
        return self.data.targets
