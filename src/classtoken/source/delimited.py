"""How one delimited file is written: what separates its columns, what they are called, where its rows begin."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from classtoken.errors import OptionError
from classtoken.options import SourceOptions
from classtoken.source.lines import Lines, kind_of
from classtoken.source.long_fields import Error, reader

#: What separates columns, the usual one first.
SEPARATORS = (",", ";", "\t", "|")
#: Rows that are looked at.
LOOKED_AT = 10
NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
#: The line with which Excel is told what separates columns.
_SAID = re.compile(r"(?:\ufeff)?\"?sep=(.)\"?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class TableHead:
    """What separates columns, their names, and the byte at which the first row begins."""

    separator: str
    names: tuple[str, ...]
    first_row: int


def form_of(lines: Lines, options: SourceOptions, known: Collection[str]) -> tuple[int, str]:
    """The byte at which the header begins, and what separates columns; `known` are names that a column may have."""
    first, begin = "", 0
    looked: list[str] = []
    for line in islice(lines, LOOKED_AT):
        if not looked:
            first, begin = line, lines.position
        looked.append(line)
    said = _SAID.fullmatch(first)
    if options.delimiter is not None:
        separator = NAMED.get(options.delimiter, options.delimiter)
        if len(separator) != 1 or separator in '\r\n"':
            raise OptionError(f"`delimiter` is {options.delimiter!r}; give one character, or tab.")
    elif said:
        separator = said[1]
    else:
        separator = "\t" if kind_of(lines.path) == ".tsv" else separator_of(looked, known)
    return begin if said else 0, separator


def separator_of(rows: Sequence[str], known: Collection[str]) -> str:
    """What separates the columns of these rows: where the first has the most `known` names, and all are of a length."""

    def fitness(separator: str) -> tuple[int, bool, bool]:
        try:
            fields = list(reader(rows, delimiter=separator))
        except Error:
            return -1, False, False
        head = [name.strip().casefold() for name in fields[0]] if fields else []
        several = len(head) > 1
        alike = len({len(row) for row in fields if row}) == 1
        return sum(name in known for name in head), several and alike, several

    return max(SEPARATORS, key=fitness)


def header(fields: Sequence[str]) -> tuple[str, ...]:
    """The names of columns: those without a name at the end are none, one in the middle is `unnamed_PLACE`."""
    names = [name.strip() for name in fields]
    while names and not names[-1]:
        names.pop()
    return tuple(name or f"unnamed_{place}" for place, name in enumerate(names))
