"""A folder of vectors brought up to date with a source that has changed: what it holds already is not computed again.

1. `compare` reads the source once and holds each record against the ledgers of the parts that are there: which are
   new, changed or gone, which parts stay as they are, and how many vectors must be computed.
2. The new state is written as a folder of its own, `_meta/next`: parts that stay are linked or copied, and the other
   tasks are done as always, by a stage that looks up what is known (`KnownStage`). A killed update goes on there.
3. `take_over` makes the new state the folder's own. Its parts come up beside the old ones, whose names are others; then
   the manifest changes, which is the moment; then what is old goes. Each step can be done twice.

Until the manifest changes a reader sees the old state, whole; afterwards the new one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
import pyarrow as pa

from classtoken.errors import SourceError
from classtoken.places import Place
from classtoken.results.base import counted
from classtoken.run.known import GIVEN_UP, NOTHING, STATE
from classtoken.run.stage import Stage
from classtoken.run.tasks import rows_of
from classtoken.sink import Manifest, ParquetSink, Part, Receipt, read_manifest
from classtoken.sink.ledger import RECORDS, KnownPart, RowLedger, entries, gone, ledger_of, short_hashes
from classtoken.sink.manifest import META, NAME, has_manifest, write_manifest
from classtoken.sink.parquet import RECEIPTS, commit, receipt_of, receipts
from classtoken.sink.quarantine import write_quarantine
from classtoken.sink.rows import CHUNK_COLUMNS, CarriedColumn
from classtoken.sink.vectors import read_part
from classtoken.source import Plan, Reader, Source
from classtoken.source.contents import KnownContents
from classtoken.values import Record, Task


@dataclass(frozen=True)
class Stay:
    """A part that is there already, and what it is as the part of a task now."""

    known: KnownPart
    part: Part

    @classmethod
    def of(cls, known: KnownPart, task: Task) -> "Stay":
        """`known` as the part of this task."""
        file = f"part-{task.number:05d}-{known.part.file.rpartition('-')[2]}"
        return cls(known, replace(known.part, task=task.number, file=file, stamp=task.stamp))


@dataclass(frozen=True)
class Changes:
    """What has become of a source since its vectors were written.

    new, changed, gone: records by id (chunks of them, where texts are cut); one has changed when its text, its image or
    anything beside it is another.
    kept: records that had gone before, and whose rows are there all the same. computed: records whose vectors nothing
    there was made of. stays: tasks whose part is there already, whole.
    seen: of each row of the ledger, whether the source still has it.
    """

    new: int
    changed: int
    gone: int
    computed: int
    stays: Mapping[int, Stay]
    seen: np.ndarray
    what: str = "record"
    kept: int = 0

    def without_kept(self) -> "Changes":
        """The same where rows that were kept so far go, too."""
        return replace(self, gone=self.gone + self.kept, kept=0)

    @property
    def any(self) -> bool:
        """Whether anything is another."""
        return bool(self.new or self.changed or self.gone)

    def __str__(self) -> str:
        return f"{counted(self.new, self.what)} new, {self.changed} changed, {self.gone} gone"


def unchanged(new: int = 0) -> Changes:
    """Nothing was there but what is there now, and `new` records."""
    return Changes(new, 0, 0, new, {}, np.zeros(0, bool))


class RefusedBefore:
    """Records that had no vector, by id, with what they held."""

    def __init__(self, receipts: Iterable[Receipt]):
        self._held: dict[int, bytes | None] = {}
        for receipt in receipts:
            names = short_hashes(entry.id for entry in receipt.refused).tolist()
            for name, entry, held in zip_longest(names, receipt.refused, receipt.refused_of):
                told = None if held is None else bytes.fromhex(held) or NOTHING
                self._held[name] = NOTHING if entry.passing else told

    def among(self, rows: np.ndarray) -> np.ndarray:
        """Of each row, whether its record had no vector."""
        return np.array([name in self._held for name in rows["identity"].tolist()], bool)

    def others(self, rows: np.ndarray) -> np.ndarray:
        """Of each row, whether its record is one of those, and another by now: it holds something else, or what stood
        in its way has passed. Not so where nobody knows what it held, or what it holds."""
        held = [self._held.get(name) for name in rows["identity"].tolist()]
        pairs = zip(held, rows["content"], strict=True)
        found = np.array([one is not None and one != content.tobytes() for one, content in pairs], bool)
        return found & _readable(rows)


def compare(
    source: KnownContents,
    plan: Plan,
    ledger: RowLedger,
    refused: RefusedBefore,
    carried: Sequence[CarriedColumn],
    stage: Stage,
) -> Changes:
    """Hold every row that a stage makes of a source against a ledger; what is `refused` had no vector, and is no new
    record: a changed one where it is another by now. Tasks whose stamp is that of a part are not read."""
    reader = Reader(source)
    seen = np.zeros(len(ledger.rows), bool)
    counts = np.zeros(3, np.int64)
    stays = {}
    stamped = {} if source.modality == "image" else ledger.by_stamp()  # a file may change where its name does not
    for task in plan.tasks:
        if task.stamp in stamped:
            known, rows_there = stamped[task.stamp]
            seen[rows_there] = True
            stays[task.number] = Stay.of(known, task)
            continue
        found = [row for entry in reader(task) for row in rows_of(entry, stage)]
        rows = entries([e for e in found if isinstance(e, Record)], carried)
        places = ledger.places_of(rows["identity"])
        there = places >= 0
        seen[places[there]] = True
        same = there.copy()
        same[there] = _same(ledger.rows[places[there]], rows[there])
        counts += (
            np.sum(~there & ~refused.among(rows)),
            np.sum(there & ~same) + np.sum(~there & refused.others(rows)),
            np.sum(ledger.known(rows["content"]) < 0),
        )
        whole = ledger.whole_part(places) if same.all() and len(rows) == len(found) else None
        if whole is not None and not whole.part.refused:
            stays[task.number] = Stay.of(whole, task)
    what = "chunk" if any(column in carried for column in CHUNK_COLUMNS) else "record"
    lost, before = (int(np.sum(~seen & which)) for which in (~ledger.rows["gone"], ledger.rows["gone"]))
    return Changes(int(counts[0]), int(counts[1]), lost, int(counts[2]), stays, seen, what, before)


def altered(place: Place, source: Source, plan: Plan, stage: Stage, carried: Sequence[CarriedColumn]) -> Iterator[int]:
    """Tasks that are done and whose part was not made of what the source holds now."""
    done = {receipt.part.task: receipt for receipt in receipts(place)}
    for task in plan.tasks:
        if (receipt := done.get(task.number)) is None:
            continue
        refused = RefusedBefore([receipt])
        try:
            found = [row for entry in Reader(source)(task) for row in rows_of(entry, stage)]
        except SourceError:
            found = []
        now = entries([row for row in found if isinstance(row, Record)], carried)
        now = now[~refused.among(now) | refused.others(now)]
        ledger = RowLedger([KnownPart(place, receipt.part)])
        if len(ledger.rows) != len(now) or not _same(ledger.rows, now).all():
            yield task.number


class Update:
    """A new state of a folder, written beside the old one by a sink of its own.

    `keep`: rows that the source no longer has are kept, behind those that it has.
    """

    def __init__(self, owner: ParquetSink, ledger: RowLedger, changes: Changes, *, keep: bool = False):
        self.place, self.ledger, self.changes = owner.folder, ledger, changes
        self.lost = list(gone(ledger, changes.seen)) if keep else []
        kept = sum(len(places) for _, places in self.lost)
        lineage = read_manifest(self.place).lineage
        tasks = owner.manifest.tasks + len(self.lost)
        manifest = replace(owner.manifest, tasks=tasks, kept=kept, lineage=lineage)
        self.sink = ParquetSink(self.place.below(STATE), manifest, owner.carried, shared=owner.shared)
        self._first = owner.manifest.tasks

    def begin(self) -> ParquetSink:
        """Begin the new state, or go on with it; parts that stay are in it, and rows that are kept."""
        self._give_up_another()
        done = self.sink.begin()
        self._stay([stay for number, stay in self.changes.stays.items() if number not in done])
        for number, (known, places) in enumerate(self.lost, self._first):
            if number not in done:
                self._keep(number, known, places)
        return self.sink

    def _give_up_another(self) -> None:
        """A state that was begun for yet another source, or to keep other rows, gives way; its vectors stay known.

        So does one whose source's files have other times; but not where others do their slices of it, each of whom may
        have a copy of the source.
        """
        state, wanted = self.place.below(STATE), self.sink.manifest
        if not has_manifest(state):
            return
        there = read_manifest(state)
        same = (there.plan, there.tasks, there.kept) == (wanted.plan, wanted.tasks, wanted.kept)
        if same and (self.sink.shared or there.times == wanted.times):
            return
        for receipt in receipts(state):
            state.put(f"{META}/{GIVEN_UP}/{receipt.part.file}.json", receipt.to_json().encode())
            state.delete(receipt_of(receipt.part.task))
        write_manifest(state, wanted)

    def _stay(self, parts: Sequence[Stay]) -> None:
        """Parts that are there already, as the parts of their tasks; then their receipts."""
        files, receipts, renamed = {}, {}, []
        for stay in parts:
            old, part = stay.known.part, stay.part
            files[ledger_of(old)] = f"{STATE}/{ledger_of(part)}"
            files[old.file] = f"{STATE}/{part.file}"
            if part == old:
                receipts[receipt_of(part.task)] = f"{STATE}/{receipt_of(part.task)}"
            else:
                renamed.append(part)
        self.place.copy(files)
        self.place.copy(receipts)
        for part in renamed:
            commit(self.place.below(STATE), Receipt(part, ()))

    def _keep(self, number: int, known: KnownPart, places: np.ndarray) -> None:
        """Some rows of an old part, as a part of their own."""
        table = read_part(known.place, known.part.file).take(pa.array(places))
        begin = self.ledger.begins[self.ledger.parts.index(known)]
        rows = self.ledger.rows[begin + places].copy()
        rows["gone"] = True
        self.sink.writer().put(Part(number), table, rows)


def take_over(owner: ParquetSink) -> Manifest | None:
    """Make a new state that is complete the folder's own; None where there is none, or not a complete one.

    A run that was killed in here goes on at the next call.
    """
    place, state = owner.folder, owner.folder.below(STATE)
    if not has_manifest(state):
        _remove_all(place, sorted(place.sizes(STATE)))  # what is left of one that was taken over
        return None
    manifest = read_manifest(state)
    if not manifest.complete:
        return None
    files = [name for part in manifest.parts for name in (ledger_of(part), part.file)]
    place.copy({f"{STATE}/{name}": name for name in files})
    write_manifest(place, manifest)
    write_quarantine(place, [entry for receipt in receipts(state) for entry in receipt.refused])
    names = [receipt_of(part.task) for part in manifest.parts]
    old = place.sizes(f"{META}/{RECEIPTS}")
    _remove_all(place, sorted(set(old) - set(names)))
    for name in names:
        if name not in old or place.read(name) != state.read(name):
            place.put(name, state.read(name))
    parts = [name for name in place.sizes() if name.startswith(("part-", f"{META}/{RECORDS}/"))]
    _remove_all(place, sorted(set(parts) - set(files)))
    _remove_all(place, sorted(place.sizes(STATE), key=lambda name: name != f"{STATE}/{META}/{NAME}"))
    return manifest


def _remove_all(place: Place, names: Sequence[str]) -> None:
    for name in names:
        place.delete(name)


def _same(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Of each row, whether it was made of the same and has the same beside its vector."""
    same: np.ndarray = (old["content"] == new["content"]).all(axis=1) & (old["beside"] == new["beside"])
    return same & _readable(new)


def _readable(rows: np.ndarray) -> np.ndarray:
    """Of each row, whether it is known what it is made of: not so of files that cannot be read."""
    found: np.ndarray = (rows["content"] != 0).any(axis=1)
    return found
