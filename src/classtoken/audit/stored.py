"""Texts and their vectors, as somebody stored them: a Parquet or JSON lines file, or a folder that `embed` made."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.errors import SourceError
from classtoken.files import user_path
from classtoken.sink.manifest import META

TEXTS = ("text", "sentence", "content", "document", "input")


@dataclass(frozen=True)
class StoredVectors:
    """Texts and their vectors, (texts, size) float32, in one order."""

    texts: tuple[str, ...]
    vectors: np.ndarray


def read_stored(path: str | Path, *, text_column: str | None = None, vector_column: str | None = None) -> StoredVectors:
    """Read texts with their vectors. Raises `SourceError` for what cannot be read and for columns that are not clear.

    A column of numbers is a list of them (of any length that is the same in all rows), or in JSON lines an array.
    Columns are found where there is one that can be meant.
    """
    place = user_path(path)
    table = _table(place)
    vectors = _column(table, vector_column, _of_numbers(table), "vector_column", place)
    named = [name for name in TEXTS if name in table.column_names] or _of_texts(table)
    texts = _column(table, text_column, named[:1], "text_column", place)
    values = table.column(texts).to_pylist()
    rows = table.column(vectors).to_pylist()
    kept = [(text, row) for text, row in zip(values, rows, strict=True) if isinstance(text, str) and row]
    if len(kept) < 2 or len({len(row) for _, row in kept}) != 1:
        raise SourceError(f"'{place}' holds {len(kept)} texts with a vector, or vectors of several sizes.")
    found = np.array([row for _, row in kept], dtype=np.float32)
    if not np.isfinite(found).all():
        raise SourceError(f"'{place}' holds vectors that are not finite.")
    return StoredVectors(tuple(text for text, _ in kept), found)


def _table(place: Path) -> pa.Table:
    try:
        if place.is_dir():
            files = sorted(file for file in place.glob("*.parquet") if META not in file.parts)
            if not files:
                raise SourceError(f"'{place}' holds no .parquet files; give a file, or a folder that embed made.")
            return pa.concat_tables([pq.read_table(pa.OSFile(os.fsencode(file))) for file in files])
        if place.suffix == ".parquet":
            return pq.read_table(pa.OSFile(os.fsencode(place)))
        if place.suffix in (".jsonl", ".ndjson"):
            lines = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines() if line.strip()]
            return pa.Table.from_pylist(lines)
    except (OSError, ValueError, pa.ArrowException, AttributeError) as error:
        said = " ".join(str(error).split())
        raise SourceError(f"'{place}' cannot be read as texts with vectors ({said[:200]}).") from None
    raise SourceError(f"'{place}' is no .parquet or .jsonl file of texts and vectors, and no folder that embed made.")


def _of_numbers(table: pa.Table) -> list[str]:
    found = []
    for field in table.schema:
        kind = field.type
        if (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind)) and (
            pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
        ):
            found.append(field.name)
    return found


def _of_texts(table: pa.Table) -> list[str]:
    return [f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]


def _column(table: pa.Table, asked: str | None, found: list[str], option: str, place: Path) -> str:
    if asked is not None and asked in table.column_names:
        return asked
    if asked is None and len(found) == 1:
        return found[0]
    there = ", ".join(map(repr, table.column_names))
    raise SourceError(f"which column of '{place}' is meant is not clear; name it with `{option}`. There are {there}.")
