"""A folder of vectors for other engines: a Lance data set, or a FAISS index with its ids beside."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.errors import OptionError
from classtoken.extras import need
from classtoken.plain import to_json
from classtoken.sink import Vectors

#: Where FAISS's index and what belongs to it lie.
INDEX, ROWS, ABOUT = "index.faiss", "rows.parquet", "about.json"


def write_lance(vectors: Vectors, folder: Path) -> None:
    """The folder as one table of LanceDB, `vectors`: ids, vectors, labels and what is carried, part by part.

    Raises `MissingExtra` without lancedb.
    """
    lancedb = need("lancedb", "exporting to Lance")
    parts = (pq.read_table(pa.OSFile(os.fsencode(file))) for file in vectors.files)
    first = next(parts)
    table = lancedb.connect(str(folder)).create_table("vectors", first)
    for part in parts:
        table.add(part)


def write_faiss(vectors: Vectors, folder: Path, column: str | None) -> None:
    """An exact FAISS index of one column's vectors (inner product of unit vectors: the cosine), and its rows in order.

    Raises `MissingExtra` without faiss, `OptionError` for a column that is not there or not clear.
    """
    faiss = need("faiss", "exporting to FAISS")
    columns = tuple(vectors.manifest.columns)
    if column is None and len(columns) > 1:
        raise OptionError(f"`pooling` is missing: an index is of one vector, and there are {', '.join(columns)}.")
    name = columns[0] if column is None else column
    if name not in columns:
        raise OptionError(f"`pooling` is '{name}', and the folder holds {', '.join(columns)}.")
    index = faiss.IndexFlatIP(vectors.manifest.columns[name])
    for block in vectors.blocks(name):
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        index.add(np.ascontiguousarray(block / np.where(lengths > 0, lengths, 1), dtype=np.float32))
    faiss.write_index(index, str(folder / INDEX))
    rest = [field for field in vectors.table.schema.names if field not in columns]
    pq.write_table(pa.table({field: vectors.table.column(field) for field in rest}), folder / ROWS)
    spaces = vectors.manifest.fingerprint.spaces
    about = {"column": name, "rows": len(vectors), "metric": "cosine", "space": spaces.get(name)}
    (folder / ABOUT).write_text(to_json(about, indent=2) + "\n", encoding="utf-8")
