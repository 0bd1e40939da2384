"""What each row of a part was made of: a small file per part below `_meta/records/`, in the order of its rows.

From it a later run sees which records are new, changed or gone, and which vectors it has already, without computing
anything. All of it fits into memory: about fifty bytes a record.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from classtoken.errors import OutputError, StoreError
from classtoken.places import Place
from classtoken.sink.manifest import META, Part
from classtoken.sink.numbers import Ranges, to_floats
from classtoken.sink.rows import CarriedColumn, table_in
from classtoken.sink.states import NAMES as STATE_NAMES
from classtoken.sink.states import from_table, together
from classtoken.values import Content, Record

RECORDS = "records"
#: One row: its id, what its vector is made of (two halves of a hash; zeros: not known), and everything beside the
#: vector as hashes; size and time of an image file (`Content.where` in the time); whether it was longer than the model
#: takes; whether the source had it no longer (`--gone keep` keeps such rows).
ROW = np.dtype(
    [
        ("identity", "u8"),
        ("content", "u8", (2,)),
        ("beside", "u8"),
        ("size", "i8"),
        ("time", "i8"),
        ("cut", "?"),
        ("gone", "?"),
    ]
)
#: Parts whose vectors are held at once while they are looked up.
HELD = 4
#: Stands for what is not known.
UNKNOWN = Content(bytes(16))


def ledger_of(part: Part) -> str:
    """The name of the file that says what a part's rows were made of."""
    return f"{META}/{RECORDS}/{part.file.rpartition('.')[0]}.npy"


def entries(records: Sequence[Record], carried: Sequence[CarriedColumn], cut: Sequence[bool] = ()) -> np.ndarray:
    """The ledger's rows for some records; `cut` says of each whether it was longer than the model takes."""
    made = np.zeros(len(records), ROW)
    contents = [record.content or UNKNOWN for record in records]
    beside = (repr((record.label, record.group, *(column.of(record) for column in carried))) for record in records)
    made["identity"] = short_hashes(record.id for record in records)
    made["content"] = np.frombuffer(b"".join(content.hash for content in contents), "u8").reshape(-1, 2)
    made["beside"] = short_hashes(beside)
    made["size"] = [content.size for content in contents]
    made["time"] = [content.time ^ content.where for content in contents]
    if cut:
        made["cut"] = cut
    return made


def short_hashes(texts: Iterable[str]) -> np.ndarray:
    """Texts in eight bytes each."""
    found = (blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(found), "u8")


def to_bytes(rows: np.ndarray) -> bytes:
    """The ledger of a part as a file."""
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


@dataclass(frozen=True)
class KnownPart:
    """A finished part, and the folder that it lies in."""

    place: Place
    part: Part
    ranges: Mapping[str, Ranges] = field(default_factory=dict, compare=False, hash=False)


class RowLedger:
    """The rows of some finished parts one after another, found by id or by what they were made of.

    A part without a ledger, or with a damaged one, is as if it were not there.
    """

    def __init__(self, parts: Sequence[KnownPart]):
        self.parts: list[KnownPart] = []
        blocks: list[np.ndarray] = []
        for known in parts:
            rows = _read(known)
            if rows is not None:
                self.parts.append(known)
                blocks.append(rows)
        self.rows = np.concatenate(blocks) if blocks else np.zeros(0, ROW)
        self.begins = np.cumsum([0, *(len(block) for block in blocks)])
        self._vectors = lru_cache(HELD)(self._vectors_of_part)

    def places_of(self, identities: np.ndarray) -> np.ndarray:
        """The row of each id, by its hash; -1 where there is none."""
        return _found(self._by_identity, identities)

    def known(self, contents: np.ndarray) -> np.ndarray:
        """A row that was made of each of these contents (n, 2); -1 where there is none."""
        found = _found(self._by_content, contents[:, 0])
        same = (found >= 0) & (self.rows["content"][found, 1] == contents[:, 1]) if len(self.rows) else found >= 0
        return np.where(same & (contents != 0).any(axis=1), found, -1)

    def file_hash(self, identity: str, size: int, time: int) -> bytes | None:
        """The hash of the file that had this id, size and time (with `Content.where`)."""
        place = int(self.places_of(short_hashes([identity]))[0])
        if place < 0:
            return None
        row = self.rows[place]
        return row["content"].tobytes() if (row["size"], row["time"]) == (size, time) else None

    def vectors(self, places: Sequence[int], columns: Mapping[str, int]) -> dict[str, np.ndarray]:
        """The vectors of some rows, in their order: (n, size) each."""
        wanted = np.asarray(places, dtype=np.int64)
        parts = np.searchsorted(self.begins, wanted, side="right") - 1
        made = {name: np.empty((len(wanted), size), np.float32) for name, size in columns.items()}
        for part in np.unique(parts).tolist():
            here = parts == part
            for name, size in columns.items():
                made[name][here] = self._vectors(part, name, size)[wanted[here] - self.begins[part]]
        return made

    def states(self, places: Sequence[int]) -> np.ndarray:
        """The states of some rows' tokens, in their order, as an array of `TokenStates`."""
        wanted = np.asarray(places, dtype=np.int64)
        parts = np.searchsorted(self.begins, wanted, side="right") - 1
        made = together([None] * len(wanted))
        for part in np.unique(parts).tolist():
            here = np.flatnonzero(parts == part)
            table = self._rows_of_part(part, STATE_NAMES)
            made[here] = together(from_table(table.take(pa.array(wanted[here] - self.begins[part]))))
        return made

    def whole_part(self, places: np.ndarray) -> KnownPart | None:
        """The part whose rows these are, all of them and in order; None where there is none, or its ledger says of one
        that the source no longer has it."""
        if not len(places) or places[0] < 0 or self.rows["gone"][places].any():
            return None
        part = int(np.searchsorted(self.begins, places[0], side="right") - 1)
        begin, end = self.begins[part : part + 2]
        return self.parts[part] if np.array_equal(places, np.arange(begin, end)) else None

    def by_stamp(self) -> dict[str, tuple[KnownPart, slice]]:
        """The parts whose tasks had a stamp and lost no record, with the places of their rows."""
        places = map(slice, self.begins[:-1], self.begins[1:])
        there = [one for one in zip(self.parts, places, strict=True) if one[0].part.stamp and not one[0].part.refused]
        return {known.part.stamp: (known, rows) for known, rows in there if not self.rows["gone"][rows].any()}

    @cached_property
    def _by_identity(self) -> tuple[np.ndarray, np.ndarray]:
        return _sorted(self.rows["identity"])

    @cached_property
    def _by_content(self) -> tuple[np.ndarray, np.ndarray]:
        return _sorted(self.rows["content"][:, 0])

    def _vectors_of_part(self, part: int, name: str, size: int) -> np.ndarray:
        known = self.parts[part]
        column = self._rows_of_part(part, [name]).column(name).combine_chunks()
        values = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
        return to_floats(values, known.ranges.get(name))

    def _rows_of_part(self, part: int, columns: Sequence[str]) -> pa.Table:
        """Some columns of a part. Raises `OutputError` for a file that is not what its ledger says."""
        known, begin = self.parts[part], self.begins[part]
        with known.place.open(known.part.file) as file:
            table = table_in(file, ["id", *columns])
        expected = self.rows["identity"][begin : begin + known.part.rows]
        if not np.array_equal(short_hashes(table.column("id").to_pylist()), expected):
            raise OutputError(
                f"{known.part.file} of {known.place.name} holds other rows than were written; see `classtoken verify`, "
                "remove it, and run the same embed again."
            )
        return table


def gone(ledger: RowLedger, seen: np.ndarray) -> Iterator[tuple[KnownPart, np.ndarray]]:
    """The rows that no record of the source was seen for, part by part: their places in the part."""
    for number, known in enumerate(ledger.parts):
        begin, end = ledger.begins[number : number + 2]
        places = np.flatnonzero(~seen[begin:end])
        if len(places):
            yield known, places


def _read(known: KnownPart) -> np.ndarray | None:
    try:
        rows = np.load(io.BytesIO(known.place.read(ledger_of(known.part))), allow_pickle=False)
    except StoreError:  # which says nothing of the ledger
        raise
    except (OSError, ValueError, EOFError):
        return None
    return rows if rows.dtype == ROW and len(rows) == known.part.rows else None


def _sorted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys, kind="stable")
    return keys[order], order


def _found(index: tuple[np.ndarray, np.ndarray], keys: np.ndarray) -> np.ndarray:
    values, order = index
    if not len(values):
        return np.full(len(keys), -1, np.int64)
    places = np.minimum(np.searchsorted(values, keys), len(values) - 1)
    found: np.ndarray = np.where(values[places] == keys, order[places], -1)
    return found
