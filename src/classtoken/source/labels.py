"""Labels from a table beside the source, and a mask per image from a folder beside it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from classtoken.errors import SourceError
from classtoken.source.base import Entry, Listing, Source, SourceOptions
from classtoken.source.columns import to_id, to_label
from classtoken.values import Record

#: What the column of ids in a table of labels may be called, else it is the first column.
ID_NAMES = ("id", "file", "filename", "file_name", "image", "path", "name")


class LabelledSource(Source):
    """A source whose labels come from a table: by id, or by the file name where ids are paths."""

    def __init__(self, inner: Source, table: str, rows: Mapping[str, Any], stamp: str):
        self.inner = inner
        self.table = table
        self.kind, self.name, self.options = inner.kind, inner.name, inner.options
        self._rows = rows
        self._stamp = stamp

    def scan(self, every: int, limit: int | None = None) -> Listing:
        listing = _stamped(self.inner.scan(every, limit), self._stamp)
        used, total, without = set(), 0, 0
        for identity in self.inner.ids(listing):
            key = self._key(identity)
            total, without = total + 1, without + (key is None)
            used.add(key)
        spare = len(self._rows.keys() - used)
        parts = [f"no label for {without} of {total} records"] if without else []
        # With a limit, most labels are for records that are not looked at.
        parts += [f"{spare} label{'s' if spare > 1 else ''} for no record"] if spare and limit is None else []
        return replace(listing, notes=(*listing.notes, *([f"{self.table}: {', and '.join(parts)}."] if parts else [])))

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        for entry in self.inner.rows(shard, start, first, offset):
            yield replace(entry, label=self._label(entry.id)) if isinstance(entry, Record) else entry

    def ids(self, listing: Listing) -> Iterator[str]:
        return self.inner.ids(listing)

    def _label(self, identity: str) -> str | tuple[str, ...] | None:
        key = self._key(identity)
        return None if key is None else to_label(self._rows[key], self.options.label_separator)

    def _key(self, identity: str) -> str | None:
        name = PurePosixPath(identity).name
        return identity if identity in self._rows else name if name in self._rows else None


class MaskedSource(Source):
    """A source of image files whose masks lie in a folder; `meta["mask"]` is the mask's path, or None."""

    def __init__(self, inner: Source, folder: Path):
        self.inner = inner
        self.kind, self.name, self.options = inner.kind, inner.name, inner.options
        self._masks = {
            path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.png"))
        }
        if not self._masks:
            raise SourceError(f"{folder} holds no .png masks; give the folder with a mask per image as `masks`.")

    def scan(self, every: int, limit: int | None = None) -> Listing:
        listing = self.inner.scan(every, limit)
        names = hashlib.blake2b("\n".join(self._masks).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        return replace(_stamped(listing, names), meta={**listing.meta, "mask": pa.string()})

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        for entry in self.inner.rows(shard, start, first, offset):
            yield (
                replace(entry, meta={**entry.meta, "mask": self._mask(entry.id)})
                if isinstance(entry, Record)
                else entry
            )

    def ids(self, listing: Listing) -> Iterator[str]:
        return self.inner.ids(listing)

    def _mask(self, identity: str) -> str | None:
        path = PurePosixPath(identity)
        found = self._masks.get(path.with_suffix("").as_posix(), self._masks.get(path.stem))
        return None if found is None else found.as_posix()


def with_labels(inner: Source, options: SourceOptions, open_table: Any) -> Source:
    """Read `options.labels` (any table) into memory and put its labels on a source.

    The label column is `label_column`, else `label`, else the only column besides the ids. Raises `SourceError` when
    an id is there twice.
    """
    path = Path(str(options.labels))
    rows = open_table(path)
    names = tuple(rows[0]) if rows else ()
    if len(names) < 2:
        raise SourceError(f"{path} has {len(names)} columns; a table of labels needs ids and labels.")
    identity = options.id_column or next((name for name in ID_NAMES if name in names), names[0])
    others = [name for name in names if name != identity]
    column = options.label_column or ("label" if "label" in others else others[0] if len(others) == 1 else None)
    for option, name in (("id_column", identity), ("label_column", column)):
        if name not in names:
            shown = ", ".join(repr(other) for other in names)
            raise SourceError(f"{path}: which column is it? It has {shown}; name one with `{option}`.")
    labels: dict[str, Any] = {}
    for row in rows:
        key = to_id(row[identity])
        if key is None:
            continue
        if key in labels:
            raise SourceError(f"{path} has two labels for '{key}'; keep one row per id (several labels joined by |).")
        labels[key] = row[column]
    digest = hashlib.blake2b(repr(sorted(labels.items())).encode("utf-8", "backslashreplace"), digest_size=16)
    return LabelledSource(inner, str(path), labels, digest.hexdigest())


def _stamped(listing: Listing, stamp: str) -> Listing:
    """The listing with something more in what is hashed."""
    return replace(listing, shards=tuple(replace(shard, stamp=f"{shard.stamp} {stamp}") for shard in listing.shards))
