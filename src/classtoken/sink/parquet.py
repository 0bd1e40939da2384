"""Vectors to Parquet, a file per task; a stopped run goes on where it was.

DIR/part-00000.parquet ...     the vectors, and what is carried beside them: every reader of Parquet folders opens DIR
DIR/_meta/manifest.json        what, how, from what; complete only when everything is there
DIR/_meta/quarantine.parquet   id and reason of every record that has no vector; always there
DIR/_meta/receipts/            a receipt per finished file, written after it: what is done is what has a receipt
"""

import contextlib
import fcntl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.destination import check_folder, entries, refuse_strangers
from classtoken.errors import ClasstokenError, OutputError
from classtoken.files import UNFINISHED, remove_unfinished, whole_file, write_text
from classtoken.fingerprint import hash_file
from classtoken.sink.base import TaskRows
from classtoken.sink.manifest import (
    META,
    NAME,
    Manifest,
    Part,
    Receipt,
    manifest_path,
    read_manifest,
    refuse_first_format,
    summed,
)
from classtoken.sink.quarantine import NAME as QUARANTINE
from classtoken.sink.quarantine import write_quarantine
from classtoken.sink.rows import FINGERPRINT, PLAN, CarriedColumn, schema, to_table

RECEIPTS = "receipts"
LOCK = ".lock"
RESULTS = ("part-*.parquet", "predictions.csv", "report.html", "result.json")
"""what verbs write on top of a folder of vectors"""


@dataclass(frozen=True)
class ParquetPartWriter:
    """Writes parts into a folder that its owner has begun; goes to another process as it is."""

    folder: Path
    schema: pa.Schema
    carried: tuple[CarriedColumn, ...]
    vectors: tuple[str, ...]

    def write(self, rows: TaskRows) -> Receipt:
        """One task's file, then its receipt; when this returns, both are on the disk."""
        number = rows.task.number
        table = to_table(rows.records, rows.vectors, self.carried, self.schema)
        path = self.folder / f"part-{number:05d}.parquet"
        with whole_file(path) as temporary:
            pq.write_table(table, temporary, **self._settings())
        size = path.stat().st_size
        part = Part(number, path.name, len(rows.records), size, hash_file(path), len(rows.refused), rows.cut)
        receipt = Receipt(part, tuple(rows.refused))
        write_text(self.folder / META / RECEIPTS / f"{number:05d}.json", receipt.to_json() + "\n")
        return receipt

    def _settings(self) -> dict[str, object]:
        """Vectors do not get smaller by compression; everything else does."""
        others = [field.name for field in self.schema if field.name not in self.vectors]
        vectors = [f"{name}.list.element" for name in self.vectors]
        return {
            "compression": dict.fromkeys(others, "zstd") | dict.fromkeys(vectors, "none"),
            "use_dictionary": ["label", "group"],
            "write_statistics": ["id"],
        }


class ParquetSink:
    """Owns a folder of Parquet files (`sink.base.Sink`). One process at a time; `close` lets the next one in."""

    def __init__(
        self, folder: Path, manifest: Manifest, carried: Sequence[CarriedColumn] = (), *, overwrite: bool = False
    ):
        self.folder, self.overwrite = folder, overwrite
        self.manifest = manifest
        made = {FINGERPRINT: manifest.fingerprint.to_json(indent=None), PLAN: manifest.plan}
        self._writer = ParquetPartWriter(
            folder, schema(manifest.columns, carried, made), tuple(carried), tuple(manifest.columns)
        )
        self._lock: IO[str] | None = None

    @property
    def place(self) -> str:
        """The folder."""
        return self.folder.as_posix()

    def begin(self) -> Mapping[int, Part]:
        """Make the folder, or go on with it; the parts that are done. See `Sink.begin` for what is raised."""
        there, other = self._there()
        try:
            (self.folder / META / RECEIPTS).mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be written ({error.strerror}); give another folder.") from error
        self._remove_unfinished()
        if other:
            self._clear()
        if there is None or other:
            write_quarantine(self.folder / META, ())
            write_text(manifest_path(self.folder), self.manifest.to_json() + "\n")
        return {receipt.part.task: receipt.part for receipt in self._receipts()}

    def writer(self) -> ParquetPartWriter:
        """What writes a part, here or in another process."""
        return self._writer

    def finish(self) -> Manifest:
        """Write the quarantine and the complete manifest from the receipts. Raises `OutputError` if tasks are left."""
        receipts = sorted(self._receipts(), key=lambda receipt: receipt.part.task)
        left = self.manifest.tasks - len(receipts)
        if left:
            raise OutputError(f"{self.folder}: {left} of {self.manifest.tasks} tasks are not done; run it again.")
        whole = summed(self.manifest, tuple(receipt.part for receipt in receipts))
        if read_manifest(self.folder) != whole:
            write_quarantine(self.folder / META, [entry for receipt in receipts for entry in receipt.refused])
            write_text(manifest_path(self.folder), whole.to_json() + "\n")
        return whole

    def close(self) -> None:
        """Let another run write to this folder."""
        if self._lock is not None:
            self._remove_unfinished()  # an interrupt may come at any moment
            self._lock.close()
            self._lock = None

    def __enter__(self) -> "ParquetSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _remove_unfinished(self) -> None:
        for folder in (self.folder, self.folder / META, self.folder / META / RECEIPTS):
            remove_unfinished(folder)

    def _there(self) -> tuple[Manifest | None, bool]:
        """The manifest that is there, None for a place where nothing is yet; and whether it is of other work, which
        may be replaced."""
        check_place(self.folder, overwrite=self.overwrite)
        if not manifest_path(self.folder).exists():
            return None, False
        there = read_manifest(self.folder)
        other = bool(self.manifest.differences(there))
        if not self.overwrite:
            self.manifest.refuse_others(there, self.folder)
        return there, other

    def _clear(self) -> None:
        """Remove every result, but the lock that is held."""
        for pattern in RESULTS:
            for path in self.folder.glob(pattern):
                path.unlink()
        for path in (self.folder / META).rglob("*"):
            if path.is_file() and path.name != LOCK:
                path.unlink()

    def _take_lock(self) -> None:
        self._lock = (self.folder / META / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise OutputError(
                f"another run is writing to {self.folder}; wait for it, or give another folder."
            ) from None

    def _receipts(self) -> Iterator[Receipt]:
        """Of every task that is done: one whose file has gone or changed its size is done again."""
        for path in sorted((self.folder / META / RECEIPTS).glob("*.json")):
            # A receipt that cannot be read is none.
            with contextlib.suppress(ClasstokenError, OSError, UnicodeDecodeError):
                receipt = Receipt.from_json(path.read_text(encoding="utf-8"))
                file = self.folder / receipt.part.file
                if file.is_file() and file.stat().st_size == receipt.part.bytes:
                    yield receipt


def check_place(folder: Path, *, overwrite: bool = False) -> None:
    """Raise `OutputError` for a folder that is not empty and holds no vectors; before any work, and again by `begin`.

    With `overwrite`, whose results would be removed, for one that holds anything besides, too.
    """
    check_folder(folder, {})
    if not manifest_path(folder).exists():
        refuse_first_format(folder)
        refuse_strangers(folder, _strange(folder), "vectors")
    elif overwrite:
        ours = {path.name for pattern in (*RESULTS, META) for path in folder.glob(pattern)}
        refuse_strangers(folder, entries(folder) - ours, "results of classtoken alone")


def _strange(folder: Path) -> Iterator[str]:
    """What is in a folder besides what a run that was stopped at its very beginning leaves."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.name != META:
            yield path.name
        elif path.is_dir():
            ours = {LOCK, RECEIPTS, QUARANTINE, NAME}
            yield from (
                f"{META}/{p.name}" for p in path.iterdir() if p.name not in ours and not p.name.endswith(UNFINISHED)
            )
