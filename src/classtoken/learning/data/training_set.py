"""Records made ready to learn from: batches, labels, which rows are held out, and how they were prepared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from classtoken.learning.data.batches import Batches
from classtoken.learning.data.labels import Task
from classtoken.learning.data.split import Division
from classtoken.values import TEXT_POOLED, Record, Rejected, Role


def light(records: Iterable[Record]) -> tuple[Record, ...]:
    """The records without the bytes of their images: a path stays."""
    return tuple(record if isinstance(record.image, Path | None) else replace(record, image=None) for record in records)


@dataclass(frozen=True)
class TrainingSet:
    """Records made ready for an encoder or a head: what is learned from, what is held out, what could not be read."""

    data: Batches
    labels: tuple[str, ...]
    several: bool
    """rows may have several labels"""
    division: Division
    """what is learned from, what is held out, and what is never divided between them"""
    preparation: Sequence[Any]
    """what decides how records become tokens, in plain values"""
    refused: tuple[Rejected, ...] = ()
    positions: int | None = None
    """tokens that a pooling reads, at most"""
    grid: tuple[int, int] | None = None
    over: frozenset[Role] = TEXT_POOLED
    taught: str = ""
    """hash of a teacher's answers that were computed beforehand"""
    records: tuple[Record, ...] = ()
    """what the rows were made of, without the bytes of images; rows without labels may come behind them"""
    unread: tuple[str, ...] = ()
    """what is to be said of texts that are longer than the model takes"""

    @property
    def learned(self) -> Tensor:
        """The rows that are learned from."""
        return self.division.learned

    @property
    def held_out(self) -> Tensor:
        """The rows that are held out."""
        return self.division.held_out

    @property
    def groups(self) -> NDArray[np.intp] | None:
        """The number of the unit that each row belongs to; None where every row is one of its own."""
        return self.division.units

    @property
    def task(self) -> Task:
        """One label a row, or any number of them."""
        return "multi" if self.several else "single"

    def halves(self) -> tuple[Tensor, Tensor]:
        """The held-out rows in two: those that choose among settings or evaluations, and those that judge what was
        chosen, which are half or one fewer of every label. What chose is no judge: the best of ten looks better on the
        rows that chose it than it is. Groups and copies stay whole."""
        held = self.held_out
        of = np.arange(len(held)) if self.groups is None else self.groups[held.numpy()]
        _, first, unit = np.unique(of, return_index=True, return_inverse=True)
        known = self.data.targets
        targets = None if known is None or known.dim() == 2 else known[held.to(known.device)].cpu().numpy()
        order = np.arange(len(first)) if targets is None else np.argsort(targets[first], kind="stable")
        second = np.empty(len(first), dtype=bool)
        second[order] = np.arange(len(first)) % 2 == 1
        return held[~second[unit]], held[second[unit]]

    @property
    def targets(self) -> Tensor:
        """The targets of all rows, of a set that has some."""
        assert self.data.targets is not None
        return self.data.targets
