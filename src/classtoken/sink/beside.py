"""Vectors in other formats, written beside the parts from them, in their order: for readers that want one file.

npy          COLUMN.npy (rows, size), to be mapped into memory, and ids.npy beside it
safetensors  COLUMN-00000-of-00003.safetensors: the tensor `vectors` of some rows; ids.npy beside them
lance        vectors.lance, a Lance data set of all columns

Each says what made it: in the metadata of the schema or of the file, and for .npy in fingerprint.json.
"""

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pyarrow as pa

from classtoken.errors import ClasstokenError, OptionError, OutputError, StoreError
from classtoken.extras import need
from classtoken.files import whole_file
from classtoken.fingerprint import hash_opened, hash_value
from classtoken.places import LocalPlace, Place
from classtoken.plain import to_json
from classtoken.results.base import Result
from classtoken.sink.manifest import META, Manifest
from classtoken.sink.numbers import TYPES
from classtoken.sink.rows import FINGERPRINT
from classtoken.sink.states import NAMES as STATE_NAMES
from classtoken.sink.states import STATES, from_table
from classtoken.sink.vectors import Vectors, read_part

Format = Literal["parquet", "npy", "safetensors", "lance"]
#: Rows of one safetensors file.
SHARD_ROWS = 1 << 18
SHARD = re.compile(r"(.+)-\d{5,}-of-\d{5,}\.safetensors")
IDS, MADE_BY = "ids.npy", "fingerprint.json"
_STATE_PARTS = ("starts", "roles", "grids")


#: Below `_meta/`: which formats stand beside the parts, and which parts they were made of.
WRITTEN = "beside.json"
AT_ONCE = timedelta(milliseconds=1)
"""age of a state of a Lance data set that goes; of no age at all it warns"""


@dataclass(frozen=True)
class Written(Result):
    """The files of one format (of Lance, the folder), a hash of the parts that they were made of (none while they are
    being written), and the checksum of each file that holds numbers or ids."""

    files: tuple[str, ...]
    parts: str
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside(Result):
    """What stands beside the parts, by format."""

    formats: Mapping[str, Written] = field(default_factory=dict)


def check_format(place: Place, format: Format) -> None:
    """Raise `OptionError`, or `MissingExtra`, where a format cannot be written here; for who asks before any work."""
    if format == "lance":
        _folder_of_lance(place)


def write_beside(place: Place, manifest: Manifest, format: Format) -> tuple[str, ...]:
    """Write a finished folder's vectors in another format too, and those again that were written of an earlier state;
    the names of the files of this format. Raises `OptionError`."""
    formats, parts, there = dict(read_beside(place).formats), _made_of(manifest), place.sizes()
    wanted = sorted({*formats, *({format} - {"parquet"})})
    left = [name for name in wanted if not _stands(formats.get(name), parts, there)]
    if again := [name for name in left if name in formats]:
        # Where a kill leaves files of two states, they are of neither: a source that is put back would find them "its".
        formats |= {name: Written(formats[name].files, "") for name in again}
        _put(place, formats)
    for name in left:
        files = _WRITERS[name](place, manifest) if manifest.rows else ()
        before = formats[name].files if name in formats else ()
        old = (*before, *(_shards_there(place, manifest) if name == "safetensors" else ()))
        formats[name] = Written(files, parts, {file: _checksum(place, file) for file in _inside(place, files)})
        _remove_old(place, old, formats)
        _put(place, formats)
    return files_of(place, format)


def _put(place: Place, formats: Mapping[str, Written]) -> None:
    place.put(f"{META}/{WRITTEN}", Beside(formats).to_json().encode())


def _made_of(manifest: Manifest) -> str:
    return hash_value([part.checksum for part in manifest.parts])


def _stands(one: Written | None, parts: str, there: Mapping[str, int]) -> bool:
    """Whether a format was written of these parts, and its files are there."""
    return one is not None and one.parts == parts and all(_is_there(file, there) for file in one.files)


def _shards_there(place: Place, manifest: Manifest) -> Iterator[str]:
    """Shards of these columns, those that a killed run left among them: it may have cut them in another number."""
    columns = {*map(_file_name, manifest.columns), STATES}
    return (name for name in place.sizes() if (shard := SHARD.fullmatch(name)) and shard[1] in columns)


def _remove_old(place: Place, old: Sequence[str], formats: Mapping[str, Written]) -> None:
    """Remove files of an earlier state (of Lance, all in the folder) that none of this one stands in the place of."""
    gone = {*old} - {file for one in formats.values() for file in one.files}
    for name in place.sizes() if gone else ():
        if name in gone or name.partition("/")[0] in gone:
            place.delete(name)


def read_beside(place: Place) -> Beside:
    """What stands beside the parts of a folder."""
    try:
        return Beside.from_json(place.read(f"{META}/{WRITTEN}").decode())
    except StoreError:  # which says nothing of what stands there
        raise
    except (OSError, UnicodeDecodeError, ClasstokenError):
        return Beside()


def is_up_to_date(place: Place, manifest: Manifest, format: Format) -> bool:
    """Whether this format stands beside the parts, and all that stand there were made of these."""
    known, there, parts = read_beside(place).formats, place.sizes(), _made_of(manifest)
    return (format == "parquet" or format in known) and all(_stands(one, parts, there) for one in known.values())


def files_of(place: Place, format: Format) -> tuple[str, ...]:
    """The files of one format that stand beside the parts."""
    known = read_beside(place).formats
    return known[format].files if format in known else ()


def stale(place: Place, manifest: Manifest) -> list[str]:
    """Files beside the parts that were made of an earlier state of them."""
    parts = _made_of(manifest)
    return [name for one in read_beside(place).formats.values() if one.parts != parts for name in one.files]


def changed(place: Place) -> Iterator[str]:
    """What is wrong with the files beside the parts, compared with what was written."""
    there = place.sizes()
    if f"{META}/{WRITTEN}" in there and not {*read_beside(place).formats} & {*_WRITERS}:
        yield f"{META}/{WRITTEN}, which says what stands beside the parts, cannot be read"
    for one in read_beside(place).formats.values():
        yield from (f"{file} is missing" for file in one.files if not _is_there(file, there))
        for file, checksum in one.checksums.items():
            if file not in there and "/" in file:
                yield f"{file} is missing"
            elif file in there and _checksum(place, file) != checksum:
                yield f"{file} has changed since it was written (another checksum); remove it, and run embed again"


def _inside(place: Place, files: Sequence[str]) -> list[str]:
    """Files, and of folders those that hold the data: Lance itself writes the others anew."""
    data = tuple(f"{file}/data/" for file in files)
    return [name for name in place.sizes() if name in files or name.startswith(data)]


def _checksum(place: Place, file: str) -> str:
    with place.open(file) as opened:
        return hash_opened(opened)


def _is_there(file: str, there: Mapping[str, int]) -> bool:
    return file in there or any(name.startswith(f"{file}/") for name in there)


def _npy(place: Place, manifest: Manifest) -> tuple[str, ...]:
    kind = TYPES[manifest.store].to_pandas_dtype()
    names = []
    for name, size in manifest.columns.items():
        names.append(_file_name(name) + ".npy")
        with _file_of(place, names[-1]) as file:
            _write_head(file, kind, (manifest.rows, size))
            for block in _stored(place, manifest, name):
                file.write(np.ascontiguousarray(block, kind).data)
    if manifest.tokens:
        names += _npy_states(place, manifest)
    return (*names, *_ids(place, manifest))


@contextmanager
def _file_of(place: Place, name: str) -> Iterator[BinaryIO]:
    """A file to be written piece by piece, which is in the place when the block ends.

    None is written through memory: where the disk is full, the system ends a process that does.
    """
    here = place.path if isinstance(place, LocalPlace) else None
    with contextlib.nullcontext(here) if here else tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with whole_file(path) as temporary, temporary.open("wb") as file:
            yield file
        if not here:
            place.put_file(name, path)


def _write_head(file: BinaryIO, kind: Any, shape: tuple[int, ...]) -> None:
    about = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, about)


def _npy_states(place: Place, manifest: Manifest) -> tuple[str, ...]:
    """tokens.npy (all tokens, size), where each row's begin, their roles, and the rows' grids (0 x 0: none)."""
    vectors = Vectors(place, manifest)
    lengths = np.array([len(one) for one in vectors.states()], np.int64)
    starts = np.cumsum([0, *lengths])
    grids = np.zeros((len(lengths), 2), np.int32)
    roles = np.zeros(int(starts[-1]), np.uint8)
    kind = TYPES[manifest.store].to_pandas_dtype()
    names = [f"{name}.npy" for name in (STATES, *(f"{STATES}-{part}" for part in _STATE_PARTS))]
    with _file_of(place, names[0]) as file:
        _write_head(file, kind, (int(starts[-1]), manifest.tokens))
        for row, one in enumerate(vectors.states()):
            file.write(np.ascontiguousarray(one.states, kind).data)
            roles[starts[row] : starts[row + 1]] = one.roles
            grids[row] = one.grid or (0, 0)
    for name, array in zip(names[1:], (starts, roles, grids), strict=True):
        with _file_of(place, name) as file:
            np.save(file, np.asarray(array))
    return tuple(names)


def _safetensors_states(place: Place, manifest: Manifest, made: Mapping[str, str]) -> Iterator[str]:
    """A shard per part: the tokens of its rows, where each row's begin, their roles, and the rows' grids."""
    from safetensors.numpy import save

    kind = TYPES[manifest.store].to_pandas_dtype()
    vectors, count = Vectors(place, manifest), len(manifest.parts)
    for number in range(count):
        states = from_table(vectors.part(number, list(STATE_NAMES)))
        tensors = {
            STATES: np.concatenate(
                [np.zeros((0, manifest.tokens), kind), *(one.states.astype(kind) for one in states)]
            ),
            "starts": np.cumsum([0, *(len(one) for one in states)], dtype=np.int64),
            "roles": np.concatenate([np.zeros(0, np.uint8), *(one.roles for one in states)]),
            "grids": np.array([one.grid or (0, 0) for one in states], np.int32).reshape(-1, 2),
        }
        name = f"{STATES}-{number:05d}-of-{count:05d}.safetensors"
        place.put(name, save(tensors, metadata=dict(made)))
        yield name


def _safetensors(place: Place, manifest: Manifest) -> tuple[str, ...]:
    from safetensors.numpy import save

    made = {"fingerprint": manifest.fingerprint.to_json(indent=None), "store": manifest.store}
    names = []
    for name in manifest.columns:
        count = max(1, -(-manifest.rows // SHARD_ROWS))
        for number, block in enumerate(_shards(_stored(place, manifest, name))):
            names.append(f"{_file_name(name)}-{number:05d}-of-{count:05d}.safetensors")
            place.put(names[-1], save({"vectors": np.ascontiguousarray(block)}, metadata=made))
    if manifest.tokens:
        names += _safetensors_states(place, manifest, made)
    return (*names, *_ids(place, manifest))


def _folder_of_lance(place: Place) -> tuple[Any, Path]:
    """The package, and the folder that it writes to."""
    if not isinstance(place, LocalPlace):
        raise OptionError(f"`format` lance is written to a folder of this machine, and {place.name} is none.")
    return need("lancedb", "writing a Lance data set"), place.path


def _lance(place: Place, manifest: Manifest) -> tuple[str, ...]:
    lancedb, folder = _folder_of_lance(place)
    vectors = Vectors(place, manifest)
    tables = vectors.tables()
    first = next(tables)
    made = {FINGERPRINT: manifest.fingerprint.to_json(indent=None)}

    def batches() -> Iterator[pa.RecordBatch]:
        yield from first.to_batches()
        for table in tables:
            yield from table.to_batches()

    schema, name = first.schema.with_metadata(made), "vectors.lance"
    with lance_writes(folder / name):
        table = lancedb.connect(folder.as_posix()).create_table(
            "vectors",
            pa.RecordBatchReader.from_batches(schema, (_as(batch, schema) for batch in batches())),
            mode="overwrite" if (folder / name).exists() else "create",  # Lance warns of overwriting nothing
        )
        # Lance keeps every state: each update would add a whole copy, and what has gone would still be there.
        table.optimize(cleanup_older_than=AT_ONCE, delete_unverified=True)
    return (name,)


@contextmanager
def lance_writes(path: Path) -> Iterator[None]:
    """`OutputError` for what Lance says where it cannot write."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        said = str(error).partition(", /")[0]  # what follows is a place in Lance's own source
        raise OutputError(f"{path} cannot be written: {said}. Fix that, then run it again.") from error


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
    with _file_of(place, IDS) as file:
        np.save(file, np.array(Vectors(place, manifest).ids, dtype=np.str_))
    about: Mapping[str, object] = {"store": manifest.store, **manifest.fingerprint.to_dict()}

    place.put(MADE_BY, to_json(about, indent=2).encode())
    return (IDS, MADE_BY)


_WRITERS: Mapping[str, Callable[[Place, Manifest], tuple[str, ...]]] = {
    "npy": _npy,
    "safetensors": _safetensors,
    "lance": _lance,
}


def _file_name(column: str) -> str:
    """A column's name as a file is called: `cls+mean@-2` as it is, without what a path may not hold."""
    return column.replace("/", "_")
