"""A stage that needs no model, for those who write an engine or a sink.

    from classtoken.testing.stages import FakeStage

    run(source, plan, FakeStage(), sink)

The vector of a text is four numbers of its hash, so that every row can be told from every other and computed again with
`fake_vector`. The texts 'bad' and 'nan' are refused: one cannot be prepared, the other gives no finite number. 'kill'
kills the process that computes it, as a picture may that crashes its decoder.
"""

import hashlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from classtoken.values import Indexed, Record, Reject, Rejected

SIZE = 4
ROWS = 3
"""of a batch"""
LONG = 9
"""characters; longer texts count as cut"""


@dataclass(frozen=True)
class FakeStageSpec:
    """Opens a `FakeStage` in any process; each batch takes `seconds`."""

    seconds: float = 0.0

    def open(self) -> "FakeStage":
        """The stage."""
        return FakeStage(self.seconds)


@dataclass(frozen=True)
class FakeBatch:
    """Texts, and their places in the task."""

    places: tuple[int, ...]
    tokens: list[str]
    long: tuple[bool, ...]

    size = 0

    def alone(self) -> Iterator["FakeBatch"]:
        """Each text on its own."""
        for place, text in zip(self.places, self.tokens, strict=True):
            yield FakeBatch((place,), [text], (len(text) > LONG,))


class FakeStage:
    """Batches of three, the longest first as a real stage has them. `computed` lists the texts that had vectors."""

    columns: Mapping[str, int] = {"hash": SIZE}

    def __init__(self, seconds: float = 0.0):
        self.seconds = seconds
        self.computed: list[str] = []

    gpus = 0
    token_size = 0

    def split(self, record: Record) -> Sequence[Record]:
        """Nothing is cut."""
        return (record,)

    def specs(self, count: int, *, spread: bool) -> Sequence[FakeStageSpec]:
        """Itself for each of several workers."""
        return [FakeStageSpec(self.seconds)] * count

    def batches(self, records: Iterator[Indexed], reject: Reject) -> Iterator[FakeBatch]:
        """The records of one task in batches; 'bad' is rejected."""
        texts: dict[int, str] = {}
        for place, record in records:
            if record.text == "bad":
                reject(place, Rejected(record.id, "is bad"))
            else:
                texts[place] = record.text or ""
        places = sorted(texts, key=lambda place: -len(texts[place]))
        for begin in range(0, len(places), ROWS):
            here = tuple(places[begin : begin + ROWS])
            yield FakeBatch(here, [texts[place] for place in here], tuple(len(texts[place]) > LONG for place in here))

    def outcomes(self, batch: FakeBatch) -> Iterator[tuple[FakeBatch, Mapping[str, np.ndarray]]]:
        """The vectors of one batch."""
        yield batch, self.vectors(batch)

    def vectors(self, batch: FakeBatch) -> Mapping[str, np.ndarray]:
        """The same, without the batch."""
        time.sleep(self.seconds)
        self.computed += batch.tokens
        if "kill" in batch.tokens:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"hash": np.stack([fake_vector(text) for text in batch.tokens])}


def fake_vector(text: str) -> np.ndarray:
    """What a `FakeStage` gives for a text."""
    if text == "nan":
        return np.full(SIZE, np.nan, np.float32)
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=SIZE).digest(), np.uint8).astype(np.float32)
