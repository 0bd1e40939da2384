"""Files of one kind below a folder, a record each: what images and documents share."""

import hashlib
import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from classtoken.errors import SourceError
from classtoken.files import special_file
from classtoken.source.base import Entry, Listing, Shard, Source, SourceOptions
from classtoken.values import Rejected


@dataclass(frozen=True)
class FoundFiles:
    """What walking through a folder found: paths relative to it, and what was left out, by its suffix."""

    paths: tuple[str, ...]
    left_out: Counter[str]


class FilesBelow(Source):
    """Files in the order of their paths. The id is the path below `root`, the label its first folder."""

    #: What the files are, in the plural, and the suffixes by which they are known.
    what: str
    suffixes: frozenset[str]

    def __init__(self, name: str, root: Path, options: SourceOptions, found: FoundFiles | None = None):
        self.name = name
        self.root = root
        self.options = options
        self._found = found

    @abstractmethod
    def record(self, id: str, file: Path, label: str | None) -> Entry:
        """What one file holds."""

    def scan(self, every: int, limit: int | None = None) -> Listing:
        found = self.found()
        paths = found.paths[:limit]
        digest, times = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
        root = os.fspath(self.root)
        for path in paths:
            size, time = _size_and_time(f"{root}/{path}")
            digest.update(f"{path}\0{size}\n".encode("utf-8", "surrogateescape"))
            times.update(b"%d\n" % time)
        shard = Shard("", len(paths), digest.hexdigest(), tuple(range(0, len(paths), every)))
        notes = (f"left out of {self.name}: {counted(found.left_out)}.",) if found.left_out else ()
        return Listing((shard,), notes=notes, times=times.hexdigest())

    def beside(self) -> tuple[str, ...]:
        return ("label",)

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        for path in self.found().paths[start:]:
            if _size_and_time(self.root / path)[0] < 0:
                why = "is a broken link, or has gone since the folder was listed"
                yield Rejected(file_id(path), why, passing=True)
            elif (special := special_file(self.root / path)) is not None:
                yield Rejected(file_id(path), f"is {special}, not a file")
            else:
                yield self.record(file_id(path), self.root / path, folder_label(path))

    def found(self) -> FoundFiles:
        """The folder's files, walked through once."""
        if self._found is None:
            self._found = walk(self.root, self.suffixes)
            if not self._found.paths:
                others = f" It holds {counted(self._found.left_out)}." if self._found.left_out else " It is empty."
                raise SourceError(
                    f"{self.name} holds no {self.what} ({' '.join(sorted(self.suffixes))}).{others} "
                    f"For tables give a file or a glob, such as '{self.name}/*.parquet'."
                )
        return self._found


def walk(root: Path, suffixes: frozenset[str]) -> FoundFiles:
    """Files of some suffixes below a folder in the order of their paths; links are followed, but never in circles."""
    paths: list[str] = []
    left_out: Counter[str] = Counter()

    def enter(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            left_out["link to a folder that it is in"] += 1
            return
        for entry in os.scandir(folder):
            if entry.name.startswith("."):
                left_out["hidden"] += 1
            elif _is_folder(entry):
                enter(folder / entry.name, f"{prefix}{entry.name}/", above | {here})
            elif (suffix := os.path.splitext(entry.name)[1].lower()) in suffixes:  # noqa: PTH122 a Path each costs most
                paths.append(prefix + entry.name)
            else:
                left_out[suffix or "without a suffix"] += 1

    enter(root, "", frozenset())
    return FoundFiles(tuple(sorted(paths)), left_out)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: as broken as one that leads nowhere
        return False


def counted(left_out: Counter[str]) -> str:
    """Kinds of files with their number, in words."""
    return ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))


def _size_and_time(path: Path | str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 as above
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def file_id(path: str) -> str:
    """The path as text that can be written anywhere: bytes that are not UTF-8 are shown as escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def folder_label(path: str) -> str | None:
    """The first folder of a path; None on top."""
    first, slash, _ = path.partition("/")
    return file_id(first) if slash else None
