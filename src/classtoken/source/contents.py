"""A source whose records know what their vectors are made of, so that a record can be recognised another day.

A text is known by its bytes. An image file is known by its bytes too; one whose id, path, size and time are those of a
file that was hashed before is not read again.
"""

import os
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from classtoken.files import special_file
from classtoken.source.base import IMAGES, Entry, Source, SourceAround
from classtoken.source.memory import bytes_of
from classtoken.values import Content, Modality, Record

#: Bytes of the hash of a content.
CONTENT = 16
_BLOCK = 1 << 20
#: The hash of the file that had this id, size and time (with `Content.where`); None where it is not known.
FoundBefore = Callable[[str, int, int], bytes | None]


class KnownContents(SourceAround):
    """A source with a `Content` for each of its records, of the side that is embedded."""

    def __init__(self, inner: Source, modality: Modality, before: FoundBefore | None = None):
        super().__init__(inner)
        self.modality, self.before = modality, before

    def __getstate__(self) -> dict[str, object]:
        """In another process every file is hashed: what is known of them stays where it is."""
        return {**vars(self), "before": None}

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        for entry in self.inner.rows(shard, start, first, offset):
            yield entry.known_as(self._content(entry)) if isinstance(entry, Record) else entry

    def _content(self, record: Record) -> Content | None:
        if self.modality == "text":
            return _of_text(record.text)
        if isinstance(record.image, Path):
            return self._of_file(record.id, record.image)
        return None if record.image is None else Content(_hash_of_image(record.image))

    def _of_file(self, identity: str, path: Path) -> Content | None:
        """None for a file that cannot be read: why will be said where it is decoded."""
        size, time = state_of(path)
        where = 0 if self.kind == IMAGES else _number(path)
        known = self.before(identity, size, time ^ where) if self.before else None
        try:
            return Content(known or _hash_of_file(path), size, time, where)
        except OSError:
            return None


def content_of(record: Record) -> Content | None:
    """What a record holds: its image, or else its text. None for nothing, and for a file that cannot be read."""
    if isinstance(record.image, Path):
        try:
            return Content(_hash_of_file(record.image))
        except OSError:
            return None
    return _of_text(record.text) if record.image is None else Content(_hash_of_image(record.image))


def _of_text(text: str | None) -> Content | None:
    return None if text is None else Content(_hash(text.encode("utf-8", "surrogatepass")))


def state_of(path: Path) -> tuple[int, int]:
    """Size and time of a file; (-1, -1) for one that has gone."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _number(path: Path) -> int:
    """A path as a number. A row of a table may name another file by now, of the same size and time as the one that it
    named before: files out of one archive often are."""
    hashed = blake2b(os.path.abspath(path).encode("utf-8", "surrogateescape"), digest_size=8)  # noqa: PTH100
    return int.from_bytes(hashed.digest(), "little", signed=True)


def _hash_of_image(image: Any) -> bytes:
    """Of the bytes of a file, or of what a picture in memory shows: one of Pillow's, an array."""
    return _hash(image if isinstance(image, bytes) else bytes_of(image))


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=CONTENT).digest()


def _hash_of_file(path: Path) -> bytes:
    """Raises `OSError` for what cannot be read, or is no file that ends."""
    if (special := special_file(path)) is not None:
        raise OSError(f"{path} is {special}")
    digest = blake2b(digest_size=CONTENT)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()
