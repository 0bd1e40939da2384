"""What a run asks of a place for vectors: one process owns it, any process may write a part of it.

The owner is a `Sink`: it makes the place or goes on with it, keeps others out, and closes it when every task is done.
What it hands out is a `PartWriter`, a small value that goes to another process and turns the rows of one task into one
part and its receipt. Whoever has a receipt knows that its part is safe; the owner needs nothing else from a writer.

`testing.sinks.check_sink` is a battery for sinks, `testing.json_sink` one that is easily read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from classtoken.sink.manifest import Manifest, Part, Receipt
from classtoken.sink.states import TokenStates
from classtoken.values import Record, Rejected, Task


@dataclass(frozen=True)
class TaskRows:
    """What became of one task: records with their vectors, in the order of the source, and those that have none.

    `vectors[name]` is (len(records), size) float32. `long` says of each record whether it was longer than the model
    takes; `cut` counts them. `extra` counts the rows, refused ones among them, beyond one for each record of the
    source (a text that became three chunks has two). `states` are those of every record's tokens, where they are kept.
    `refused_of` says of each refused record what it held (`Receipt.refused_of`).
    """

    task: Task
    records: Sequence[Record]
    vectors: Mapping[str, np.ndarray]
    refused: Sequence[Rejected] = ()
    long: Sequence[bool] = ()
    extra: int = 0
    states: Sequence[TokenStates] = ()
    refused_of: Sequence[str] = ()

    @property
    def cut(self) -> int:
        """Records that were longer than the model takes."""
        return sum(self.long)


class PartWriter(Protocol):
    """Writes one part at a time. It can be pickled, and several may write at once, each another task."""

    def write(self, rows: TaskRows) -> Receipt:
        """One task's part, then its receipt; when this returns, both will outlive a crash. Raises `OutputError`.

        Of a task that is written twice the first receipt stands, and is what both writers get.
        """


class Sink(Protocol):
    """The owner of a place for vectors: `begin`, then every task that is left through a writer, then `finish`."""

    @property
    def place(self) -> str:
        """What the place is called, for messages."""

    def begin(self) -> Mapping[int, Part]:
        """Make the place, or go on with it and keep others out: the parts that are done, by the number of their task.

        Raises `ManifestMismatch` when it holds vectors made in another way, `OutputError` when it holds anything else,
        cannot be written, or another run is at work there. Then nothing in it has been changed.
        """

    def writer(self) -> PartWriter:
        """What writes a part, here or in another process."""

    def finish(self) -> Manifest:
        """Close the place from its receipts. Raises `OutputError` when tasks are left."""

    def close(self) -> None:
        """Let another run in; what was written stays."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
