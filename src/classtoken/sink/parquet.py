"""Vectors to Parquet, a file per task; a stopped run goes on where it was.

DIR/part-00000.parquet ...   the vectors
DIR/quarantine.parquet       id and reason of every record that has none; always there
DIR/manifest.json            what, how, from what; complete only when everything is there
DIR/receipts/                a receipt per finished file, written after it: what is done is what has a receipt
"""

import contextlib
import fcntl
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.errors import ClasstokenError, OutputError
from classtoken.files import remove_unfinished, whole_file, write_text
from classtoken.fingerprint import hash_file
from classtoken.results.base import Result
from classtoken.sink.manifest import NAME, Manifest, Part, read_manifest, summed
from classtoken.sink.rows import QUARANTINE, schema, to_table
from classtoken.values import Record, Refused, Task

RECEIPTS = "receipts"
QUARANTINE_NAME = "quarantine.parquet"
LOCK = ".lock"


@dataclass(frozen=True)
class Receipt(Result):
    """Says that a task is done: its file is on the disk, and these records are not in it."""

    part: Part
    refused: tuple[Refused, ...]


class ParquetSink:
    """Takes the rows of tasks in any order. `begin`, then `put` for each task that is left, then `finish`.

    One process writes a folder at a time; `close` (or leaving the `with` block) lets the next one in.
    """

    def __init__(self, folder: Path, manifest: Manifest, meta: Mapping[str, pa.DataType]):
        self.folder = folder
        self.manifest = manifest
        made_by = json.dumps(asdict(manifest.made_by), sort_keys=True)
        self._schema = schema(manifest.columns, meta, {"classtoken.made_by": made_by, "classtoken.plan": manifest.plan})
        self._parts: dict[int, Part] = {}
        self._lock: IO[str] | None = None

    def begin(self) -> frozenset[int]:
        """Make the folder, or go on with it; the numbers of the tasks that are done.

        Raises `ManifestMismatch` when it holds vectors made in another way, `OutputError` when it holds anything else
        or another run is writing to it.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(f"{self.folder} is a file; give a folder to --out.")
        there = self._there()
        try:
            (self.folder / RECEIPTS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be made ({error.strerror}); give another folder.") from error
        self._take_lock()
        for folder in (self.folder, self.folder / RECEIPTS):
            remove_unfinished(folder)
        if there is None:
            self._write_quarantine([])
            write_text(self.folder / NAME, self.manifest.to_json() + "\n")
        self._parts = {part.task: part for part, _ in self._receipts() if self._is_there(part)}
        return frozenset(self._parts)

    def put(
        self,
        task: Task,
        records: Sequence[Record],
        vectors: Mapping[str, np.ndarray],
        refused: Sequence[Refused],
        *,
        cut: int = 0,
    ) -> Part:
        """Write one task's file, then its receipt; when this returns, both are on the disk."""
        table = to_table(records, vectors, self._schema)
        path = self.folder / f"part-{task.number:05d}.parquet"
        with whole_file(path) as temporary:
            pq.write_table(table, temporary, **self._settings())
        part = Part(task.number, path.name, len(records), path.stat().st_size, hash_file(path), len(refused), cut)
        write_text(self._receipt(task.number), Receipt(part, tuple(refused)).to_json() + "\n")
        self._parts[task.number] = part
        return part

    def finish(self) -> Manifest:
        """Write the quarantine and the complete manifest from the receipts. Raises `OutputError` if tasks are left."""
        left = self.manifest.tasks - len(self._parts)
        if left:
            raise OutputError(f"{self.folder}: {left} of {self.manifest.tasks} tasks are not done; run it again.")
        whole = summed(self.manifest, self.done)
        if read_manifest(self.folder) != whole:
            self._write_quarantine([entry for _, refused in self._receipts() for entry in refused])
            write_text(self.folder / NAME, whole.to_json() + "\n")
        return whole

    @property
    def done(self) -> tuple[Part, ...]:
        """The finished files."""
        return tuple(self._parts[number] for number in sorted(self._parts))

    def close(self) -> None:
        """Let another run write to this folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> "ParquetSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _there(self) -> Manifest | None:
        """The manifest that is there, if it is of the same work."""
        if not self.folder.exists():
            return None
        names = {path.name for path in self.folder.iterdir()}
        if NAME in names:
            there = read_manifest(self.folder)
            self.manifest.refuse_others(there, self.folder)
            return there
        strange = sorted(names - {LOCK, RECEIPTS, QUARANTINE_NAME} - {name for name in names if name.startswith(".")})
        if strange:
            raise OutputError(f"{self.folder} is not empty ('{strange[0]}') and holds no vectors; give a new folder.")
        return None

    def _take_lock(self) -> None:
        self._lock = (self.folder / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise OutputError(
                f"another run is writing to {self.folder}; wait for it, or give another folder."
            ) from None

    def _is_there(self, part: Part) -> bool:
        """Whether the file of a receipt is there; one that has gone or changed its size is made again."""
        path = self.folder / part.file
        return path.is_file() and path.stat().st_size == part.bytes

    def _receipt(self, number: int) -> Path:
        return self.folder / RECEIPTS / f"{number:05d}.json"

    def _receipts(self) -> list[tuple[Part, tuple[Refused, ...]]]:
        found = []
        for path in sorted((self.folder / RECEIPTS).glob("*.json")):
            # A receipt that cannot be read is none: its task is done again.
            with contextlib.suppress(ClasstokenError, OSError, UnicodeDecodeError):
                receipt = Receipt.from_json(path.read_text(encoding="utf-8"))
                found.append((receipt.part, receipt.refused))
        return found

    def _write_quarantine(self, refused: Sequence[Refused]) -> None:
        write_quarantine(self.folder, refused)

    def _settings(self) -> dict[str, object]:
        """Vectors do not get smaller by compression; everything else does."""
        leaves = {field.name: field.name for field in self._schema if field.name not in self.manifest.columns}
        vectors = [f"{name}.list.element" for name in self.manifest.columns]
        return {
            "compression": dict.fromkeys(leaves, "zstd") | dict.fromkeys(vectors, "none"),
            "use_dictionary": ["label", "group"],
            "write_statistics": ["id"],
        }


def write_quarantine(folder: Path, refused: Sequence[Refused]) -> None:
    """`folder/quarantine.parquet`: id and reason of every record that was refused."""
    columns = [[entry.id for entry in refused], [entry.reason for entry in refused]]
    table = pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], schema=QUARANTINE)
    with whole_file(folder / QUARANTINE_NAME) as temporary:
        pq.write_table(table, temporary)
