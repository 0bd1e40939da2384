"""A model that needs no weights: the vector of a text is four numbers of its hash. Also a program to be killed."""

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from classtoken.fingerprint import Fingerprint
from classtoken.run import Batch, Turned, run
from classtoken.run.stage import Placed
from classtoken.sink import Manifest, ParquetSink
from classtoken.source import make_plan, open_source

SIZE = 4


class FakeStage:
    """Batches of three, the longest first as a real one has them; 'bad' is turned away, 'nan' gives no number."""

    columns: Mapping[str, int] = {"hash": SIZE}

    def __init__(self, seconds: float = 0.0):
        self.seconds = seconds
        self.computed: list[str] = []

    def batches(self, records: Iterator[Placed]) -> Iterator[Batch | Turned]:
        texts: dict[int, str] = {}
        for place, record in records:
            if record.text == "bad":
                yield Turned(place, "is bad")
            else:
                texts[place] = record.text or ""
        places = sorted(texts, key=lambda place: -len(texts[place]))
        for begin in range(0, len(places), 3):
            here = tuple(places[begin : begin + 3])
            yield Batch(here, [texts[place] for place in here], cut=sum(len(texts[place]) > 9 for place in here))

    def vectors(self, batch: Batch) -> Mapping[str, np.ndarray]:
        time.sleep(self.seconds)
        self.computed += batch.tokens
        return {"hash": np.stack([vector(text) for text in batch.tokens])}


def vector(text: str) -> np.ndarray:
    """What the fake model gives for a text."""
    if text == "nan":
        return np.full(SIZE, np.nan, np.float32)
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=SIZE).digest(), np.uint8).astype(np.float32)


def embed(source: Path, out: Path, stage: FakeStage, *, part_rows: int = 5, strict: bool = False, report=None):
    """A run of the fake model."""
    opened = open_source(source)
    plan = make_plan(opened, task_rows=part_rows)
    manifest = Manifest(
        model="fake",
        revision=None,
        source=opened.name,
        kind=opened.kind,
        columns=dict(stage.columns),
        made_by=Fingerprint("w", "c", "p", "text", tuple(stage.columns), None, "fp32", "v"),
        plan=plan.hash,
        tasks=len(plan.tasks),
        total=plan.total,
    )
    with ParquetSink(out, manifest, plan.listing.meta) as sink:
        return run(opened, plan, stage, sink, strict=strict, report=report)


if __name__ == "__main__":
    embed(Path(sys.argv[1]), Path(sys.argv[2]), FakeStage(float(sys.argv[3])))
