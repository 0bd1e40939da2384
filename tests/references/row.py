"""A row of the reference table: what is computed, whose numbers it is held against, and how near they must be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Numbers = Sequence[Tensor | np.ndarray | float]


@dataclass(frozen=True)
class Row:
    """room: the table's part; source: what `theirs` runs, or what it is written from; tolerance: `far`, at most;
    on: the mode, the model, or whatever else rows of one name differ in."""

    room: str
    what: str
    source: str
    ours: Callable[[], Numbers]
    theirs: Callable[[], Numbers]
    tolerance: float
    on: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For a test's report."""
        return f"{self.room}: {', '.join((self.what, *self.on))} | {self.source}"


def plain(value: Tensor | np.ndarray | float) -> np.ndarray:
    """Any number as an array of float64."""
    if isinstance(value, Tensor):
        return value.detach().double().numpy()
    return np.asarray(value, dtype=np.float64)


def size(value: Tensor | np.ndarray | float) -> float:
    """The largest number, sign apart."""
    return float(np.abs(plain(value)).max())


def far(ours: Numbers, theirs: Numbers) -> float:
    """The largest difference, each part's relative to its largest number."""
    found = []
    for mine, other in zip(ours, theirs, strict=True):
        a, b = plain(mine), plain(other)
        assert a.shape == b.shape, (a.shape, b.shape)
        assert np.isfinite(a).all()
        found.append(float(np.abs(a - b).max()) / max(size(other), np.finfo(np.float64).tiny))
    return max(found)


def drawn(*shape: int, seed: int = 3) -> Tensor:
    """Numbers of the normal distribution."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
