"""What the vectors in a folder were made of, and a stage that takes them from there instead of computing them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from classtoken.errors import BadRecord
from classtoken.places import Place
from classtoken.run.stage import Stage, StageBatch, StageSpec
from classtoken.sink.ledger import KnownPart, RowLedger
from classtoken.sink.manifest import META, has_manifest, read_manifest
from classtoken.sink.parquet import NEXT, RECEIPTS, receipts
from classtoken.sink.states import STATES
from classtoken.values import Indexed, Record, Reject, Rejected

STATE = f"{META}/{NEXT}"
"""where the new state of a folder is written"""
GIVEN_UP = "given_up"
"""receipts of a new state whose source changed again before it was done"""
AT_ONCE, NOTHING = 256, bytes(16)
"""records that are looked up at once; what stands for one whose content is not known"""


def state_of(place: Place) -> Place:
    """The folder in which a new state is written."""
    return place.below(STATE)


def ledger_of_state(place: Place) -> RowLedger:
    """What is known of the vectors in a folder."""
    return RowLedger(_parts(place))


def ledger_of_all(place: Place) -> RowLedger:
    """What is known of the vectors in a folder, in a new state of it that was begun, and in one that was given up."""
    state = place.below(STATE)
    return RowLedger([*_parts(place), *(part for kind in (RECEIPTS, GIVEN_UP) for part in _parts(state, kind))])


def _parts(place: Place, kind: str = RECEIPTS) -> list[KnownPart]:
    if not has_manifest(place):
        return []
    ranges = read_manifest(place).ranges
    return [KnownPart(place, receipt.part, ranges) for receipt in receipts(place, kind)]


@dataclass(frozen=True)
class KnownBatch:
    """Records whose vectors are there already: their places in the task, and in the ledger."""

    places: tuple[int, ...]
    tokens: tuple[int, ...]
    long: tuple[bool, ...]

    @property
    def size(self) -> int:
        """Nothing is read."""
        return 0

    def alone(self) -> Iterator["KnownBatch"]:
        """See `StageBatch.alone`."""
        for place, row, long in zip(self.places, self.tokens, self.long, strict=True):
            yield KnownBatch((place,), (row,), (long,))


class KnownStage:
    """A stage that takes what a ledger knows from the parts that are there, and leaves the rest to another stage."""

    def __init__(self, stage: Stage, ledger: RowLedger):
        self.stage, self.ledger = stage, ledger

    @property
    def columns(self) -> Mapping[str, int]:
        """Those of the other stage."""
        return self.stage.columns

    @property
    def token_size(self) -> int:
        """That of the other stage."""
        return self.stage.token_size

    def split(self, record: Record) -> Sequence[Record | Rejected]:
        """As the other stage does."""
        return self.stage.split(record)

    def batches(self, records: Iterator[Indexed], reject: Reject) -> Iterator[StageBatch]:
        """Batches of what is new, then one of what is known."""
        known: dict[int, int] = {}

        def unknown() -> Iterator[Indexed]:
            while some := list(islice(records, AT_ONCE)):
                hashes = [NOTHING if record.content is None else record.content.hash for _, record in some]
                rows = self.ledger.known(np.frombuffer(b"".join(hashes), "u8").reshape(-1, 2))
                for (place, record), row in zip(some, rows.tolist(), strict=True):
                    if row < 0:
                        yield place, record
                    else:
                        known[place] = row

        yield from self.stage.batches(unknown(), reject)
        if known:
            rows = tuple(known.values())
            yield KnownBatch(tuple(known), rows, tuple(self.ledger.rows["cut"][list(rows)].tolist()))

    def outcomes(self, batch: StageBatch) -> Iterator[tuple[StageBatch, Mapping[str, np.ndarray] | BadRecord]]:
        """See `Stage.outcomes`."""
        if isinstance(batch, KnownBatch):
            known: dict[str, np.ndarray] = self.ledger.vectors(batch.tokens, self.columns)
            if self.token_size:
                known[STATES] = self.ledger.states(batch.tokens)
            yield batch, known
        else:
            yield from self.stage.outcomes(batch)


@dataclass(frozen=True)
class KnownStageSpec:
    """A `KnownStage` as a value: another process opens it there."""

    stage: StageSpec
    place: Place

    def open(self) -> KnownStage:
        """Open the other stage, and read the ledgers."""
        return KnownStage(self.stage.open(), ledger_of_all(self.place))
