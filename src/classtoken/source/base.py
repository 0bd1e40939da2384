"""What a source is: an ordered listing of records in files, readable from any task's start.

A source is scanned once (`scan`), which counts records, marks where tasks begin and stamps the contents, and read as
often as needed (`rows`). Nothing but the listing is ever held in memory.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa

from classtoken.errors import BadRecord, SourceError
from classtoken.options import SourceOptions
from classtoken.source.unique import refuse_duplicates
from classtoken.values import Record, Rejected

#: Records of a task: seconds to a minute of work, so that little is lost when a run is stopped.
TASK_ROWS = 2048


def states_of(files: Iterable[Path]) -> tuple[tuple[int, ...], ...]:
    """What the system knows of some files; see `Source.state`."""
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            status = file.stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(found)


#: One record, or why there is none in its place.
Entry = Record | Rejected


@dataclass(frozen=True)
class Shard:
    """One file of a source: how many records it holds, what it contains (a hash), and where its tasks begin.

    `stamps`, where they are known, are hashes of what the records of each task are read from.
    """

    name: str
    rows: int
    stamp: str
    offsets: tuple[int, ...]
    stamps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """All files of a source in order; the columns that are carried through; what a user should be told.

    `ids_given` says that the ids come from the data, so that they must be checked for duplicates. `times` is a hash of
    the times of files whose contents the stamps do not cover: another one says that they are worth a look.
    """

    shards: tuple[Shard, ...]
    meta: Mapping[str, pa.DataType] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ids_given: bool = False
    times: str = ""


class Source(ABC):
    """Records in a fixed order. Subclasses say how one kind of file is listed and read."""

    #: The kind in one word, for the manifest: images, text, csv, jsonl, parquet, tar, lance.
    kind: str
    #: What the user wrote.
    name: str
    options: SourceOptions
    #: Where relative paths of images begin; None: beside the file that names them.
    images_from: Path | None = None

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

    def state(self) -> tuple[tuple[int, ...], ...]:
        """Of each file that holds records when and how it was changed last, as the system knows it: another answer
        later says that one may have been changed meanwhile, though it was put back. Nothing where nobody can tell."""
        return ()

    def ids(self, listing: Listing) -> Iterator[str]:
        """The ids of all records, and of refused rows where they have one; cheaper where only ids need be read."""
        return (entry.id for entry in self._read(listing) if isinstance(entry, Record))

    def listed(self, every: int, limit: int | None = None) -> Listing:
        """What `scan` finds. Raises `SourceError` besides when there is no record, and for duplicate ids."""
        listing = self.scan(every, limit)
        if not any(shard.rows for shard in listing.shards):
            raise SourceError(f"{self.name} holds no records; give a source with at least one.")
        if listing.ids_given:
            refuse_duplicates(self.name, lambda: self.ids(listing))
        return listing

    def entries(self, limit: int | None = None) -> Iterator[Entry]:
        """Every record, and in their places those that could not be read. Duplicate ids raise `SourceError`."""
        yield from self._read(self.listed(TASK_ROWS, limit))

    def records(self, refused: list[Rejected] | None = None, *, limit: int | None = None) -> Iterator[Record]:
        """Every record that could be read; the others go into `refused`, or without one raise `BadRecord`."""
        for entry in self.entries(limit):
            if isinstance(entry, Record):
                yield entry
            elif refused is not None:
                refused.append(entry)
            else:
                raise BadRecord(f"{entry.reason}; fix it or leave it out", f"record '{entry.id}' of {self.name}")

    def _read(self, listing: Listing) -> Iterator[Entry]:
        first = 0
        for shard in listing.shards:
            if shard.rows:
                yield from islice(self.rows(shard.name, 0, first, shard.offsets[0]), shard.rows)
            first += shard.rows
