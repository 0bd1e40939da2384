"""Frozen features: vectors, or the states of every token, computed once, kept in a folder, found again by what made
them.

They go through the same run and sink as `embed`'s vectors: part by part, each with its receipt, so that a stopped
training goes on where it was, and memory holds one part. What is kept is known by the model, the pooling and the
records; a training with another head, another pooling or another folder finds it there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.errors import SourceError
from classtoken.fingerprint import Fingerprint, hash_value
from classtoken.inputs import batches
from classtoken.learning.data.states_sink import ROLES, STATES, StatesSink, open_states
from classtoken.learning.data.training_set import light
from classtoken.options.shared import AS_USUAL
from classtoken.places import LocalPlace
from classtoken.run import run
from classtoken.run.embedding import EmbedStage
from classtoken.run.stage import StageBatch
from classtoken.sink import Manifest, ParquetSink, Vectors, read_quarantine
from classtoken.sink.manifest import has_manifest, read_manifest
from classtoken.source import make_plan
from classtoken.source.base import Entry, Listing, Shard, Source
from classtoken.tokens.decode import decode
from classtoken.values import Progress, Record, Rejected

VECTOR_ROWS = 512
"""records of one part of vectors: seconds of work"""
STATES_BYTES = 64 * 2**20
"""of one part of states"""
LARGE = 2**30
"""bytes of states from which on their size is said while they are made"""


@dataclass(frozen=True)
class ReadRecords:
    """The records of a training as they were read, and how to read them again, in the same order.

    `kept` are without the bytes of their images, which are read again when they are needed.
    """

    kept: tuple[Record, ...]
    again: Callable[[], Iterable[Record]]
    stamps: tuple[str, ...]
    """what each holds, hashed"""

    @classmethod
    def of(cls, again: Callable[[], Iterable[Record]], first: Iterable[Record] | None = None) -> "ReadRecords":
        """Read once what `again` gives; `first` gives the same, for whoever wants to see it pass by."""
        stamps: list[str] = []

        def stamped() -> Iterator[Record]:
            for record in again() if first is None else first:
                stamps.append(hash_value(_stamp(record)))
                yield record

        kept = light(stamped())
        return cls(kept, again, tuple(stamps))

    @property
    def first(self) -> Record:
        """The first record with its image. Raises `SourceError` where there is none."""
        for record in self.again():
            return record
        raise SourceError("no record could be read; give a source with images or texts.")


@dataclass(frozen=True)
class KeptStates:
    """States (N, L, D) in files, read row by row, and the roles of their tokens (N, L)."""

    parts: tuple[NDArray, ...]
    roles: Tensor
    device: str = "cpu"

    def __len__(self) -> int:
        return len(self.roles)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The states of these rows, (len(rows), L, D), read from the files."""
        wanted, ends = rows.cpu().numpy(), np.cumsum([len(part) for part in self.parts])
        found = np.empty((len(wanted), *self.parts[0].shape[1:]), np.float32)
        of_part = np.searchsorted(ends, wanted, side="right")
        for number in np.unique(of_part):
            here, before = of_part == number, 0 if number == 0 else ends[number - 1]
            found[here] = self.parts[number][wanted[here] - before]
        return torch.from_numpy(found).to(self.device)

    def to(self, device: str) -> "KeptStates":
        """The same, whose rows come to another device."""
        return replace(self, device=device)


@dataclass(frozen=True)
class Features:
    """Of the records that could be embedded: vectors (N, V) by pooling, and the states of every token where a learned
    pooling asks for them."""

    records: tuple[Record, ...]
    refused: tuple[Rejected, ...]
    vectors: Mapping[str, NDArray] = field(default_factory=dict)
    states: KeptStates | None = None
    cached: bool = False
    """all of it was there"""
    long: int = 0
    """texts that were longer than the model takes"""


def features(
    embedder: Embedder,
    records: ReadRecords,
    folder: Path,
    *,
    modality: str,
    poolings: Sequence[str] = (),
    states: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> Features:
    """Vectors of these poolings, from one pass, and with `states` those of every token; kept below `folder`.

    Raises `SourceError` where no record could be embedded.
    """
    contents = hash_value([*records.stamps])

    def key(pooling: str | None) -> str:
        made_by = embedder.fingerprint(pooling, modality=modality).hash()
        return hash_value([made_by, "states" if pooling is None else pooling, contents])[:16]

    keys = {pooling: key(pooling) for pooling in poolings}
    there = {pooling: _finished(folder, key) for pooling, key in keys.items()}
    missing = [pooling for pooling, place in there.items() if place is None]
    if missing:
        place = folder / "+".join(keys[pooling] for pooling in missing)
        _fill(records, place, VectorStage(embedder, modality, missing), report)
        there |= dict.fromkeys(missing, place)
    places = [place for place in there.values() if place is not None]
    if states:
        places.append(folder / f"states-{key(None)}")
        if _finished(folder, places[-1].name) is None:
            missing = [*missing, STATES]
            _fill(records, places[-1], StatesStage(embedder, modality, records), report)
    refused = read_quarantine(places[0])
    gone = {entry.id for entry in refused}
    usable = tuple(record for record in records.kept if record.id not in gone)
    if not usable:
        first = f" The first: {refused[0].id}: {refused[0].reason}" if refused else ""
        raise SourceError(f"none of the {len(records.kept)} records could be read.{first}")
    vectors = {pooling: _vectors(place, pooling, embedder, modality) for pooling, place in there.items() if place}
    kept_states = KeptStates(*open_states(places[-1], read_manifest(places[-1]))) if states else None
    long = read_manifest(places[0]).cut
    return Features(usable, refused, vectors, kept_states, cached=not missing, long=long)


class VectorStage(EmbedStage):
    """An embedder at work on several poolings, whatever it was loaded with."""

    what = "embedding the records"

    def __init__(self, embedder: Embedder, modality: str, poolings: Sequence[str]):
        super().__init__(embedder, modality)
        self.pooling = ",".join(poolings)

    @property
    def columns(self) -> Mapping[str, int]:
        """Name and size of each vector."""
        return self.embedder.columns(self.pooling, modality=self.modality)

    def vectors(self, batch: StageBatch) -> Mapping[str, NDArray]:
        """Vectors of one batch by name."""
        return self.embedder.vectors_of(batch.tokens, self.pooling, modality=self.modality)

    def fingerprint(self) -> Fingerprint:
        """What decides the vectors' numbers."""
        return self.embedder.fingerprint(self.pooling, modality=self.modality)

    @property
    def task_rows(self) -> int:
        """Records of one part."""
        return VECTOR_ROWS


class StatesStage(EmbedStage):
    """An embedder whose last states are kept, with the roles of their tokens: rows of the longest input's length."""

    def __init__(self, embedder: Embedder, modality: str, records: ReadRecords):
        super().__init__(embedder, modality)
        self.length = longest(embedder, modality, records)
        self.hidden = embedder.tower(modality).reading.encoder.hidden_size
        size = len(records.kept) * self.length * self.hidden * 4
        self.what = "states of every token" + (f" ({size / 2**30:.1f} GB)" if size >= LARGE else "")

    @property
    def columns(self) -> Mapping[str, int]:
        """States and roles, flat."""
        return {STATES: self.length * self.hidden, ROLES: self.length}

    def vectors(self, batch: StageBatch) -> Mapping[str, NDArray]:
        """States (rows, L * D) and roles (rows, L), filled up with padding."""
        with self.embedder.inference():
            tokens = batch.tokens.to(self.embedder.device, self.embedder.dtype)
            found = self.embedder.run(tokens, modality=self.modality)
        states, roles = found.last_BLD.float().cpu().numpy(), found.roles_BL.cpu().numpy()
        more = self.length - roles.shape[1]
        states = np.pad(states, [(0, 0), (0, more), (0, 0)])
        return {
            STATES: states.reshape(len(states), -1),
            ROLES: np.pad(roles, [(0, 0), (0, more)]).astype(np.float32),
        }

    @property
    def task_rows(self) -> int:
        """Records of one part."""
        return max(8, STATES_BYTES // (4 * self.length * self.hidden))


def longest(embedder: Embedder, modality: str, records: ReadRecords) -> int:
    """Tokens of the longest input: images have one length, texts are tokenized once to see."""
    tower = embedder.tower(modality)
    if tower.layout.length is not None:
        return tower.layout.length
    prepare = tower.prepare
    lengths = [
        batch.tokens.roles_BL.shape[1]
        for batch in batches(prepare, enumerate(records.again()), lambda place, why: None)
    ]
    return max(lengths, default=1)


class RecordsSource(Source):
    """Records of a training as a source of one file."""

    kind = "records"
    options = AS_USUAL
    name = "the records"

    def __init__(self, records: ReadRecords):
        self._records = records

    def scan(self, every: int, limit: int | None = None) -> Listing:
        count = len(self._records.kept)
        offsets = tuple(range(0, count, every))
        return Listing((Shard("", count, hash_value([*self._records.stamps]), offsets),))

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        for place, record in enumerate(self._records.again()):
            if place >= start:
                yield record


def _fill(
    records: ReadRecords, place: Path, stage: VectorStage | StatesStage, report: Callable[[Progress], None] | None
) -> None:
    """Compute what has no receipt yet."""

    def told(now: Progress) -> None:
        if report is not None:
            report(replace(now, what=stage.what))

    source = RecordsSource(records)
    plan = make_plan(source, task_rows=stage.task_rows)
    manifest = stage.manifest(source, plan)
    with _sink(place, manifest, stage) as sink:
        run(source, plan, stage, sink, report=told)


def _sink(place: Path, manifest: Manifest, stage: VectorStage | StatesStage) -> ParquetSink:
    return StatesSink(place, manifest) if isinstance(stage, StatesStage) else ParquetSink(place, manifest)


def _finished(folder: Path, key: str) -> Path | None:
    """The finished folder that has these features."""
    for place in sorted(folder.glob(f"*{key}*")):
        if has_manifest(LocalPlace(place)) and read_manifest(place).complete:
            return place
    return None


def _vectors(place: Path, pooling: str, embedder: Embedder, modality: str) -> NDArray:
    (name,) = embedder.columns(pooling, modality=modality)
    return Vectors(place, read_manifest(place)).matrix(name)


def _stamp(record: Record) -> list[object]:
    """A record's id and what it contains; of a file whose content is not known, its size and time."""
    if isinstance(record.image, Path) and record.content is not None:
        return [record.id, record.image.name, record.content.hash.hex()]
    if isinstance(record.image, Path):
        about = record.image.stat() if record.image.exists() else None
        return [record.id, record.image.name, about and about.st_size, about and about.st_mtime_ns]
    if record.image is None:
        return [record.id, record.text]
    held = record.image if isinstance(record.image, bytes) else decode(record.image).tobytes()
    return [record.id, hash_value(held.hex())]
