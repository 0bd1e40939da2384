"""What a source is: an ordered listing of records in files, readable from any task's start.

A source is scanned once (`scan`), which counts records, marks where tasks begin and stamps the contents, and read as
often as needed (`rows`). Nothing but the listing is ever held in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import pyarrow as pa

from classtoken.errors import BadRecord
from classtoken.options import SourceOptions
from classtoken.values import Record, Rejected

#: One record, or why there is none in its place.
Entry = Record | Rejected


@dataclass(frozen=True)
class Shard:
    """One file of a source: how many records it holds, what it contains (a hash), and where its tasks begin."""

    name: str
    rows: int
    stamp: str
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Listing:
    """All files of a source in order; the columns that are carried through; what a user should be told.

    `ids_given` says that the ids come from the data, so that they must be checked for duplicates.
    """

    shards: tuple[Shard, ...]
    meta: Mapping[str, pa.DataType] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ids_given: bool = False


class Source(ABC):
    """Records in a fixed order. Subclasses say how one kind of file is listed and read."""

    #: The kind in one word, for the manifest: images, text, csv, jsonl, parquet, tar, lance.
    kind: str
    #: What the user wrote.
    name: str
    options: SourceOptions

    @classmethod
    def opens(cls, name: str) -> bool:
        """Whether what a user calls SOURCE is of this kind, to be made as `cls(name, options)`.

        Asked of the sources that other packages add (`extensions.py`), where none of this package fits.
        """
        return False

    @abstractmethod
    def scan(self, every: int, limit: int | None = None) -> Listing:
        """List all files, marking where every `every`-th record begins; stop after `limit` records.

        Raises `SourceError` for what cannot be read at all (no such column, not UTF-8, a truncated archive). A record
        that is bad on its own is not an error here.
        """

    @abstractmethod
    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        """The records of one file from number `start` (which begins at `offset`) to its end.

        `first` is that record's number in the whole source.
        """

    def ids(self, listing: Listing) -> Iterator[str]:
        """The ids of all records, and of refused rows where they have one; cheaper where only ids need be read."""
        first = 0
        for shard in listing.shards:
            entries = self.rows(shard.name, 0, first, shard.offsets[0]) if shard.rows else iter(())
            yield from (entry.id for entry in islice(entries, shard.rows) if isinstance(entry, Record))
            first += shard.rows

    def entries(self, limit: int | None = None) -> Iterator[Entry]:
        """Every record, and in their places those that could not be read. Duplicate ids raise `SourceError`."""
        from classtoken.source.plan import Reader, make_plan

        reader = Reader(self)
        for task in make_plan(self, limit=limit).tasks:
            yield from reader(task)

    def records(self, refused: list[Rejected] | None = None, *, limit: int | None = None) -> Iterator[Record]:
        """Every record that could be read; the others go into `refused`, or without one raise `BadRecord`."""
        for entry in self.entries(limit):
            if isinstance(entry, Record):
                yield entry
            elif refused is not None:
                refused.append(entry)
            else:
                raise BadRecord(f"{entry.reason}; fix it or leave it out", f"record '{entry.id}' of {self.name}")
