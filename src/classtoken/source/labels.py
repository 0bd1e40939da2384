"""Labels from a table beside the source, and a mask per image from a folder beside it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from classtoken.errors import SourceError
from classtoken.results.base import counted
from classtoken.source.base import Entry, Listing, Shard, Source, SourceAround, SourceOptions
from classtoken.source.columns import to_id, to_label
from classtoken.source.images import SUFFIXES
from classtoken.values import Record

#: What the column of ids in a table of labels may be called, else it is the first column.
ID_NAMES = ("id", "file", "filename", "file_name", "image", "path", "name")


class LabelledSource(SourceAround):
    """A source whose labels come from a table: by id, or by the file name where ids are paths."""

    def __init__(self, inner: Source, table: str, rows: Mapping[str, Any], stamp: str):
        super().__init__(inner)
        self.table = table
        self._rows = rows
        self._names = Names(rows)
        self._stamp = stamp

    def scan(self, every: int, limit: int | None = None) -> Listing:
        listing = _stamped(self.inner.scan(every, limit), self._stamp)
        used, total, without, otherwise = set(), 0, 0, []
        for identity in self.inner.ids(listing):
            key = self._names.find(identity)
            total, without = total + 1, without + (key is None)
            if key is not None and key not in (identity, PurePosixPath(identity).name):
                otherwise.append(f"'{key}' for '{identity}'")
            used.add(key)
        spare = len(self._rows.keys() - used)
        parts = [f"no label for {without} of {counted(total, 'record')}"] if without else []
        if otherwise:
            parts.append(
                f"{len(otherwise)} of {counted(total, 'record')} found under another spelling, such as {otherwise[0]}"
            )
        # With a limit, most labels are for records that are not looked at.
        parts += [f"{spare} label{'s' if spare > 1 else ''} for no record"] if spare and limit is None else []
        return replace(listing, notes=(*listing.notes, *([f"{self.table}: {', and '.join(parts)}."] if parts else [])))

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        for entry in self.inner.rows(shard, start, first, offset):
            yield replace(entry, label=self._label(entry.id)) if isinstance(entry, Record) else entry

    def beside(self) -> tuple[str, ...]:
        return ("label", *(name for name in self.inner.beside() if name != "label"))

    def _label(self, identity: str) -> str | tuple[str, ...] | None:
        key = self._names.find(identity)
        return None if key is None else to_label(self._rows[key], self.options.label_separator)


class Names:
    """Finds a record's row in a table of labels: by its id, its file name, or another spelling of them.

    Another spelling: without the suffix of an image, in other case, with Windows' separators, or as a path that begins
    further up or down (`train/7.jpg` for `7.jpg`). One that two rows of the table share finds nothing.
    """

    def __init__(self, keys: Iterable[str]):
        self._exact = frozenset(keys)
        self._spelt: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for key in self._exact:
            parts = _spelling(key)
            self._spelt.setdefault(parts[-1], []).append((parts, key))

    def find(self, identity: str) -> str | None:
        """The key of a record's row, or None."""
        name = PurePosixPath(identity).name
        if identity in self._exact or name in self._exact:
            return identity if identity in self._exact else name
        wanted = _spelling(identity)
        found = [
            (min(len(parts), len(wanted)), key)
            for parts, key in self._spelt.get(wanted[-1], ())
            if all(a == b for a, b in zip(reversed(parts), reversed(wanted), strict=False))
        ]
        longest = max((length for length, _ in found), default=0)
        best = [key for length, key in found if length == longest]
        return best[0] if len(best) == 1 else None


def _spelling(name: str) -> tuple[str, ...]:
    parts = [part for part in name.casefold().replace("\\", "/").split("/") if part not in ("", ".")] or [""]
    stem, _, suffix = parts[-1].rpartition(".")
    if stem and f".{suffix}" in SUFFIXES:
        parts[-1] = stem
    return tuple(parts)


class MaskedSource(SourceAround):
    """A source of image files whose masks lie in a folder; `meta["mask"]` is the mask's path, or None."""

    def __init__(self, inner: Source, folder: Path):
        super().__init__(inner)
        if not folder.is_dir():
            raise SourceError(f"there is no folder {folder}; give the one with a mask per image as `masks`.")
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
    identity = options.id_column or next((name for name in names if name.casefold() in ID_NAMES), names[0])
    others = [name for name in names if name != identity]
    usual = [name for name in others if name.casefold() == "label"] or (others if len(others) == 1 else [])
    column = options.label_column or (usual[0] if len(usual) == 1 else None)
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

    def stamped(shard: Shard) -> Shard:
        stamps = tuple(f"{one} {stamp}" for one in shard.stamps)
        return replace(shard, stamp=f"{shard.stamp} {stamp}", stamps=stamps)

    return replace(listing, shards=tuple(map(stamped, listing.shards)))
