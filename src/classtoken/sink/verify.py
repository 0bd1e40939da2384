"""Is a folder of vectors whole: files, checksums, counts, unique ids, finite vectors."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from classtoken.errors import ManifestMismatch
from classtoken.fingerprint import hash_bytes
from classtoken.places import Place, place_of
from classtoken.results.verify import Norms, VerifyResult
from classtoken.sink.beside import stale
from classtoken.sink.ledger import RECORDS, ledger_of
from classtoken.sink.manifest import META, Manifest, Part, read_manifest
from classtoken.sink.numbers import NUMBERS, TYPES, to_floats
from classtoken.sink.quarantine import NAME as QUARANTINE
from classtoken.sink.rows import table_in
from classtoken.sink.states import from_table, state_fields
from classtoken.sink.vectors import check_made_alike
from classtoken.values import Role

#: Problems of one kind that are listed.
NAMED = 5


@dataclass
class _Lengths:
    smallest: float = np.inf
    largest: float = 0.0
    total: float = 0.0
    count: int = 0
    finite: bool = True

    def add(self, block: np.ndarray) -> None:
        """Look at one file's vectors."""
        lengths = np.linalg.norm(block.astype(np.float64), axis=1)
        good = lengths[np.isfinite(lengths)]
        self.finite &= len(good) == len(lengths)
        if len(good):
            self.smallest, self.largest = min(self.smallest, good.min()), max(self.largest, good.max())
            self.total, self.count = self.total + good.sum(), self.count + len(good)

    def norms(self) -> Norms:
        """What was seen."""
        smallest = self.smallest if self.count else 0.0
        return Norms(float(smallest), float(self.total / max(self.count, 1)), float(self.largest), self.finite)


@dataclass
class _Check:
    place: Place
    manifest: Manifest
    lengths: dict[str, _Lengths] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    repeated: list[str] = field(default_factory=list)
    rows: int = 0

    def part(self, part: Part) -> Iterator[str]:
        """Everything about one file."""
        try:
            content = self.place.read(part.file)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            yield f"{part.file} is missing" if gone else f"{part.file} cannot be read ({error})"
            return
        if hash_bytes(content) != part.checksum:
            yield f"{part.file} has changed since it was written (another checksum)"
            return
        try:
            table = table_in(content)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            yield f"{part.file} cannot be read ({error})"
            return
        try:
            check_made_alike(table.schema, self.manifest, f"{self.place.name}/{part.file}")
        except ManifestMismatch as error:
            yield str(error)
        if table.num_rows != part.rows:
            yield f"{part.file} has {table.num_rows} rows instead of {part.rows}"
        self.rows += table.num_rows
        for identity in table.column("id").to_pylist():
            if identity in self.seen:
                self.repeated.append(identity)
            self.seen.add(identity)
        yield from self.vectors(part, table)
        if self.manifest.tokens:
            yield from self.states(part, table)

    def states(self, part: Part, table: pa.Table) -> Iterator[str]:
        """The states of tokens in one file."""
        kinds = {field.name: field.type for field in state_fields(self.manifest.tokens, TYPES[self.manifest.store])}
        there = {field.name: field.type for field in table.schema}
        wrong = [name for name, kind in kinds.items() if there.get(name) != kind]
        if wrong:
            yield f"{part.file} has no column '{wrong[0]}' of token states of size {self.manifest.tokens}"
            return
        for name, one in zip(table.column("id").to_pylist(), from_table(table), strict=True):
            patches = len(one.of(Role.CONTENT))
            if not np.isfinite(one.states).all():
                yield f"{part.file} has token states of '{name}' that are not finite"
            if len(one.states) != len(one.roles) or (one.grid is not None and patches != one.grid[0] * one.grid[1]):
                yield f"{part.file} has {len(one.states)} token states of '{name}' that do not fit roles and grid"

    def vectors(self, part: Part, table: pa.Table) -> Iterator[str]:
        """The vectors of one file."""
        for name, size in self.manifest.columns.items():
            if name not in table.schema.names or table.schema.field(name).type != pa.list_(
                TYPES[self.manifest.store], size
            ):
                yield f"{part.file} has no column '{name}' of {size} {NUMBERS[self.manifest.store]} numbers"
                continue
            values = table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            block = to_floats(values.reshape(table.num_rows, size), self.manifest.ranges.get(name))
            self.lengths.setdefault(name, _Lengths()).add(block)
            if not np.isfinite(block).all():
                yield f"{part.file} has vectors '{name}' that are not finite"

    def whole(self) -> Iterator[str]:
        """What concerns all files together."""
        if not self.manifest.complete:
            yield "the run is not finished: run the same `classtoken embed` again"
        if self.repeated:
            yield f"ids that are not unique: {', '.join(map(repr, self.repeated[:NAMED]))}"
        spare = garbage(self.place, self.manifest)
        if spare and self.manifest.complete:
            yield f"files that the manifest does not list: {', '.join(spare[:NAMED])}"
        if old := stale(self.place, self.manifest):
            yield f"{', '.join(old[:NAMED])}: of an earlier state of these vectors; run the same embed again"
        whole = self.manifest.total + self.manifest.kept + self.manifest.extra
        if self.manifest.complete and self.rows + self.manifest.refused != whole:
            more = f" and {self.manifest.extra} chunks more" if self.manifest.extra else ""
            refused = f"{self.manifest.refused} refused"
            yield f"{self.rows} vectors and {refused} do not make {self.manifest.total} records{more}"
        yield from self.quarantine()

    def quarantine(self) -> Iterator[str]:
        """The quarantine has a row for each record that was refused."""
        try:
            content = self.place.read(f"{META}/{QUARANTINE}")
            rows = table_in(content).num_rows
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            yield f"{META}/{QUARANTINE} is missing or cannot be read"
            return
        if self.manifest.complete and rows != self.manifest.refused:
            yield f"{META}/{QUARANTINE} has {rows} rows instead of {self.manifest.refused}"


def garbage(place: Place, manifest: Manifest) -> list[str]:
    """Parts, and what they were made of, that the manifest does not list: a writer that was killed, or came second."""
    listed = {name for part in manifest.parts for name in (part.file, ledger_of(part))}
    ours = (name for name in place.sizes() if name.startswith(("part-", f"{META}/{RECORDS}/")))
    return sorted(name for name in ours if name not in listed)


def verify(folder: str | Path | Place, *, clean: bool = False) -> VerifyResult:
    """Check a folder of vectors against its manifest, reading every byte. Raises `OutputError` when there is none.

    clean: first remove the parts that the manifest of a finished folder does not list.
    """
    place = place_of(folder)
    manifest = read_manifest(place)
    removed = garbage(place, manifest) if clean and manifest.complete else []
    for name in removed:
        place.delete(name)
    check = _Check(place, manifest)
    problems = [problem for part in manifest.parts for problem in check.part(part)]
    problems += check.whole()
    return VerifyResult(
        folder=place.name,
        complete=manifest.complete,
        files=len(manifest.parts),
        rows=check.rows,
        refused=manifest.refused,
        total=manifest.total,
        norms={name: lengths.norms() for name, lengths in check.lengths.items()},
        problems=tuple(problems),
        removed=len(removed),
    )
