"""Vectors in other formats, written beside the parts from them, in their order: for readers that want one file.

npy          COLUMN.npy (rows, size), to be mapped into memory, and ids.npy beside it
safetensors  COLUMN-00000-of-00003.safetensors: the tensor `vectors` of some rows; ids.npy beside them
lance        vectors.lance, a Lance data set of all columns

Each says what made it: in the metadata of the schema or of the file, and for .npy in fingerprint.json.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from classtoken.errors import OptionError
from classtoken.extras import need
from classtoken.places import LocalPlace, Place
from classtoken.sink.manifest import Manifest
from classtoken.sink.numbers import TYPES
from classtoken.sink.rows import FINGERPRINT
from classtoken.sink.vectors import Vectors, read_part

Format = Literal["parquet", "npy", "safetensors", "lance"]
#: Rows of one safetensors file.
SHARD_ROWS = 1 << 18
IDS, MADE_BY = "ids.npy", "fingerprint.json"


def write_beside(place: Place, manifest: Manifest, format: Format) -> tuple[str, ...]:
    """Write a finished folder's vectors in another format too; the names of the files. Raises `OptionError`."""
    if format == "parquet":
        return ()
    return {"npy": _npy, "safetensors": _safetensors, "lance": _lance}[format](place, manifest)


def _npy(place: Place, manifest: Manifest) -> tuple[str, ...]:
    kind = TYPES[manifest.store].to_pandas_dtype()
    names = []
    for name, size in manifest.columns.items():
        names.append(_file_name(name) + ".npy")
        with tempfile.TemporaryDirectory(dir=_beside(place)) as folder:
            made = Path(folder) / "whole.npy"
            whole = np.lib.format.open_memmap(made, "w+", kind, (manifest.rows, size))
            begin = 0
            for block in _stored(place, manifest, name):
                whole[begin : begin + len(block)] = block
                begin += len(block)
            whole.flush()
            del whole
            place.put_file(names[-1], made)
    return (*names, *_ids(place, manifest))


def _safetensors(place: Place, manifest: Manifest) -> tuple[str, ...]:
    from safetensors.numpy import save

    made = {"fingerprint": manifest.fingerprint.to_json(indent=None), "store": manifest.store}
    names = []
    for name in manifest.columns:
        count = max(1, -(-manifest.rows // SHARD_ROWS))
        for number, block in enumerate(_shards(_stored(place, manifest, name))):
            names.append(f"{_file_name(name)}-{number:05d}-of-{count:05d}.safetensors")
            place.put(names[-1], save({"vectors": np.ascontiguousarray(block)}, metadata=made))
    return (*names, *_ids(place, manifest))


def _lance(place: Place, manifest: Manifest) -> tuple[str, ...]:
    lancedb = need("lancedb", "writing a Lance data set")
    if not isinstance(place, LocalPlace):
        raise OptionError("`format` lance is written to a folder of this machine; copy it from there.")
    vectors = Vectors(place, manifest)
    tables = vectors.tables()
    first = next(tables)
    made = {FINGERPRINT: manifest.fingerprint.to_json(indent=None)}

    def batches() -> Iterator[pa.RecordBatch]:
        yield from first.to_batches()
        for table in tables:
            yield from table.to_batches()

    schema = first.schema.with_metadata(made)
    lancedb.connect(place.path.as_posix()).create_table(
        "vectors",
        pa.RecordBatchReader.from_batches(schema, (_as(batch, schema) for batch in batches())),
        mode="overwrite",
    )
    return ("vectors.lance",)


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _stored(place: Place, manifest: Manifest, name: str) -> Iterator[np.ndarray]:
    """One column's numbers as they are stored, part by part."""
    for part in manifest.parts:
        column = read_part(place, part.file, [name]).column(0).combine_chunks()
        yield column.flatten().to_numpy(zero_copy_only=False).reshape(-1, manifest.columns[name])


def _shards(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    waiting: list[np.ndarray] = []
    for block in blocks:
        waiting.append(block)
        while sum(map(len, waiting)) >= SHARD_ROWS:
            whole = np.concatenate(waiting)
            yield whole[:SHARD_ROWS]
            waiting = [whole[SHARD_ROWS:]]
    if any(map(len, waiting)):
        yield np.concatenate(waiting)


def _ids(place: Place, manifest: Manifest) -> Sequence[str]:
    """The ids of all rows, which NumPy reads without pickles, and what made the vectors."""
    with tempfile.TemporaryDirectory(dir=_beside(place)) as folder:
        made = Path(folder) / IDS
        np.save(made, np.array(Vectors(place, manifest).ids, dtype=np.str_))
        place.put_file(IDS, made)
    about: Mapping[str, object] = {"store": manifest.store, **manifest.fingerprint.to_dict()}
    import json

    place.put(MADE_BY, json.dumps(about, indent=2).encode())
    return (IDS, MADE_BY)


def _beside(place: Place) -> str | None:
    """Where a temporary folder is: on the same file system, for a place of this machine."""
    return str(place.path / "_meta") if isinstance(place, LocalPlace) else None


def _file_name(column: str) -> str:
    """A column's name as a file is called: `cls+mean@-2` as it is, without what a path may not hold."""
    return column.replace("/", "_")
