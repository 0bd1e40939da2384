"""Records made ready to learn from: batches, labels, which rows are held out, and what identifies them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from classtoken.learning.data.batches import Batches
from classtoken.learning.data.labels import Task
from classtoken.values import TEXT_POOLED, Record, Rejected, Role


@dataclass(frozen=True)
class TrainingSet:
    """Records made ready for an encoder or a head: what is learned from, what is held out, what could not be read."""

    data: Batches
    labels: tuple[str, ...]
    several: bool
    """rows may have several labels"""
    learned: Tensor
    held_out: Tensor
    contents: str
    """hash of the records, their labels and what they hold"""
    refused: tuple[Rejected, ...] = ()
    positions: int | None = None
    """tokens that a pooling reads, at most"""
    grid: tuple[int, int] | None = None
    over: frozenset[Role] = TEXT_POOLED

    @property
    def task(self) -> Task:
        """One label a row, or any number of them."""
        return "multi" if self.several else "single"

    @property
    def targets(self) -> Tensor:
        """The targets of all rows, of a set that has some."""
        assert self.data.targets is not None
        return self.data.targets


def contents_of(records: Sequence[Record], held: bytes) -> str:
    """A hash of records, their labels and what they hold."""
    digest = hashlib.sha256(json.dumps([[record.id, record.label] for record in records], default=list).encode())
    digest.update(held)
    return digest.hexdigest()
