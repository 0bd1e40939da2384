"""Records and their vectors as one Arrow table with a fixed schema: the id, the vectors, then what is carried."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.errors import OptionError
from classtoken.fingerprint import hash_bytes
from classtoken.sink.states import NAMES as STATE_NAMES
from classtoken.sink.states import TokenStates, state_fields, to_arrays
from classtoken.values import Record, writable

#: Key of the schema's metadata, in every part and every format.
FINGERPRINT = "classtoken.fingerprint"
#: Another such key: a hash of what a small table holds.
CONTENTS = "classtoken.contents"
#: Columns of the record itself; the source's own may have any name.
FIXED = ("id", "label", "group")
#: What is added to the name of a column of the source that is taken.
TAKEN = "_source"
_JOIN = "|"


def table_in(content: bytes | BinaryIO, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file that Python holds, read by this thread alone.

    Arrow's threads may let go of Python's objects as late as when the interpreter ends, which aborts the process; and
    `pq.read_table` has them open the file, whatever it is told of threads.
    """
    file = pa.BufferReader(content) if isinstance(content, bytes) else content
    names = None if columns is None else list(columns)
    return pq.ParquetFile(file, pre_buffer=False).read(columns=names, use_threads=False)


def contents_of(table: pa.Table) -> str:
    """A hash of what a small table holds, for `CONTENTS`."""
    return hash_bytes(repr([(name, table.column(name).to_pylist()) for name in table.column_names]).encode())


@dataclass(frozen=True)
class CarriedColumn:
    """A column that is kept beside the vectors, so that a vector that was found can be shown.

    `read` says where a record has it: its `text`, the `path` of its image, a `column` of the source, called `source`,
    or where it stands in its text, for a `chunk`.
    """

    name: str
    read: Literal["text", "path", "column", "chunk"]
    source: str
    type: pa.DataType

    def of(self, record: Record) -> Any:
        """The value of one record."""
        if self.read == "text":
            return record.text
        if self.read == "path":
            # Absolute, so that it is found from anywhere.
            return (Path.cwd() / record.image).as_posix() if isinstance(record.image, Path) else None
        if self.read == "chunk":
            return getattr(record, self.source)
        return record.meta.get(self.source)


#: What stands beside a chunk of a text: whose it is, which one, and where it begins and ends there, in characters.
CHUNK_COLUMNS = (
    CarriedColumn("record", "chunk", "record", pa.string()),
    CarriedColumn("chunk", "chunk", "chunk", pa.int32()),
    CarriedColumn("begin", "chunk", "begin", pa.int64()),
    CarriedColumn("end", "chunk", "end", pa.int64()),
)


def carried_columns(
    first: Record,
    columns: Mapping[str, pa.DataType],
    vectors: Iterable[str],
    asked: Sequence[str] | None = None,
    called: Mapping[str, str] = MappingProxyType({}),
) -> tuple[CarriedColumn, ...]:
    """The columns to keep: the text or the path, as the `first` record has them, and all other `columns` of the source.

    asked: only these of them, by the source's names, `text` and `path`; `called` says which column holds the text, and
    either name will do. A name is the source's own; a dot in it becomes an underscore, and one that is taken (by the
    record's own columns or a vector) gets the suffix `_source`. Raises `OptionError` for a name that is not there.
    """
    there: list[tuple[Literal["text", "path", "column"], str, pa.DataType]] = []
    if first.text is not None:
        there.append(("text", "text", pa.string()))
    if isinstance(first.image, Path):
        there.append(("path", "path", pa.string()))
    there += [("column", name, kind) for name, kind in columns.items()]
    if asked is not None:
        asked = ["text" if name == called.get("text") else name for name in asked]
        strange = [name for name in asked if name not in {source for _, source, _ in there}]
        if strange:
            names = ", ".join(dict.fromkeys(source for _, source, _ in there)) or "none"
            raise OptionError(f"there is no column '{strange[0]}' to carry; there are: {names}.")
        there = [entry for entry in there if entry[1] in asked]
    taken = {*FIXED, *vectors}
    found = []
    for read, source, kind in there:
        name = writable(source).replace(".", "_")
        while name in taken:
            name += TAKEN
        taken.add(name)
        found.append(CarriedColumn(name, read, source, kind))
    return tuple(found)


def schema(
    columns: Mapping[str, int],
    carried: Sequence[CarriedColumn],
    metadata: Mapping[str, str],
    numbers: pa.DataType = pa.float32(),  # noqa: B008
    tokens: int = 0,
    beside: Sequence[str] = FIXED[1:],
) -> pa.Schema:
    """`id`, a vector per pooling, the states of `tokens` of that size, label and group, then what is carried."""
    fields = [pa.field("id", pa.string(), nullable=False)]
    fields += [pa.field(name, pa.list_(numbers, size), nullable=False) for name, size in columns.items()]
    fields += state_fields(tokens, numbers) if tokens else []
    fields += [pa.field(name, pa.string()) for name in beside]
    fields += [pa.field(column.name, column.type) for column in carried]
    return pa.schema(fields, metadata=dict(metadata))


def to_table(
    records: Sequence[Record],
    vectors: Mapping[str, np.ndarray],
    carried: Sequence[CarriedColumn],
    target: pa.Schema,
    states: Sequence[TokenStates] = (),
) -> pa.Table:
    """Rows of one part. `vectors[name]` has shape (rows, dimension), in the numbers that the target has. Several labels
    are joined by `|`."""
    kept = [field for field in target if field.name in STATE_NAMES and field.name not in vectors] if states else []
    of_tokens = dict(zip((field.name for field in kept), to_arrays(states, kept), strict=True)) if kept else {}
    return pa.Table.from_arrays(list(_arrays(records, vectors, carried, target, of_tokens)), schema=target)


def _arrays(
    records: Sequence[Record],
    vectors: Mapping[str, np.ndarray],
    carried: Sequence[CarriedColumn],
    target: pa.Schema,
    of_tokens: Mapping[str, pa.Array],
) -> Iterator[pa.Array]:
    by_name = {column.name: column for column in carried}
    for field in target:
        if field.name in vectors:
            yield _vectors(vectors[field.name], field.type)
        elif field.name in of_tokens:
            yield of_tokens[field.name]
        elif field.name in by_name:
            column = by_name[field.name]
            yield _carried([column.of(record) for record in records], field.type)
        else:
            yield pa.array([_plain(record, field.name) for record in records], field.type)


def _vectors(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    flat = np.ascontiguousarray(values, dtype=kind.value_type.to_pandas_dtype()).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)


def _plain(record: Record, name: str) -> str | None:
    value = getattr(record, name)
    return _JOIN.join(value) if isinstance(value, tuple) else value


def _carried(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = [None if v is None else _text(v) for v in values]
    elif pa.types.is_floating(kind):
        values = [None if v is None else float(v) for v in values]
    return pa.array(values, kind)


def _text(value: Any) -> str:
    """Whatever a column may hold, as a text: JSON's own types as JSON, everything else in its own words."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bool | int | float | list | tuple | dict):
        try:
            value = json.dumps(value, ensure_ascii=False, default=str)
        except (TypeError, ValueError, RecursionError):  # keys that are no texts, a list that holds itself
            value = repr(value)
    return writable(str(value))
