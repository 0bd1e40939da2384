"""Names and texts of the user's data as they stand in the lines of a summary."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH = 64
"""signs of a long value in a row"""
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""signs in names and texts that would steer a terminal"""


def in_a_line(value: Any) -> str:
    """A label, an id or a text in one line: white space folded, and what would steer a terminal replaced."""
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(value).split()))


def names_in_a_line(values: Iterable[Any], most: int | None = None) -> str:
    """Several of them, with commas; of more than `most` the first ones and `...`."""
    names = [in_a_line(value) for value in values]
    return ", ".join(names[:most]) + (" ..." if most is not None and len(names) > most else "")


def cell(value: Any, name: str) -> str:
    """One value in a row of a table, cut where it is long; `name` is its column's."""
    if value is None:
        return ""
    if name == "score":
        return f"{value:.4f}"
    text = in_a_line(value)
    if len(text) <= WIDTH:
        return text
    return f"…{text[-WIDTH + 1 :]}" if name == "path" else f"{text[: WIDTH - 1]}…"


def padded(text: str, width: int) -> str:
    """A text with spaces behind it up to a width in columns of a terminal."""
    return text + " " * (width - columns_of(text))


def columns_of(text: str) -> int:
    """How wide a text stands in a terminal: a Chinese sign or an emoji takes two columns, an accent none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # only now: it takes as long to import as all results together

    return cell_len(text)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, their columns below each other; a row of one value is a heading, and may be longer."""
    most = max(map(len, rows), default=0)
    widths = [max((columns_of(row[i]) for row in rows if len(row) == most), default=0) for i in range(most)]
    return ["  ".join(map(padded, row, widths[: len(row)])).rstrip() for row in rows]
