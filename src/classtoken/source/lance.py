"""Lance data sets (a folder `NAME.lance`), read through the optional package lancedb."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from classtoken.errors import SourceError
from classtoken.extras import need
from classtoken.source.base import Entry, Listing, Shard, Source, SourceOptions
from classtoken.source.columns import Columns, resolve, rows_in, to_entry, to_id
from classtoken.source.parquet import BATCH, used


class Lance(Source):
    """The rows of the newest version of one Lance table, in the order in which they are stored."""

    kind = "lance"

    def __init__(self, name: str, folder: Path, options: SourceOptions):
        self.name = name
        self.folder = folder
        self.options = options

    def scan(self, every: int, limit: int | None = None) -> Listing:
        table, columns = self._table(), self._columns()
        count = table.count_rows()
        rows = count if limit is None else min(count, limit)
        files = sorted(path.name for path in (self.folder / "data").iterdir())
        stamp = hashlib.blake2b(repr((table.version, count, files)).encode(), digest_size=16).hexdigest()
        meta = {name: table.schema.field(name).type for name in columns.meta}
        return Listing((Shard("", rows, stamp, tuple(range(0, rows, every))),), meta, ids_given=columns.id is not None)

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        columns = self._columns()
        for number, row in enumerate(self._from(start, used(columns)), first):
            yield to_entry(row, columns, number, self.folder.parent, self.options.label_separator)

    def ids(self, listing: Listing) -> Iterator[str]:
        column = self._columns().id
        if column is None:
            return super().ids(listing)
        values = (row[column] for row in self._from(0, {column}))
        return filter(None, map(to_id, islice(values, listing.shards[0].rows)))

    def _from(self, start: int, names: set[str]) -> Iterator[dict[str, Any]]:
        reader: pa.RecordBatchReader = self._table().search().offset(start).select(sorted(names)).to_batches(BATCH)
        for batch in reader:
            yield from rows_in(batch, self.name)

    def names_of_columns(self) -> tuple[str, ...]:
        return tuple(self._table().schema.names)

    def called(self) -> Mapping[str, str]:
        return self._columns().called

    def beside(self) -> tuple[str, ...]:
        return self._columns().beside

    def _columns(self) -> Columns:
        return resolve(self._table().schema.names, self.options, self.name)

    def _table(self) -> Any:
        lancedb = need("lancedb", "reading a Lance data set")
        try:
            return lancedb.connect(self.folder.parent.as_posix()).open_table(self.folder.stem)
        except (ValueError, OSError, RuntimeError) as error:
            raise SourceError(f"{self.folder} cannot be read as a Lance data set ({error}); is it whole?") from error
