"""webdataset archives: `.tar` files whose members share a name up to the first dot (`a/7.jpg a/7.cls a/7.json`)."""

import hashlib
import json
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa

from classtoken.errors import SourceError
from classtoken.source.base import Entry, Listing, Shard, Source, SourceOptions, states_of, times_of
from classtoken.source.columns import to_label
from classtoken.source.images import SUFFIXES
from classtoken.source.kinds import Kinds
from classtoken.values import Record, Rejected

Members = dict[str, tarfile.TarInfo]


class Archive(Source):
    """One or several uncompressed tars. The id is the key (with the archive's name before it when there are several).

    An image member gives the image, `.txt` the text, `.cls` the label, and the keys of a `.json` object the columns
    that are carried through; other members are left out and counted.
    """

    kind = "tar"

    def __init__(self, name: str, files: Sequence[Path], options: SourceOptions):
        self.name = name
        self.files = {path.as_posix(): path for path in files}
        self.options = options

    def scan(self, every: int, limit: int | None = None) -> Listing:
        shards, kinds, left_out = [], Kinds(), 0
        left = sys.maxsize if limit is None else limit
        for name, path in self.files.items():
            if left <= 0:
                break
            digest, offsets, count = hashlib.blake2b(digest_size=16), [], 0
            with _opened(path) as file:
                for key, members in _groups(path, file, 0):
                    if count == left:
                        break
                    if count % every == 0:
                        offsets.append(min(member.offset for member in members.values()))
                    for part, member in members.items():
                        digest.update(
                            f"{key}\0{part}\0{member.size}\0{member.chksum}\n".encode("utf-8", "backslashreplace")
                        )
                        left_out += not (f".{part}" in SUFFIXES or part in ("txt", "cls", "json"))
                    if "json" in members and isinstance(meta := _json(file, members["json"]), dict):
                        kinds.see(meta)
                    count += 1
            left -= count
            shards.append(Shard(name, count, digest.hexdigest(), tuple(offsets)))
        notes = (f"left out of {self.name}: {left_out} members that are no image, .txt, .cls or .json.",)
        meta_types: Mapping[str, pa.DataType] = kinds.types()
        times = times_of(self.files.values(), copies=self.copies)  # a member's header does not tell what it holds
        return Listing(tuple(shards), meta_types, notes if left_out else (), ids_given=True, times=times)

    def beside(self) -> tuple[str, ...]:
        return ("label",)

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        path = self.files[shard]
        with _opened(path) as file:
            for key, members in _groups(path, file, offset):
                yield self._entry(self._before(shard) + key, members, file)

    def state(self) -> tuple[tuple[int, ...], ...]:
        return states_of(self.files.values())

    def ids(self, listing: Listing) -> Iterator[str]:
        for shard in listing.shards:
            path = self.files[shard.name]
            with _opened(path) as file:
                keys = (self._before(shard.name) + key for key, _ in _groups(path, file, 0))
                yield from islice(keys, shard.rows)

    def _before(self, shard: str) -> str:
        return f"{self.files[shard].stem}/" if len(self.files) > 1 else ""

    def _entry(self, identity: str, members: Members, file: Any) -> Entry:
        images = [part for part in members if f".{part}" in SUFFIXES]
        if len(images) > 1:
            return Rejected(identity, f"has {len(images)} images ({', '.join(sorted(images))}), not one")
        try:
            text = _read(file, members["txt"]).decode("utf-8-sig") if "txt" in members else None
            label = _read(file, members["cls"]).decode("utf-8-sig").strip() if "cls" in members else None
        except UnicodeDecodeError as error:
            return Rejected(identity, f"has a text that is not UTF-8 ({error.reason})")
        meta = _json(file, members["json"]) if "json" in members else {}
        if not isinstance(meta, dict):
            return Rejected(identity, "has a .json member that is not a JSON object")
        if not images and not (text and text.strip()):
            return Rejected(identity, "has neither an image nor a text")
        return Record(
            id=identity,
            text=text,
            image=_read(file, members[images[0]]) if images else None,
            label=to_label(label, self.options.label_separator),
            meta=meta,
        )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """An archive to read. Raises `SourceError` for one that cannot be read (any more)."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror or error}); is it still there, and may you read it?"
        ) from None


def _groups(path: Path, file: Any, offset: int) -> Iterator[tuple[str, Members]]:
    """Members that follow one another under one key, from the header at `offset` on."""
    file.seek(offset)
    key, members = None, Members()
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                # Else tarfile keeps every header that it has read.
                archive.members = []  # type: ignore[attr-defined]
                folder, name = PurePosixPath(member.name).parent, PurePosixPath(member.name).name
                if not member.isfile() or name.startswith("."):
                    continue
                stem, _, part = name.partition(".")
                here = (folder / stem).as_posix()
                if key is not None and here != key:
                    yield key, members
                    members = Members()
                key = here
                members[part.lower()] = member
    except (tarfile.TarError, EOFError) as error:
        raise SourceError(f"{path} cannot be read as an uncompressed tar ({error}); is it whole?") from error
    if key is not None:
        yield key, members


def _read(file: Any, member: tarfile.TarInfo) -> bytes:
    """The bytes of a member; the place in the file is as before, so that reading headers can go on."""
    place = file.tell()
    file.seek(member.offset_data)
    content: bytes = file.read(member.size)
    file.seek(place)
    return content


def _json(file: Any, member: tarfile.TarInfo) -> Any:
    try:
        return json.loads(_read(file, member))
    except (ValueError, RecursionError):
        return None
