"""What a Python program holds already, as a source: a list of items, a column, a table, a dictionary of columns."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from classtoken.errors import SourceError
from classtoken.source.base import Entry, Listing, Shard, Source, SourceOptions
from classtoken.source.columns import Columns, resolve, rows_in, to_entry
from classtoken.source.images import SUFFIXES
from classtoken.source.kinds import Kinds
from classtoken.values import Rejected

Rows = Sequence[Mapping[str, Any]]
ORIENTATION = 0x0112
"""the number in a picture's EXIF that says which side is up"""


class InMemory(Source):
    """Rows that are held in memory; each is a dictionary of its columns. The hash is of what they hold."""

    kind = "memory"

    def __init__(self, name: str, rows: Rows, names: Sequence[str], options: SourceOptions):
        self.name = name
        self.options = options
        self._rows = rows
        self._names = tuple(names)

    def scan(self, every: int, limit: int | None = None) -> Listing:
        columns, kinds, digest = self._columns(), Kinds(), hashlib.blake2b(digest_size=16)
        count = len(self._rows) if limit is None else min(limit, len(self._rows))
        for number in range(count):
            row = self._rows[number]
            kinds.see({name: row.get(name) for name in columns.meta})
            digest.update(bytes_of(row))
        shard = Shard("", count, digest.hexdigest(), tuple(range(0, count, every)))
        return Listing((shard,), kinds.types(), ids_given=columns.id is not None)

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        columns = self._columns()
        for number in range(start, len(self._rows)):
            row = self._rows[number]
            if not row:
                yield Rejected(columns.id_unread(number), "holds nothing")
            else:
                yield to_entry(row, columns, number, Path.cwd(), self.options.label_separator)

    def names_of_columns(self) -> tuple[str, ...]:
        return self._names

    def called(self) -> Mapping[str, str]:
        return self._columns().called

    def beside(self) -> tuple[str, ...]:
        return self._columns().beside

    def _columns(self) -> Columns:
        return resolve(self._names, self.options, self.name)


def in_memory(given: Any, options: SourceOptions) -> Source:
    """Lists and tuples of texts, paths, Pillow images, arrays or dictionaries; a column (pandas, polars, Arrow, numpy);
    a table (pandas, polars, Arrow, `datasets`); a dictionary of columns. Raises `SourceError` for anything else."""
    what = type(given).__name__
    if isinstance(given, np.ndarray):
        _check_array(given)
    if _is_picture(given):
        given = [given]
    if isinstance(given, Mapping):
        return _of_columns([(str(name), column) for name, column in given.items()], what, options)
    if hasattr(given, "features") and hasattr(given, "with_format"):  # datasets
        if not hasattr(given, "__len__"):
            raise SourceError(
                f"a {what} has no end that is known; give a list of what is wanted, `list(data.take(1000))`."
            )
        classes = {name: getattr(feature, "names", None) for name, feature in given.features.items()}
        table = given.with_format("arrow")[:]
        return InMemory(_name(what, len(table)), _Named(_ArrowRows(table), classes), table.column_names, options)
    if hasattr(given, "to_arrow"):  # polars
        given = given.to_arrow()
    if hasattr(given, "to_batches") and hasattr(given, "column_names"):
        return InMemory(_name(what, len(given)), _ArrowRows(given), given.column_names, options)
    if hasattr(given, "columns") and hasattr(given, "iloc"):  # pandas
        # Not by name: for one that it has twice it gives a table, whose values are names.
        return _of_columns([(str(name), column) for name, column in given.items()], what, options)
    if isinstance(given, Set | str | bytes) or not hasattr(given, "__iter__"):
        raise SourceError(
            f"a {what} is no source; give a path, a list of texts, paths or images, a table or a dictionary of columns."
        )
    rows = [_row(item) for item in _values(given)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return InMemory(_name(what, len(rows)), rows, names or ["text"], options)


def _of_columns(columns: Sequence[tuple[str, Any]], what: str, options: SourceOptions) -> Source:
    for name, column in columns:
        if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
            raise SourceError(f"the column {name!r} of a {what} is one {type(column).__name__}; give a list.")
    names, lists = [name for name, _ in columns], [_values(column) for _, column in columns]
    if len(set(map(len, lists))) > 1:
        said = ", ".join(f"{name!r} has {len(values)}" for name, values in zip(names, lists, strict=True))
        raise SourceError(f"the columns of a {what} must have one length; {said}.")
    rows = [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]
    return InMemory(_name(what, len(rows)), rows, names, options)


def _name(what: str, count: int) -> str:
    return f"{what} of {count}"


def _values(column: Any) -> list[Any]:
    """The values of a column as Python's own; what is missing is None."""
    for convert in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, convert) and not (isinstance(column, np.ndarray) and column.ndim > 1):
            column = getattr(column, convert)()
            break
    return [None if _is_missing(value) else value for value in column]


def _is_missing(value: Any) -> bool:
    """NaN, and pandas' signs for what is not there."""
    return (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")


def _check_array(given: np.ndarray) -> None:
    """Raise `SourceError` for an array whose first axis is not known to be that of the records: channels that come
    first would be so many grey pictures."""
    if given.dtype.kind in "OUS":
        right, fields = given.ndim == 1, "or (n,) of texts"
    else:
        right, fields = _is_picture(given) or (given.ndim == 4 and given.shape[-1] in (1, 3, 4)), "channels last"
    if not right:
        raise SourceError(
            f"an array of shape {given.shape} and type {given.dtype} is no source; allowed are one picture, (H, W) or "
            f"(H, W, 1|3|4), and several, (N, H, W, 1|3|4), {fields}. Give a list of its records."
        )


def _is_picture(given: Any) -> bool:
    """One picture: of Pillow, or an array (H, W) or (H, W, 1|3|4)."""
    if isinstance(given, np.ndarray) and given.dtype.kind not in "OUS":
        return given.ndim == 2 or (given.ndim == 3 and given.shape[-1] in (1, 3, 4))
    return hasattr(given, "convert") and hasattr(given, "tobytes")


def _row(item: Any) -> Mapping[str, Any]:
    """One item of a list as a row: an image where it is one or is called like one, else a text."""
    if isinstance(item, Mapping) and not {"bytes", "path"} & item.keys():
        return item
    if isinstance(item, str):
        return {"image": item} if Path(item[-20:]).suffix.lower() in SUFFIXES and "\n" not in item else {"text": item}
    return {} if item is None else {"image": item}


class _ArrowRows(Sequence):
    """The rows of an Arrow table, each made when it is asked for."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, number: Any) -> Any:
        return rows_in(self._table.slice(number, 1), "the table")[0]


class _Named(Sequence):
    """Rows whose numbers in columns of classes are their names (`datasets.ClassLabel`)."""

    def __init__(self, rows: Rows, names: Mapping[str, Any]):
        self._rows = rows
        self._names = {name: labels for name, labels in names.items() if labels}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: Any) -> Any:
        row = dict(self._rows[number])
        for name, labels in self._names.items():
            value = row[name]
            row[name] = labels[value] if isinstance(value, int) and 0 <= value < len(labels) else None
        return row


def bytes_of(value: Any) -> bytes:
    """What a value holds, for the hash: equal exactly when it would be read the same, in any process."""
    if isinstance(value, Mapping):
        return b"{" + b"".join(bytes_of(str(key)) + bytes_of(inner) for key, inner in value.items()) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b"".join(map(bytes_of, value)) + b"]"
    if isinstance(value, Set):  # in an order of their own, which is another one in every process
        return b"(" + b"".join(sorted(map(bytes_of, value))) + b")"
    if isinstance(value, np.ndarray) and value.dtype.hasobject:  # its own bytes are addresses
        return f"{value.shape}".encode() + bytes_of(value.tolist())
    if isinstance(value, Path):
        size = value.expanduser().stat().st_size if value.expanduser().is_file() else -1
        content = f"{value}:{size}".encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes | bytearray):
        content = bytes(value)
    elif isinstance(value, np.ndarray):
        content = f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    elif hasattr(value, "convert") and hasattr(value, "tobytes"):  # Pillow
        content = _pixels(value)
    else:
        content = str(value).encode("utf-8", "surrogatepass")
    return f"{type(value).__name__}:{len(content)}:".encode() + content


def _pixels(image: Any) -> bytes:
    """What a picture of Pillow shows: its numbers, and what says which colours they are and which side is up.

    One that cannot be decoded (Pillow opens a file before it reads it) is known by what is wrong with it: it is refused
    as a record, where it is decoded again.
    """
    try:
        colours = image.getpalette("RGBA") if image.mode in ("P", "PA") else None
        shown = (image.mode, image.size, colours, image.info.get("transparency"), image.getexif().get(ORIENTATION))
        return repr(shown).encode() + bytes(image.tobytes())
    except Exception as error:  # whatever a decoder raises
        return f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace")
