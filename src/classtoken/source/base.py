"""What a source is: an ordered listing of records in files, readable from any task's start.

A source is scanned once (`scan`), which counts records, marks where tasks begin and stamps the contents, and read as
often as needed (`rows`). Nothing but the listing is ever held in memory.
"""

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

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


def times_of(files: Iterable[Path], *, copies: bool) -> str:
    """A hash of when files were changed last, for `Listing.times`; of what they hold where they are `copies`, made just
    now of what cannot be asked when it was changed."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        if copies:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "blake2b").digest())
        else:
            digest.update(b"%d\n" % file.stat().st_mtime_ns)
    return digest.hexdigest()


#: The parts of a record that a table has columns for, and what these are called when nothing names them; the first that
#: is there is taken.
USUAL = {"id": ("id",), "text": ("text", "sentence"), "image": ("image",), "label": ("label",), "group": ("group",)}
#: The kind of a source of image files, each of which its listing looks at.
IMAGES = "images"
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


def called_in_words(called: Mapping[str, str]) -> str:
    """Which columns go by other names here; empty where none does."""
    other = [f"'{name}' is called {part}" for part, name in called.items() if name.casefold() != part]
    return f"{', '.join(other)} here" if other else ""


class Source(ABC):
    """Records in a fixed order. Subclasses say how one kind of file is listed and read."""

    #: The kind in one word, for the manifest: images, text, csv, jsonl, parquet, tar, lance.
    kind: str
    #: What the user wrote.
    name: str
    options: SourceOptions
    #: What a user should be told, once it has been listed.
    notes: tuple[str, ...] = ()
    #: Where relative paths of images begin; None: beside the file that names them.
    images_from: Path | None = None
    #: Whether its files are copies that were made to be read: then their own times say nothing.
    copies: bool = False

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

    def names_of_columns(self) -> tuple[str, ...]:
        """The names of a table's columns; none where it is no table."""
        return ()

    def called(self) -> Mapping[str, str]:
        """Which column holds each part of a record (id, text, image, label, group); nothing where it is no table."""
        return {}

    def beside(self) -> tuple[str, ...]:
        """Which of label and group records may have."""
        return ("label", "group")

    def read_as(self, remembered: Mapping[str, str]) -> None:
        """Take the columns that were read elsewhere (part of a record -> column) where no option names one and they are
        here too. Before the first record is read."""
        names = self.names_of_columns()
        named = {part: getattr(self.options, f"{part}_column") for part in USUAL}
        found: dict[str, Any] = {}
        for part, usual in USUAL.items():
            wanted = remembered.get(part)
            without = next((name for name in usual if name in names), wanted if wanted in usual else None)
            if named[part] is None and wanted in names and wanted != without and wanted not in named.values():
                found[f"{part}_column"] = wanted
        self.options = replace(self.options, **found)

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
        self.notes = listing.notes
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


class SourceAround(Source):
    """A source that adds something to the records of another one."""

    def __init__(self, inner: Source):
        self.inner = inner
        self.kind, self.name, self.options = inner.kind, inner.name, inner.options

    def scan(self, every: int, limit: int | None = None) -> Listing:
        return self.inner.scan(every, limit)

    def state(self) -> tuple[tuple[int, ...], ...]:
        return self.inner.state()

    def names_of_columns(self) -> tuple[str, ...]:
        return self.inner.names_of_columns()

    def called(self) -> Mapping[str, str]:
        return self.inner.called()

    def beside(self) -> tuple[str, ...]:
        return self.inner.beside()

    def ids(self, listing: Listing) -> Iterator[str]:
        return self.inner.ids(listing)
