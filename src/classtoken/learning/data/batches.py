"""Batches: a function from the number of a step to what the model sees in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from classtoken.learning.loop.seeds import AUGMENT, generator_of, rows_of_step, steps_per_epoch
from classtoken.tensors import States, Tokens

Input = TypeVar("Input", Tokens, States, Tensor)
"""what is read: tokens by an encoder, frozen states by a learned pooling, frozen vectors by a head"""


@dataclass(frozen=True)
class TrainingBatch(Generic[Input]):
    """What one step sees: one or more views of the same rows, what is to be learned about them, and their row numbers.

    `targets` is (B,) of whole numbers for one label a row, (B, C) of numbers for several labels or mixed ones, and None
    for objectives that need no labels; a row of -1 (or of nan) has no label of its own. `taught` are a teacher's
    probabilities (B, C), where they were computed beforehand.
    """

    views: tuple[Input, ...]
    targets: Tensor | None
    rows: Tensor
    taught: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int) -> "TrainingBatch[Input]":
        """Some rows of it, for gradient accumulation."""
        views = tuple(rows_of(view, start, stop) for view in self.views)
        targets, taught = (None if t is None else t[start:stop] for t in (self.targets, self.taught))
        return TrainingBatch(views, targets, self.rows[start:stop], taught)


def rows_of(view: Any, start: int, stop: int) -> Any:
    """Rows start..stop of one view."""
    if isinstance(view, Tensor):
        return view[start:stop]
    if isinstance(view, States):
        return States(view.last_BLD[start:stop], view.roles_BL[start:stop], view.grid)
    return Tokens(
        view.roles_BL[start:stop],
        None if view.ids_BL is None else view.ids_BL[start:stop],
        None if view.pixels is None else view.pixels[start:stop],
        view.grid,
        None if view.grids is None else view.grids[start:stop],
        view.cut[start:stop],
    )


class Batches(Protocol):
    """Where batches come from. `train` is a pure function of the seed and the step."""

    @property
    def targets(self) -> Tensor | None: ...

    def __len__(self) -> int: ...

    def train(self, rows: Tensor, generator: torch.Generator) -> TrainingBatch: ...

    def plain(self, rows: Tensor) -> TrainingBatch: ...


@dataclass(frozen=True)
class Feed:
    """One part of the records (`rows`), in batches."""

    data: Batches
    rows: Tensor
    batch: int
    seed: int

    @property
    def steps(self) -> int:
        """Steps of one epoch."""
        return steps_per_epoch(len(self.rows), self.batch)

    def at(self, step: int) -> TrainingBatch:
        """The training batch of a step: its rows, augmented."""
        rows = self.rows[rows_of_step(len(self.rows), self.batch, self.seed, step)]
        return self.data.train(rows, generator_of(self.seed, AUGMENT, step))

    def in_order(self, batch: int | None = None) -> Iterator[TrainingBatch]:
        """All rows once, in order, as they are."""
        size = batch or max(self.batch, 256)
        for start in range(0, len(self.rows), size):
            yield self.data.plain(self.rows[start : start + size])
