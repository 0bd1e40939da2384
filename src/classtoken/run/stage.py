"""What a run asks of a model: records become batches, batches vectors. Without torch; `embedding` has the real one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from classtoken.errors import BadRecord
from classtoken.values import Indexed, Record, Reject, Rejected


class StageBatch(Protocol):
    """Prepared records of one task: their places in it, what the stage computes vectors from (`tensors.Tokens`, as a
    rule), and which of them were longer than the model takes. `inputs.PreparedBatch` is one."""

    @property
    def places(self) -> tuple[int, ...]: ...

    @property
    def tokens(self) -> Any: ...

    @property
    def long(self) -> Sequence[bool]: ...

    @property
    def size(self) -> int:
        """How many tokens the model reads, for people; 0 where nobody knows."""
        ...

    def alone(self) -> Iterator["StageBatch"]:
        """Each record as a batch of its own."""
        ...


class Stage(Protocol):
    """What a run asks of a model. `batches` runs in a thread of its own, ahead of `vectors`."""

    @property
    def columns(self) -> Mapping[str, int]:
        """Name and size of each vector that a record gets."""

    @property
    def token_size(self) -> int:
        """Numbers of a token's state where these are kept beside the vectors (`sink.states`), else 0."""

    def split(self, record: Record) -> Sequence[Record | Rejected]:
        """The rows that a record becomes: itself, or chunks of its text; it is rejected where it cannot be cut."""

    def batches(self, records: Iterator[Indexed], reject: Reject) -> Iterator[StageBatch]:
        """The rows of one task, prepared; each is in one batch, or `reject` is called with its place and why."""

    def outcomes(self, batch: StageBatch) -> Iterator[tuple[StageBatch, Mapping[str, np.ndarray] | BadRecord]]:
        """Vectors of one batch by name, (rows, size) float32; in several parts where a record cannot be computed: that
        one is a batch of its own, and has the reason on one line. Token states stand under `sink.states.STATES`."""


class StageSpec(Protocol):
    """A stage as a small value: it goes to another process, which opens it there."""

    def open(self) -> Stage:
        """The stage, ready to work; loading it may take a while."""
