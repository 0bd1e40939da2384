"""Vectors to Parquet, a file per task; a stopped run goes on where it was. On this machine or in any store.

DIR/part-00000-1f3a....parquet ...  the vectors, and what is carried beside them: readers of Parquet folders open DIR
DIR/_meta/manifest.json             what, how, from what; complete only when everything is there
DIR/_meta/quarantine.parquet        id and reason of every record that has no vector; always there
DIR/_meta/receipts/                 a receipt per finished file, put after it: what is done is what has a receipt
DIR/_meta/records/                  what each row was made of (`ledger`)

A part is called by a hash of its bytes, and its receipt is put only where there is none. So of two writers of one task
one wins, whatever a store loses or does twice, and what the other has put is a file that nothing lists.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.destination import check_folder, refuse_strangers
from classtoken.errors import ClasstokenError, OutputError, StoreError
from classtoken.fingerprint import hash_bytes, hash_value
from classtoken.places import LocalPlace, Lock, Place, place_of
from classtoken.sink.base import TaskRows
from classtoken.sink.ledger import RECORDS, entries, ledger_of, to_bytes
from classtoken.sink.manifest import (
    META,
    NAME,
    Manifest,
    Part,
    Receipt,
    has_manifest,
    read_manifest,
    refuse_first_format,
    summed,
    write_manifest,
)
from classtoken.sink.numbers import TYPES, Ranges, Store, to_stored
from classtoken.sink.quarantine import NAME as QUARANTINE
from classtoken.sink.quarantine import quarantine_is_whole, write_quarantine
from classtoken.sink.rows import FINGERPRINT, CarriedColumn, schema, to_table

RECEIPTS, NEXT = "receipts", "next"
PROBES = "probes.parquet"
"""vectors of a few inputs, by which a folder is proved (`audit.golden`)"""
LOCK = ".lock"
RESULTS = ("predictions.csv", "report.html", "result.json")
"""what verbs write on top of a folder of vectors, besides parts"""
#: Signs of a part's hash that are in its name.
NAMED = 12


@dataclass(frozen=True)
class ParquetPartWriter:
    """Writes parts into a place that its owner has begun; goes to another process as it is."""

    place: Place
    schema: pa.Schema
    carried: tuple[CarriedColumn, ...]
    vectors: tuple[str, ...]
    store: Store = "fp32"
    ranges: Mapping[str, Ranges] = field(default_factory=dict)
    times: str = ""

    def write(self, rows: TaskRows) -> Receipt:
        """One task's file, then its receipt; when this returns, both are there to stay."""
        stored = {n: to_stored(block, self.store, self.ranges.get(n)) for n, block in rows.vectors.items()}
        table = to_table(rows.records, stored, self.carried, self.schema, rows.states)
        made_of = entries(rows.records, self.carried, rows.long)
        clipped = sum(self.ranges[name].clipped(rows.vectors[name]) for name in self.ranges)
        begun = Part(rows.task.number, clipped=clipped, extra=rows.extra, stamp=rows.task.stamp)
        return self._put(begun, table, made_of, rows)

    def put(self, begun: Part, table: pa.Table, made_of: np.ndarray) -> Receipt:
        """A part's rows as they are, and the ledger of what they were made of; `begun` says what neither does."""
        return self._put(begun, table, made_of)

    def _put(self, begun: Part, table: pa.Table, made_of: np.ndarray, rows: TaskRows | None = None) -> Receipt:
        refused, refused_of = ((), ()) if rows is None else (tuple(rows.refused), tuple(rows.refused_of))
        content = parquet_bytes(table, self.vectors)
        ledger = to_bytes(made_of)
        checksum = hash_bytes(content)
        part = replace(
            begun,
            file=f"part-{begun.task:05d}-{checksum[:NAMED]}.parquet",
            rows=table.num_rows,
            bytes=len(content),
            checksum=checksum,
            refused=len(refused),
            cut=int(made_of["cut"].sum()),
            made_of=hash_bytes(ledger),
        )
        self.place.put(ledger_of(part), ledger)
        self.place.put(part.file, content)
        return commit(self.place, Receipt(part, refused, times=self.times, refused_of=refused_of))


def parquet_bytes(table: pa.Table, vectors: Sequence[str]) -> bytes:
    """A table as a Parquet file. Vectors do not get smaller by compression; everything else does."""
    others = [field.name for field in table.schema if field.name not in vectors]
    numbers = [f"{name}.list.element" for name in vectors]
    buffer = pa.BufferOutputStream()
    pq.write_table(
        table,
        buffer,
        compression=dict.fromkeys(others, "zstd") | dict.fromkeys(numbers, "none"),
        use_dictionary=[name for name in ("label", "group") if name in others],
        write_statistics=["id"],
    )
    return buffer.getvalue().to_pybytes()


def receipt_of(task: int) -> str:
    """The name of a task's receipt."""
    return f"{META}/{RECEIPTS}/{task:05d}.json"


def commit(place: Place, receipt: Receipt) -> Receipt:
    """Put a receipt where there is none; the one that stands, this or another writer's."""
    name, lineage = receipt_of(receipt.part.task), read_manifest(place).lineage
    ours = replace(receipt, lineage=lineage)
    for _ in range(2):
        if place.put_new(name, f"{ours.to_json()}\n".encode()):
            return ours
        there = Receipt.from_json(place.read(name))
        if there.lineage == lineage:
            return there
        place.delete(name)  # of another folder
    raise OutputError(f"{place.name}: receipts of another folder come again and again; give a folder of its own.")


class ParquetSink:
    """Owns a place of Parquet files (`sink.base.Sink`). One process at a time, where the place has locks.

    shared: others write other tasks of the same work at the same time; whoever finishes must be alone.
    """

    def __init__(
        self,
        folder: str | Path | Place,
        manifest: Manifest,
        carried: Sequence[CarriedColumn] = (),
        *,
        overwrite: bool = False,
        shared: bool = False,
    ):
        self.folder, self.overwrite, self.shared = place_of(folder), overwrite, shared
        lineage = manifest.lineage or hash_value([self.place, manifest.plan])
        self.manifest = replace(manifest, lineage=lineage)
        self.carried = tuple(carried)
        self._writer = ParquetPartWriter(
            self.folder,
            self._schema(manifest.beside),
            self.carried,
            tuple(manifest.columns),
            manifest.store,
            manifest.ranges,
            manifest.times,
        )
        self._lock: Lock | None = None

    @property
    def place(self) -> str:
        """The folder."""
        return self.folder.name

    def begin(self) -> Mapping[int, Part]:
        """Make the folder, or go on with it; the parts that are done. See `Sink.begin` for what is raised."""
        there, other = self._there()
        self.lock()
        if there is not None and other:
            self._clear(there)
        if there is None or other:
            write_quarantine(self.folder, ())
            first = self.folder.put_new(f"{META}/{NAME}", f"{self.manifest.to_json()}\n".encode())
            there = self.manifest if first else read_manifest(self.folder)
            self.manifest.refuse_others(there, self.place)  # where another writer was quicker, with other work
        self.go_on_beside(there)
        if there.plan == self.manifest.plan:
            self.manifest = replace(
                self.manifest,
                tasks=there.tasks,
                kept=there.kept,
                ranges=there.ranges,
                sampled=there.sampled,
                lineage=there.lineage,
            )
            self._writer = replace(self._writer, ranges=there.ranges)
        return {receipt.part.task: receipt.part for receipt in receipts(self.folder, remove=not self.shared)}

    def go_on_beside(self, there: Manifest) -> None:
        """Write the columns label and group that the parts have which are there."""
        if there.beside != self.manifest.beside:
            self.manifest = replace(self.manifest, beside=there.beside)
            self._writer = replace(self._writer, schema=self._schema(there.beside))

    def writer(self) -> ParquetPartWriter:
        """What writes a part, here or in another process."""
        return self._writer

    def finish(self) -> Manifest:
        """Write the quarantine and the complete manifest from the receipts. Raises `OutputError` if tasks are left."""
        ours = (receipt for receipt in receipts(self.folder) if receipt.part.task < self.manifest.tasks)
        done = sorted(ours, key=lambda receipt: receipt.part.task)
        left = self.manifest.tasks - len(done)
        if left:
            raise OutputError(f"{self.place}: {left} of {self.manifest.tasks} tasks are not done; run it again.")
        whole = summed(self.manifest, tuple(receipt.part for receipt in done))
        there = read_manifest(self.folder)
        same = (there, there.asked, there.called) == (whole, whole.asked, whole.called)
        if not same or not quarantine_is_whole(self.folder, whole.refused):
            write_quarantine(self.folder, [entry for receipt in done for entry in receipt.refused])
            write_manifest(self.folder, whole)
        return whole

    def _schema(self, beside: tuple[str, ...]) -> pa.Schema:
        """The columns of a part."""
        own, made = self.manifest, {FINGERPRINT: self.manifest.fingerprint.to_json(indent=None)}
        return schema(own.columns, self.carried, made, TYPES[own.store], own.tokens, beside)

    def lock(self) -> None:
        """Keep other runs out. Raises `OutputError` when another one is at work, or nothing can be written."""
        if self._lock is not None:
            return
        self._lock = self.folder.lock(f"{META}/{LOCK}", shared=self.shared)
        if self._lock is None:
            raise OutputError(f"another run is writing to {self.place}; wait for it, or give another folder.")
        self._tidy()

    def close(self) -> None:
        """Let another run write to this folder."""
        if self._lock is not None:
            self._tidy()  # an interrupt may come at any moment
            self._lock.close()
            self._lock = None

    def __enter__(self) -> "ParquetSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tidy(self) -> None:
        if isinstance(self.folder, LocalPlace):
            self.folder.tidy()

    def _there(self) -> tuple[Manifest | None, bool]:
        """The manifest that is there, None for a place where nothing is yet; and whether it is of other work, which
        may be replaced."""
        check_place(self.folder, overwrite=self.overwrite)
        if not has_manifest(self.folder):
            return None, False
        there = read_manifest(self.folder)
        other = bool(self.manifest.differences(there))
        if not self.overwrite:
            self.manifest.refuse_others(there, self.place)
        return there, other

    def _clear(self, there: Manifest) -> None:
        """Remove every result but the lock that is held. The manifest says at once that they are not whole, and goes
        last: where a kill comes between, what is left is known, and is of a run that was stopped."""
        try:
            write_manifest(self.folder, replace(there, complete=False))
            kept = (f"{META}/{LOCK}", f"{META}/{NAME}")
            for name in self.folder.sizes():
                if is_ours(name) and name not in kept:
                    self.folder.delete(name)
            self.folder.delete(f"{META}/{NAME}")
        except KeyboardInterrupt:  # what is left is of other work, and nothing to go on with
            raise KeyboardInterrupt(
                f"stopped while what was in '{self.place}' was being removed; the same command begins anew."
            ) from None


def receipts(place: Place, kind: str = RECEIPTS, *, remove: bool = False) -> Iterator[Receipt]:
    """Of every task that is done. One whose file has gone or changed its size is done again, as is one that cannot be
    read or is of another folder; with `remove` such receipts are removed, so that another may be put."""
    lineage = read_manifest(place).lineage if has_manifest(place) else ""
    names = sorted(place.sizes(f"{META}/{kind}"))
    files = place.sizes()  # after the receipts: a part is there before its receipt is
    for name in names:
        try:
            receipt = Receipt.from_json(place.read(name))
            if files.get(receipt.part.file) == receipt.part.bytes and receipt.lineage == lineage:
                yield receipt
                continue
        except StoreError:  # which says nothing of the receipt
            raise
        except (ClasstokenError, OSError, UnicodeDecodeError):
            pass
        if remove:
            place.delete(name)


BESIDE = (".npy", ".safetensors", "fingerprint.json")
"""how names of files end that are written beside the parts in another format"""


def is_ours(name: str) -> bool:
    """Whether a file in a folder of vectors is one that a verb of this package writes there."""
    top = "/" not in name and name.endswith(BESIDE)
    if top or name.startswith("vectors.lance/"):
        return True
    return name in RESULTS or name.startswith(f"{META}/") or (name.startswith("part-") and name.endswith(".parquet"))


def check_place(folder: str | Path | Place, *, overwrite: bool = False) -> None:
    """Raise `OutputError` for a folder that is not empty and holds no vectors; before any work, and again by `begin`.

    With `overwrite`, whose results would be removed, for one that holds anything besides, too.
    """
    place = place_of(folder)
    if isinstance(place, LocalPlace):
        check_folder(place.path, {})
    names = place.sizes()  # once: another run may begin just now, and its manifest comes before its parts
    if f"{META}/{NAME}" in names:
        if overwrite:
            strange = (_top(name) for name in names if not is_ours(name))
            refuse_strangers(place.name, strange, "results of classtoken alone")
        return
    refuse_first_format(place)
    if any(name.startswith("part-") and name.endswith(".parquet") for name in names):
        raise OutputError(
            f"{place.name} holds parts without their manifest ({META}/{NAME}): they can be read as they are, and not "
            "be added to. Put the manifest back, or give a new folder."
        )
    refuse_strangers(place.name, (_top(name) for name in names if not _of_a_start(name)), "vectors")


def _top(name: str) -> str:
    """What stands for a file in a message: itself in `_meta`, elsewhere the folder on top that it lies in."""
    return name if name.startswith(f"{META}/") else name.partition("/")[0]


def _of_a_start(name: str) -> bool:
    """Whether a file is one that a run leaves that was stopped at its very beginning."""
    folder, _, rest = name.partition("/")
    return folder == META and rest.partition("/")[0] in (LOCK, RECEIPTS, RECORDS, NEXT, QUARANTINE, NAME)
