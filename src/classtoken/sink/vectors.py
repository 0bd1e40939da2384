"""Vectors read back: ids, one matrix per pooling, and the table they lie in; each part only when it is asked for."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.errors import ClasstokenError, ManifestMismatch, OptionError, OutputError, StoreError
from classtoken.fingerprint import Fingerprint
from classtoken.places import LocalPlace, Place, place_of
from classtoken.sink.manifest import Manifest, Part, has_manifest, read_manifest, refuse_first_format, summed
from classtoken.sink.numbers import Store, to_floats
from classtoken.sink.pages import NotPlain, plain_numbers
from classtoken.sink.rows import FINGERPRINT, FIXED, table_in
from classtoken.sink.states import NAMES as STATE_NAMES
from classtoken.sink.states import STATES, TokenStates, from_table


class Arrays(Mapping[str, np.ndarray]):
    """Pooling -> matrix (rows, dimension), float32; read from the files when it is first asked for, then kept."""

    def __init__(self, vectors: "Vectors"):
        self._vectors = vectors
        self._kept: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._kept:
            if name not in self._vectors.manifest.columns:
                names = ", ".join(self)
                raise KeyError(f"{self._vectors.place.name} holds no vectors '{name}'; it has {names}.")
            self._kept[name] = self._vectors.matrix(name)
        return self._kept[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._vectors.manifest.columns)

    def __len__(self) -> int:
        return len(self._vectors.manifest.columns)

    def __repr__(self) -> str:
        rows = len(self._vectors)
        return (
            f"Arrays({', '.join(f'{name}: ({rows}, {size})' for name, size in self._vectors.manifest.columns.items())})"
        )


class Vectors:
    """A finished folder of vectors. `ids` and the rows of every matrix and of `table` are in the same order."""

    def __init__(self, folder: str | Path | Place, manifest: Manifest):
        self.place = place_of(folder)
        self.manifest = manifest
        self.arrays = Arrays(self)

    def __len__(self) -> int:
        return self.manifest.rows

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}: {size}" for name, size in self.manifest.columns.items())
        return f"Vectors({self.place.name!r}, {len(self)} rows, {columns})"

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids, in the order of the source."""
        return tuple(self.column("id"))

    @cached_property
    def table(self) -> pa.Table:
        """Everything, as pyarrow has it (files mapped into memory where the system can)."""
        return pa.concat_tables(self.tables(None))

    @property
    def folder(self) -> Path:
        """The folder of this machine that it lies in, or where a URL would be one."""
        return self.place.path if isinstance(self.place, LocalPlace) else Path(self.place.name)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The Parquet files in order."""
        return tuple(self.folder / part.file for part in self.manifest.parts)

    def column(self, name: str) -> list:
        """A column that is no vector (`label`, `group`, `text`, ..., or as the source calls it) as Python values.

        Raises `OptionError` for one that is not there, naming those that are.
        """
        name = self.manifest.own_name(name)
        if name not in self.columns and not any(name in table.column_names for table in self.tables()):
            raise OptionError(f"{self.place.name} has no column '{name}'; it has {', '.join(self.columns)}.")
        return [value for table in self.tables([name]) for value in table.column(name).to_pylist()]

    def matrix(self, name: str) -> np.ndarray:
        """One pooling's vectors (rows, dimension), copied into a new array part by part."""
        whole = np.empty((len(self), self._size(name)), dtype=np.float32)
        begin = 0
        for block in self.blocks(name):
            whole[begin : begin + len(block)] = block
            begin += len(block)
        return whole

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """One pooling's vectors, a matrix per file: for work that must not hold them all."""
        return (self.numbers(number, name) for number in range(len(self.manifest.parts)))

    def numbers(self, number: int, name: str) -> np.ndarray:
        """One pooling's vectors of one file. May be called from several threads."""
        size, part = self._size(name), self.manifest.parts[number].file
        if isinstance(self.place, LocalPlace) and self.manifest.store == "fp32":
            with (
                contextlib.suppress(NotPlain, pa.ArrowException, OSError, UnicodeDecodeError),
                pa.memory_map(os.fsencode(self.place.path / part)) as mapped,
            ):
                file = pq.ParquetFile(mapped)
                check_made_alike(file.schema_arrow, self.manifest, f"{self.place.name}/{part}")
                return plain_numbers(file, _whole(mapped), name, size)
        column = self.part(number, [name]).column(name).combine_chunks()
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), size)

    def _size(self, name: str) -> int:
        """How many numbers a vector has. Raises `OptionError` for one that is not there."""
        if name not in self.manifest.columns:
            raise OptionError(
                f"{self.place.name} holds no vectors '{name}'; it has {', '.join(self.manifest.columns)}."
            )
        return self.manifest.columns[name]

    def states(self) -> Iterator[TokenStates]:
        """The states of each row's tokens with their roles (`sink.states.TokenStates`), in the order of the rows.

        Raises `OptionError` where the folder keeps none.
        """
        if not self.manifest.tokens:
            raise OptionError(f"{self.place.name} keeps no states of tokens; embed with `tokens`.")
        return (one for table in self.tables(list(STATE_NAMES)) for one in from_table(table))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column by its name: the id, the vectors, states of tokens, label and group, what is carried."""
        states = STATE_NAMES if self.manifest.tokens else ()
        return ("id", *self.manifest.columns, *states, *self.manifest.beside, *self.manifest.carried)

    def labels(self) -> list[str | None]:
        """The label of every row; None of each where the source has none."""
        return self.column("label") if "label" in self.manifest.beside else [None] * len(self)

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns kept beside the vectors, besides `label` and `group`."""
        return self.manifest.carried

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """These columns, or all, a table per file: for work that must not hold them all."""
        return (self.part(number, columns) for number in range(len(self.manifest.parts)))

    def part(self, number: int, columns: list[str] | None = None) -> pa.Table:
        """These columns, or all, of one file. May be called from several threads."""
        name = self.manifest.parts[number].file
        try:
            table = read_part(self.place, name, columns)
        except StoreError:
            raise
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            strange = [column for column in columns or () if column not in self.columns]
            if strange:
                raise OptionError(
                    f"{self.place.name} has no column '{strange[0]}'; it has {', '.join(self.columns)}."
                ) from None
            said = " ".join(str(error).split())
            raise OutputError(
                f"{name} of {self.place.name} cannot be read ({said}); see `classtoken verify`."
            ) from error
        check_made_alike(table.schema, self.manifest, f"{self.place.name}/{name}")
        return table if self.manifest.store == "fp32" else as_floats(table, self.manifest)


def _whole(mapped: pa.MemoryMappedFile) -> pa.Buffer:
    mapped.seek(0)
    return mapped.read_buffer(mapped.size())


def as_floats(table: pa.Table, manifest: Manifest) -> pa.Table:
    """A part's table with its vectors as float32, whatever numbers they are stored in."""
    for name, size in manifest.columns.items():
        place = table.schema.get_field_index(name)
        if place >= 0:
            stored = table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
            flat = pa.array(to_floats(stored, manifest.ranges.get(name)).reshape(-1))
            array = pa.FixedSizeListArray.from_arrays(flat, size)
            table = table.set_column(place, pa.field(name, array.type, nullable=False), array)
    return table


def read_part(place: Place, name: str, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file of a place, mapped into memory where it lies on this machine."""
    if isinstance(place, LocalPlace):
        # Arrow's own opening takes no name that is not UTF-8
        return pq.read_table(pa.memory_map(os.fsencode(place.path / name)), columns=columns, use_threads=False)
    with place.open(name) as file:
        return table_in(file, columns)


def made_by(schema: pa.Schema) -> Fingerprint | None:
    """What made a Parquet file of vectors, from its schema; None where it does not say."""
    text = (schema.metadata or {}).get(FINGERPRINT.encode())
    with contextlib.suppress(ClasstokenError):
        return None if text is None else Fingerprint.from_json(text)
    return None


def check_made_alike(schema: pa.Schema, manifest: Manifest, path: str) -> None:
    """Raise `ManifestMismatch` for a part that was made in another way than its folder's manifest says."""
    found = made_by(schema)
    if found is None:
        raise ManifestMismatch(f"{path} does not say what made its vectors; embed anew.")
    if parts := manifest.fingerprint.differences(found):
        raise ManifestMismatch(f"{path} holds vectors made with {'; '.join(parts)}; remove it and run the embed again.")


def manifest_of_parts(place: Place) -> Manifest:
    """What the schemas of a folder's parts say where its manifest is gone: parts of one making, in the order of their
    names.

    Raises `ManifestMismatch` where two were made in different ways, and what `read_manifest` does where there is none.
    """
    refuse_first_format(place)
    names = sorted(name for name in place.sizes() if name.startswith("part-") and name.endswith(".parquet"))
    schemas = {name: _schema(place, name) for name in names}
    first = next(iter(schemas), None)
    made = None if first is None else made_by(schemas[first][0])
    if first is None or made is None:
        return read_manifest(place)  # which says what is wrong
    parts = []
    for number, (name, (schema, rows)) in enumerate(schemas.items()):
        other = made_by(schema)
        if other is None or made.differences(other):
            what = "not said" if other is None else "; ".join(made.differences(other))
            raise ManifestMismatch(
                f"{place.name} has no manifest, and mixes vectors: {name} was made with {what}, as {first} says; keep "
                "parts of one making."
            )
        parts.append(Part(number, name, rows, place.sizes()[name], "", 0))
    schema = schemas[first][0]
    columns = {name: schema.field(name).type.list_size for name in made.poolings if name in schema.names}
    if any(schema.field(name).type.value_type == pa.int8() for name in columns):
        raise OutputError(f"{place.name} has no manifest, which says what its bytes stand for; embed anew.")
    kind = schema.field(STATES).type if STATES in schema.names else None
    tokens = kind.value_type.list_size if kind is not None and pa.types.is_list(kind) else 0
    kept = STATE_NAMES if tokens else ()
    others = tuple(name for name in schema.names if name not in (*FIXED, *columns, *kept))
    beside = tuple(name for name in FIXED[1:] if name in schema.names)
    manifest = Manifest(
        "", None, "", "", columns, made, "", len(parts), 0, others, made.prompt or None, tokens=tokens, beside=beside
    )
    whole = summed(manifest, tuple(parts))
    store: Store = "fp16" if any(schema.field(name).type.value_type == pa.float16() for name in columns) else "fp32"
    return replace(whole, total=whole.rows, store=store)


def _schema(place: Place, name: str) -> tuple[pa.Schema, int]:
    try:
        with place.open(name) as file:
            opened = pq.ParquetFile(file)
            return opened.schema_arrow, opened.metadata.num_rows
    except StoreError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise OutputError(f"{name} of {place.name} cannot be read ({' '.join(str(error).split())}).") from error


def read(folder: str | Path | Place) -> Vectors:
    """Open a folder of vectors. Raises `OutputError` when it holds none, or the run that makes them is not done."""
    place = place_of(folder)
    manifest = read_manifest(place) if has_manifest(place) else manifest_of_parts(place)
    if not manifest.complete:
        raise OutputError(
            f"{place.name} is not finished; run the same `classtoken embed` again, it goes on where it was."
        )
    there = place.sizes()
    missing = [part.file for part in manifest.parts if part.file not in there]
    if missing:
        raise OutputError(f"{place.name} lacks {missing[0]}, which its manifest lists; run the same embed again.")
    return Vectors(place, manifest)
