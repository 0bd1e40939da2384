"""Is a folder of vectors whole: files, checksums, counts, unique ids, finite vectors."""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from classtoken.errors import ClasstokenError, ManifestMismatch, StoreError
from classtoken.fingerprint import hash_bytes
from classtoken.places import Place, place_of
from classtoken.results.verify import Norms, VerifyResult
from classtoken.sink.beside import changed, stale
from classtoken.sink.ledger import RECORDS, ledger_of
from classtoken.sink.manifest import META, Manifest, Part, Receipt, is_as_sealed, read_manifest
from classtoken.sink.numbers import NUMBERS, TYPES, to_floats
from classtoken.sink.parquet import PROBES, receipt_of
from classtoken.sink.quarantine import NAME as QUARANTINE
from classtoken.sink.quarantine import read_quarantine
from classtoken.sink.rows import CONTENTS, contents_of, table_in
from classtoken.sink.states import from_table, state_fields
from classtoken.sink.vectors import check_made_alike
from classtoken.values import Rejected, Role

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
        yield from dict.fromkeys(changed(self.place))  # formats share their ids
        if self.manifest.complete:
            yield from self.kept()

    def quarantine(self) -> Iterator[str]:
        """The quarantine has a row for each record that was refused, as the receipts name them."""
        try:
            rows = read_quarantine(self.place)
        except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError):
            yield f"{META}/{QUARANTINE} is missing or cannot be read"
            return
        if self.manifest.complete and len(rows) != self.manifest.refused:
            yield f"{META}/{QUARANTINE} has {len(rows)} rows instead of {self.manifest.refused}"
        elif self.manifest.complete:
            told = yield from self.receipts()
            if told is not None and _named(told) != _named(rows):
                yield f"{META}/{QUARANTINE} names other records or reasons than the receipts"

    def receipts(self) -> Generator[str, None, tuple[Rejected, ...] | None]:
        """The receipts say what the manifest does; the records that they name as refused, where all are there."""
        refused: list[Rejected] = []
        missing = 0
        for part in self.manifest.parts:
            name = receipt_of(part.task)
            try:
                receipt = Receipt.from_json(self.place.read(name).decode())
            except FileNotFoundError:
                missing += 1  # its task is done again by the next run: nothing is wrong by that
                continue
            except StoreError:  # which says nothing of the receipt
                raise
            except (ClasstokenError, OSError, UnicodeDecodeError):
                yield f"{name} cannot be read; remove it, and run the same embed again"
                missing += 1
                continue
            if (receipt.part, receipt.lineage) != (part, self.manifest.lineage):
                yield f"{name} says something else than the manifest; remove it, and run the same embed again"
            refused += receipt.refused
        return None if missing else tuple(refused)

    def kept(self) -> Iterator[str]:
        """What is kept beside the parts, for later runs and proofs: the manifest itself, ledgers, golden vectors."""
        if not is_as_sealed(self.place):
            yield f"{META}/manifest.json has changed since it was written"
        for part in self.manifest.parts:
            name = ledger_of(part)
            with contextlib.suppress(FileNotFoundError):  # then its rows are computed again by an update
                if part.made_of and hash_bytes(self.place.read(name)) != part.made_of:
                    yield f"{name} has changed since it was written; remove it, and an update computes its rows again"
        with contextlib.suppress(FileNotFoundError):
            content = self.place.read(f"{META}/{PROBES}")
            try:
                table = table_in(content)
                said = (table.schema.metadata or {}).get(CONTENTS.encode())
                same = said is None or said.decode() == contents_of(table)
            except (pa.ArrowException, OSError, UnicodeDecodeError):
                same = False
            if not same:
                yield f"{META}/{PROBES} has changed since it was written; remove it, and run the same embed again"


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


def _named(refused: tuple[Rejected, ...]) -> list[tuple[str, str]]:
    """What a quarantine says of records: whether a reason is passing stands in receipts alone."""
    return [(entry.id, entry.reason) for entry in refused]
