"""Tables as files of lines: .txt (a record per line), .csv, .tsv and .jsonl."""

import csv
import json
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from classtoken.errors import SourceError
from classtoken.results.base import counted
from classtoken.source.base import Entry, Listing, Shard, Source, SourceOptions, states_of
from classtoken.source.columns import Columns, headerless, known_names, resolve, to_entry, to_id
from classtoken.source.delimited import TableHead, form_of, header
from classtoken.source.kinds import Kinds
from classtoken.source.lines import Lines, kind_of, strip_end
from classtoken.source.long_fields import Error, reader
from classtoken.values import Record, Rejected

PICTURE = {"bytes", "path"}
"""keys of a picture within a row"""


@dataclass(frozen=True)
class UnreadableRow:
    """A row that gives no columns, and why."""

    reason: str


Row = Mapping[str, Any] | UnreadableRow


class LineTable(Source):
    """A table in one or several files of lines; rows are parsed one after another from any row's first byte."""

    counted_as = "row {}{}, blank ones left out"
    """how whoever opens a file counts its rows, from 1"""

    def __init__(self, name: str, files: Sequence[Path], options: SourceOptions):
        self.name = name
        self.files = {path.as_posix(): path for path in files}
        self.options = options
        self.columns: Columns | None = None

    @abstractmethod
    def parse(self, lines: Lines, begin: int) -> Iterator[Row]:
        """The rows of a file from `begin` on. After each, `lines.position` is where the next one begins."""

    @abstractmethod
    def names(self, path: Path) -> tuple[str, ...]:
        """The names of one file's columns."""

    def types(self) -> Mapping[str, pa.DataType]:
        """The types of the columns that are carried through, once all rows have been seen."""
        columns = self._columns()
        return {name: pa.string() for name in columns.meta}

    def scan(self, every: int, limit: int | None = None) -> Listing:
        shards: list[Shard] = []
        left = sys.maxsize if limit is None else limit
        for name, path in self.files.items():
            if left <= 0:
                break
            shard = self._scan_file(name, path, every, left)
            left -= shard.rows
            shards.append(shard)
        return Listing(tuple(shards), self.types(), ids_given=self._columns().id is not None)

    def rows(self, shard: str, start: int, first: int, offset: int) -> Iterator[Entry]:
        path, columns = self.files[shard], self._columns()
        folder = self.images_from or path.parent
        above = start - first + self.rows_above(path)
        for number, row in enumerate(self.parse(self.lines(path, offset), offset), first):
            if isinstance(row, UnreadableRow):
                entry: Entry = Rejected(columns.id_unread(number), row.reason)
            else:
                entry = to_entry(row, columns, number, folder, self.options.label_separator)
            yield entry if isinstance(entry, Record) or columns.id else self._where(entry, path, number + above + 1)

    def state(self) -> tuple[tuple[int, ...], ...]:
        return states_of(self.files.values())

    def names_of_columns(self) -> tuple[str, ...]:
        return self.names(next(iter(self.files.values())))

    def called(self) -> Mapping[str, str]:
        return self._columns().called

    def beside(self) -> tuple[str, ...]:
        return self._columns().beside

    def ids(self, listing: Listing) -> Iterator[str]:
        column = self._columns().id
        if column is None:
            yield from super().ids(listing)
            return
        for shard in listing.shards:
            path = self.files[shard.name]
            lines = self.lines(path, self.first_row(path))
            rows = islice(self.parse(lines, lines.position), shard.rows)
            yield from filter(None, (to_id(row.get(column)) for row in rows if not isinstance(row, UnreadableRow)))

    def lines(self, path: Path, offset: int = 0) -> Lines:
        """The lines of one file from a byte on."""
        return Lines(path, offset, self.options.encoding)

    def see(self, row: Row) -> None:
        """Called with every row while scanning."""

    def _scan_file(self, name: str, path: Path, every: int, limit: int) -> Shard:
        offsets: list[int] = []
        stamps: list[str] = []
        count, begin = 0, self.first_row(path)
        lines = self.lines(path, begin)
        for row in self.parse(lines, begin):
            if count % every == 0:
                offsets.append(begin)
            self.see(row)
            count, begin = count + 1, lines.position
            if count % every == 0:
                stamps.append(lines.stamp_since())
            if count == limit:
                break
        if len(stamps) < len(offsets):
            stamps.append(lines.stamp_since())
        read = f"{self.reading(path)!r}"
        return Shard(name, count, lines.stamp(), tuple(offsets), tuple(f"{read} {stamp}" for stamp in stamps))

    def reading(self, path: Path) -> tuple[object, ...]:
        """What decides, besides the bytes of its lines and the options, which records the rows of a file become."""
        return (replace(self._columns(), meta=()),)

    def first_row(self, path: Path) -> int:
        """The byte at which the first row of a file begins."""
        return 0

    def rows_above(self, path: Path) -> int:
        """Rows of a file above its first record, which a spreadsheet counts."""
        return 0

    def _where(self, entry: Rejected, path: Path, row: int) -> Rejected:
        """A row without an id, with its place as whoever opens the file counts: from 1, with the header."""
        among = f" of {path.name}" if len(self.files) > 1 else ""
        return Rejected(entry.id, f"{entry.reason} ({self.counted_as.format(row, among)})")

    def _columns(self) -> Columns:
        """The columns, which must be the same in all files."""
        if self.columns is None:
            by_file = {path: self.names(path) for path in self.files.values()}
            first, names = next(iter(by_file.items()))
            for path, others in by_file.items():
                if set(others) != set(names):
                    odd = sorted(set(others) ^ set(names))[0]
                    raise SourceError(f"{path} and {first} differ in the column '{odd}'; give files of one kind.")
            self.columns = resolve(names, self.options, self.name)
        return self.columns


class TextLines(LineTable):
    """A `.txt` file: a record per line, its number the id. An empty line is refused."""

    kind = "text"
    counted_as = "line {}{}"

    def parse(self, lines: Lines, begin: int) -> Iterator[Row]:
        for line in lines:
            text = strip_end(line)
            yield {"text": text} if text.strip() else UnreadableRow("is an empty line")

    def names(self, path: Path) -> tuple[str, ...]:
        return ("text",)


class DelimitedTable(LineTable):
    """A `.csv` or `.tsv` file: quoted fields may hold separators, quotes (doubled) and line ends.

    What separates columns is what `delimiter` says, or the file's own first line (Excel's `sep=;`), a tab in a `.tsv`,
    else what fits its first rows best (`delimited.separator_of`). Columns without a name or a value at the end of rows
    are none: spreadsheets write them.
    """

    kind = "csv"

    def __init__(self, name: str, files: Sequence[Path], options: SourceOptions):
        super().__init__(name, files, options)
        self.headerless = headerless(options)
        self._heads: dict[Path, TableHead] = {}

    def read_as(self, remembered: Mapping[str, str]) -> None:
        """Numbers of columns are taken where the first row names none of the usual columns: it is no header then."""
        first = self.names_of_columns()
        numbered = all(name.isdecimal() and int(name) < len(first) for name in remembered.values())
        if numbered and not known_names(self.options) & {name.casefold() for name in first}:
            self.headerless, self._heads = True, {}
        super().read_as(remembered)

    def parse(self, lines: Lines, begin: int) -> Iterator[Row]:
        names = self.names(lines.path)
        for fields in self._fields(lines):
            if isinstance(fields, UnreadableRow):
                yield fields
            elif len(fields) < len(names) or any(fields[len(names) :]):
                yield UnreadableRow(f"has {counted(len(fields), 'field')} where there are {len(names)} columns")
            else:
                yield dict(zip(names, fields, strict=False))

    def names(self, path: Path) -> tuple[str, ...]:
        return self._head(path).names

    def first_row(self, path: Path) -> int:
        return self._head(path).first_row

    def rows_above(self, path: Path) -> int:
        return 0 if self.headerless else 1

    def reading(self, path: Path) -> tuple[object, ...]:
        return (*super().reading(path), self._head(path).separator, self.names(path))

    def _head(self, path: Path) -> "TableHead":
        if path not in self._heads:
            begin, separator = form_of(self.lines(path), self.options, known_names(self.options))
            self._heads[path] = TableHead(separator, (), begin)
            lines = self.lines(path, begin)
            fields = next(self._fields(lines), None)
            if fields is None:
                raise SourceError(f"{path} is empty; a {kind_of(path)} file needs at least a row of column names.")
            if isinstance(fields, UnreadableRow):
                raise SourceError(f"the first row of {path} cannot be read: it {fields.reason}.")
            if self.headerless:
                self._heads[path] = TableHead(separator, tuple(map(str, range(len(fields)))), begin)
            else:
                self._heads[path] = TableHead(separator, header(fields), lines.position)
        return self._heads[path]

    def _fields(self, lines: Lines) -> Iterator[list[str] | UnreadableRow]:
        """Rows as lists of fields; blank lines are none. A field of any length is allowed."""
        # A tab-separated file has no quotes as a rule: an inch sign must not swallow the rows that follow.
        plain = kind_of(lines.path) == ".tsv"
        separator = self._heads[lines.path].separator
        rows = reader(lines, strict=True, delimiter=separator, quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL)
        while True:
            begun = lines.position
            try:
                fields = next(rows)
            except StopIteration:
                return
            except Error as error:
                if "unexpected end of data" in str(error):
                    raise SourceError(
                        f"{lines.path}: a quote opened in the row at byte {begun} is never closed; "
                        "close it, or double quotes that are part of the text."
                    ) from None
                yield UnreadableRow(f"is not well-formed CSV ({error})")
                continue
            if fields:
                yield fields


class _Ambiguous(dict[str, Any]):
    """A JSON object in which `key` stands twice; the last value is taken, as other programs do."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    ambiguous, keys = _Ambiguous(found), [key for key, _ in pairs]
    ambiguous.key = next(key for key in found if keys.count(key) > 1)
    return ambiguous


def _key_twice(row: Any) -> str | None:
    """The key that stands twice where a record's values stand: in the row itself, and in what may be its picture. Other
    objects in it are at most carried through, and cost no record."""
    inside = row.values() if isinstance(row, dict) else ()
    pictures = (value for value in inside if isinstance(value, _Ambiguous) and PICTURE & value.keys())
    return next((value.key for value in (row, *pictures) if isinstance(value, _Ambiguous)), None)


class JsonLines(LineTable):
    """A `.jsonl` file: a JSON object per line; blank lines are none. Columns are the keys of the first rows."""

    kind = "jsonl"
    #: Rows that are looked at to know which columns there are; a key that comes later is still carried through.
    LOOKED_AT = 100

    def __init__(self, name: str, files: Sequence[Path], options: SourceOptions):
        super().__init__(name, files, options)
        self._kinds = Kinds()

    def parse(self, lines: Lines, begin: int) -> Iterator[Row]:
        for line in lines:
            if not line.strip():
                continue
            try:
                value = json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                yield UnreadableRow(f"is not JSON ({error})")
                continue
            if (key := _key_twice(value)) is not None:
                yield UnreadableRow(f"has the key {key!r} twice; which of them is meant nobody knows")
            elif isinstance(value, dict):
                yield value
            else:
                yield UnreadableRow(f"is a JSON {type(value).__name__}, not an object")

    def names(self, path: Path) -> tuple[str, ...]:
        names: dict[str, None] = {}
        reasons: list[str] = []
        for row, _ in zip(self.parse(self.lines(path), 0), range(self.LOOKED_AT), strict=False):
            if isinstance(row, UnreadableRow):
                reasons.append(row.reason)
            else:
                names.update(dict.fromkeys(row))
        if not names:
            first = f" The first {reasons[0]}." if reasons else ""
            said = f"{path} has no JSON object with a key that can be read in its first {self.LOOKED_AT} lines."
            raise SourceError(f"{said}{first} Write an object a line.")
        return tuple(names)

    def see(self, row: Row) -> None:
        if not isinstance(row, UnreadableRow):
            self._kinds.see(row)

    def types(self) -> Mapping[str, pa.DataType]:
        columns, kinds = self._columns(), self._kinds.types()
        used = {columns.id, columns.text, columns.image, columns.label, columns.group}
        meta = {name: kind for name, kind in kinds.items() if name not in used}
        self.columns = replace(columns, meta=tuple(meta))
        return meta

    def _columns(self) -> Columns:
        if self.columns is None:
            # Keys may be left out of an object, so files need not agree in them.
            names = dict.fromkeys(name for path in self.files.values() for name in self.names(path))
            self.columns = resolve(tuple(names), self.options, self.name)
        return self.columns
