"""Records and their vectors as one Arrow table with a fixed schema."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from classtoken.values import Record

QUARANTINE = pa.schema([("id", pa.string()), ("reason", pa.string())])
#: Before the names of columns that are carried through.
META = "meta."
_JOIN = "|"


def schema(columns: Mapping[str, int], meta: Mapping[str, pa.DataType], metadata: Mapping[str, str]) -> pa.Schema:
    """`id`, a vector per pooling, `label`, `group`, then what is carried through."""
    fields = [pa.field("id", pa.string(), nullable=False)]
    fields += [pa.field(name, pa.list_(pa.float32(), size), nullable=False) for name, size in columns.items()]
    fields += [pa.field("label", pa.string()), pa.field("group", pa.string())]
    fields += [pa.field(META + name, kind) for name, kind in meta.items()]
    return pa.schema(fields, metadata=dict(metadata))


def to_table(records: Sequence[Record], vectors: Mapping[str, np.ndarray], target: pa.Schema) -> pa.Table:
    """Rows of one part. `vectors[name]` has shape (rows, dimension). Several labels are joined by `|`."""
    arrays: list[pa.Array] = []
    for field in target:
        if field.name in vectors:
            arrays.append(_vectors(vectors[field.name], field.type))
        elif field.name.startswith(META):
            name = field.name.removeprefix(META)
            arrays.append(_carried([record.meta.get(name) for record in records], field.type))
        else:
            arrays.append(pa.array([_plain(record, field.name) for record in records], field.type))
    return pa.Table.from_arrays(arrays, schema=target)


def _vectors(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)


def _plain(record: Record, name: str) -> str | None:
    value = getattr(record, name)
    return _JOIN.join(value) if isinstance(value, tuple) else value


def _carried(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        values = [
            v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str) for v in values
        ]
    elif pa.types.is_floating(kind):
        values = [None if v is None else float(v) for v in values]
    return pa.array(values, kind)
