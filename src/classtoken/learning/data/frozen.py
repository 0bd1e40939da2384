"""Frozen features in batches: vectors for a head, states for a learned pooling."""

from dataclasses import dataclass

from torch import Generator, Tensor

from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.data.features import KeptStates
from classtoken.tensors import States


@dataclass(frozen=True)
class FrozenVectors:
    """Vectors (N, V) that no longer change."""

    vectors: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def to(self, device: str) -> "FrozenVectors":
        """The same on another device."""
        return FrozenVectors(self.vectors.to(device), self.targets.to(device))

    def train(self, rows: Tensor, generator: Generator) -> TrainingBatch[Tensor]:
        """These rows."""
        return self.plain(rows)

    def plain(self, rows: Tensor) -> TrainingBatch[Tensor]:
        """These rows."""
        return TrainingBatch((self.vectors[rows],), self.targets[rows], rows)


@dataclass(frozen=True)
class FrozenStates:
    """States (N, L, D), in memory or in files, and roles (N, L) that no longer change."""

    states: Tensor | KeptStates
    roles: Tensor
    targets: Tensor
    grid: tuple[int, int] | None

    def __len__(self) -> int:
        return len(self.states)

    def to(self, device: str) -> "FrozenStates":
        """The same on another device."""
        return FrozenStates(self.states.to(device), self.roles.to(device), self.targets.to(device), self.grid)

    def train(self, rows: Tensor, generator: Generator) -> TrainingBatch[States]:
        """These rows."""
        return self.plain(rows)

    def plain(self, rows: Tensor) -> TrainingBatch[States]:
        """These rows."""
        return TrainingBatch((States(self.states[rows], self.roles[rows].long(), self.grid),), self.targets[rows], rows)
