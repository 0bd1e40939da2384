"""Parquet files: columns of texts, image paths, or images as the struct {bytes, path} that `datasets` writes."""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.errors import SourceError
from classtoken.source.base import Entry, Listing, Shard, Source, SourceOptions, states_of, times_of
from classtoken.source.columns import Columns, check_once, resolve, rows_in, to_entry, to_id

#: Rows decoded at once; images are held as encoded bytes.
BATCH = 256


class Parquet(Source):
    """One or several Parquet files of one schema; row groups that a task does not need are not read."""

    kind = "parquet"

    def __init__(self, name: str, files: Sequence[Path], options: SourceOptions):
        self.name = name
        self.files = {path.as_posix(): path for path in files}
        self.options = options
        self._schema: pa.Schema | None = None

    def scan(self, every: int, limit: int | None = None) -> Listing:
        columns, shards = self._columns(), []
        left = sys.maxsize if limit is None else limit
        for name, path in self.files.items():
            if left <= 0:
                break
            rows = min(left, open_parquet(path).metadata.num_rows)
            left -= rows
            shards.append(Shard(name, rows, _stamp(path), tuple(range(0, rows, every))))
        schema = self._common_schema()
        meta = {column: schema.field(column).type for column in columns.meta}
        times = times_of(self.files.values(), copies=self.copies)  # a footer does not tell all that the pages hold
        return Listing(tuple(shards), meta, ids_given=columns.id is not None, times=times)

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        path, columns = self.files[shard], self._columns()
        with open_parquet(path) as file:
            groups, skip = _groups_from(file, start)
            number = first - skip
            wanted = [name for name in file.schema_arrow.names if name in used(columns)]
            for row in _python_rows(path, file, groups, wanted):
                if number >= first:
                    yield to_entry(row, columns, number, self.images_from or path.parent, self.options.label_separator)
                number += 1

    def state(self) -> tuple[tuple[int, ...], ...]:
        return states_of(self.files.values())

    def ids(self, listing: Listing) -> Iterator[str]:
        column = self._columns().id
        if column is None:
            yield from super().ids(listing)
            return
        for shard in listing.shards:
            path = self.files[shard.name]
            with open_parquet(path) as file:
                rows = _python_rows(path, file, list(range(file.num_row_groups)), [column])
                yield from filter(None, (to_id(row[column]) for row in islice(rows, shard.rows)))

    def names_of_columns(self) -> tuple[str, ...]:
        return tuple(open_parquet(next(iter(self.files.values()))).schema_arrow.names)

    def called(self) -> Mapping[str, str]:
        return self._columns().called

    def beside(self) -> tuple[str, ...]:
        return self._columns().beside

    def _columns(self) -> Columns:
        return resolve(self._common_schema().names, self.options, self.name)

    def _common_schema(self) -> pa.Schema:
        """The columns of all files, each of a type that holds the values of every file. Raises `SourceError`."""
        if self._schema is None:
            schemas = {path: _plain(open_parquet(path).schema_arrow) for path in self.files.values()}
            schema = pa.schema([])
            for path, other in schemas.items():
                check_once(other.names, path)
                schema = _joined(schema, other, path, next(iter(schemas)))
            found = resolve(schema.names, self.options, self.name)
            needed = {name for name in (found.id, found.text, found.image) if name}
            for path, other in schemas.items():
                lacking = sorted(needed - set(other.names))
                if lacking:
                    raise SourceError(
                        f"{path} has no column '{lacking[0]}', which other files of {self.name} have; it has "
                        f"{', '.join(map(repr, other.names))}."
                    )
            self._schema = schema
        return self._schema


def _plain(schema: pa.Schema) -> pa.Schema:
    """The same columns without what does not matter for their values: dictionaries, views, metadata."""
    return pa.schema([(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_type(kind.storage_type)
    return pa.string() if pa.types.is_string_view(kind) else kind


def _joined(schema: pa.Schema, other: pa.Schema, path: Path, first: Path) -> pa.Schema:
    for field in other:
        there = schema.field(field.name).type if field.name in schema.names else field.type
        try:
            kinds = [pa.schema([(field.name, kind)]) for kind in (there, field.type)]
            (common,) = pa.unify_schemas(kinds, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            raise SourceError(
                f"the column '{field.name}' is {there} in {first} and {field.type} in {path}; "
                "give files whose columns agree, or convert one of them."
            ) from None
        place = schema.get_field_index(field.name)
        schema = schema.append(common) if place < 0 else schema.set(place, common)
    return schema


def used(columns: Columns) -> set[str]:
    """The columns that have to be read."""
    parts = (columns.id, columns.text, columns.image, columns.label, columns.group)
    return {name for name in parts if name} | set(columns.meta)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a file, or raise `SourceError`."""
    try:
        file = pq.ParquetFile(pa.OSFile(os.fsencode(path)))
        _ = file.schema_arrow.names  # of a damaged file they may be no text
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    return file


def _python_rows(path: Path, file: pq.ParquetFile, groups: list[int], names: list[str]) -> Iterator[dict[str, Any]]:
    try:
        for batch in file.iter_batches(BATCH, row_groups=groups, columns=names):
            yield from rows_in(batch, path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path} cannot be read as Parquet ({' '.join(str(error).split())}); is it whole?")


def _groups_from(file: pq.ParquetFile, start: int) -> tuple[list[int], int]:
    """The row groups from the one that holds row `start` on, and how many of their rows to leave out."""
    before = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if before + rows > start:
            return list(range(group, file.num_row_groups)), start - before
        before += rows
    return [], 0


def _stamp(path: Path) -> str:
    """A hash of the size and the footer, which holds the place, size and statistics of every column chunk."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        file.seek(max(0, size - 8 - length))
        footer = file.read()
    return hashlib.blake2b(size.to_bytes(8, "little") + footer, digest_size=16).hexdigest()
