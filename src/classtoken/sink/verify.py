"""Is a folder of vectors whole: files, checksums, counts, unique ids, finite vectors."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.errors import ManifestMismatch
from classtoken.files import user_path
from classtoken.fingerprint import hash_file
from classtoken.results.verify import Norms, VerifyResult
from classtoken.sink.manifest import META, Manifest, Part, read_manifest
from classtoken.sink.quarantine import NAME as QUARANTINE
from classtoken.sink.vectors import check_made_alike

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
    folder: Path
    manifest: Manifest
    lengths: dict[str, _Lengths] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    repeated: list[str] = field(default_factory=list)
    rows: int = 0

    def part(self, part: Part) -> Iterator[str]:
        """Everything about one file."""
        path = self.folder / part.file
        if not path.is_file():
            yield f"{part.file} is missing"
            return
        if hash_file(path) != part.checksum:
            yield f"{part.file} has changed since it was written (another checksum)"
            return
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            yield f"{part.file} cannot be read ({error})"
            return
        try:
            check_made_alike(table.schema, self.manifest, path)
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

    def vectors(self, part: Part, table: pa.Table) -> Iterator[str]:
        """The vectors of one file."""
        for name, size in self.manifest.columns.items():
            if name not in table.schema.names or table.schema.field(name).type != pa.list_(pa.float32(), size):
                yield f"{part.file} has no column '{name}' of {size} float32 numbers"
                continue
            values = table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            block = values.reshape(table.num_rows, size)
            self.lengths.setdefault(name, _Lengths()).add(block)
            if not np.isfinite(block).all():
                yield f"{part.file} has vectors '{name}' that are not finite"

    def whole(self) -> Iterator[str]:
        """What concerns all files together."""
        if not self.manifest.complete:
            yield "the run is not finished: run the same `classtoken embed` again"
        if self.repeated:
            yield f"ids that are not unique: {', '.join(map(repr, self.repeated[:NAMED]))}"
        listed = {part.file for part in self.manifest.parts}
        spare = sorted(path.name for path in self.folder.glob("part-*.parquet") if path.name not in listed)
        if spare and self.manifest.complete:
            yield f"files that the manifest does not list: {', '.join(spare[:NAMED])}"
        if self.manifest.complete and self.rows + self.manifest.refused != self.manifest.total:
            yield f"{self.rows} vectors and {self.manifest.refused} refused do not make {self.manifest.total} records"
        yield from self.quarantine()

    def quarantine(self) -> Iterator[str]:
        """The quarantine has a row for each record that was refused."""
        path = self.folder / META / QUARANTINE
        try:
            rows = pq.read_table(path).num_rows
        except (pa.ArrowException, OSError):
            yield f"{META}/{QUARANTINE} is missing or cannot be read"
            return
        if self.manifest.complete and rows != self.manifest.refused:
            yield f"{META}/{QUARANTINE} has {rows} rows instead of {self.manifest.refused}"


def verify(folder: str | Path) -> VerifyResult:
    """Check a folder of vectors against its manifest, reading every byte. Raises `OutputError` when there is none."""
    folder = user_path(folder)
    manifest = read_manifest(folder)
    check = _Check(folder, manifest)
    problems = [problem for part in manifest.parts for problem in check.part(part)]
    problems += check.whole()
    return VerifyResult(
        folder=folder.as_posix(),
        complete=manifest.complete,
        files=len(manifest.parts),
        rows=check.rows,
        refused=manifest.refused,
        total=manifest.total,
        norms={name: lengths.norms() for name, lengths in check.lengths.items()},
        problems=tuple(problems),
    )
