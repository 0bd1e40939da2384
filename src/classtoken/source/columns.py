"""Rows of a table to records: which column is which, several labels, and what makes a row bad."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from classtoken.errors import OptionError, SourceError
from classtoken.source.base import USUAL, Entry, SourceOptions
from classtoken.source.pictures import to_image
from classtoken.values import Record, Rejected


@dataclass(frozen=True)
class Columns:
    """The columns of one table by what they are for; `meta` are carried through."""

    id: str | None
    text: str | None
    image: str | None
    label: str | None
    group: str | None
    meta: tuple[str, ...]

    @property
    def called(self) -> dict[str, str]:
        """Which column holds each part of a record that the table has."""
        parts = {"id": self.id, "text": self.text, "image": self.image, "label": self.label, "group": self.group}
        return {part: name for part, name in parts.items() if name is not None}

    @property
    def beside(self) -> tuple[str, ...]:
        """Which of label and group the table has."""
        return tuple(part for part in ("label", "group") if part in self.called)

    def id_unread(self, number: int) -> str:
        """The id of a row whose own cannot be read: its number, which is what rows without ids go by."""
        return str(number) if self.id is None else f"row {number}"


def headerless(options: SourceOptions) -> bool:
    """Whether the options name columns by number, so that a delimited file has no header."""
    named = {option: name for option, name in _named(options).items() if name is not None}
    numbered = [option for option, name in named.items() if name.isdecimal()]
    if numbered and len(numbered) < len(named):
        given = ", ".join(f"`{option}` {name}" for option, name in named.items())
        raise OptionError(f"{given}: name all columns by their numbers from 0 (a file without a header), or none.")
    return bool(numbered)


def check_once(names: Sequence[str], where: object) -> None:
    """Raise `SourceError` where a column is there twice: which of them is meant nobody knows."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SourceError(f"{where} has the column '{repeated[0]}' more than once; rename one of them.")


def resolve(names: Sequence[str], options: SourceOptions, where: str) -> Columns:
    """Which of a table's columns is which. Raises `SourceError` naming the columns that there are."""
    check_once(names, where)
    found: dict[str, str | None] = {}
    for (option, given), part in zip(_named(options).items(), USUAL, strict=True):
        if given is None:
            found[part] = next((name for name in USUAL[part] if name in names), None) or _in_other_case(part, names)
        elif given in names:
            found[part] = given
        else:
            near = get_close_matches(given, names, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise SourceError(f"{where} has no column '{given}' (`{option}`); it has {_listed(names)}.{hint}")
    if found["text"] is None and found["image"] is None:
        raise SourceError(
            f"{where} has no column text, sentence or image; it has {_listed(names)}. Name one with `text_column` or "
            "`image_column`; labels and ids likewise, with `label_column` and `id_column`."
        )
    used = set(found.values())
    return Columns(**found, meta=tuple(name for name in names if name not in used))


def known_names(options: SourceOptions) -> set[str]:
    """Names that columns may have, in lower case: the usual ones and those that options name."""
    named = (name for name in _named(options).values() if name is not None)
    return {name.casefold() for names in USUAL.values() for name in names} | {name.casefold() for name in named}


def _in_other_case(part: str, names: Sequence[str]) -> str | None:
    """`Text` for `text`, where only one column is called so."""
    found = [name for name in names if name.casefold() in USUAL[part]]
    return found[0] if len(found) == 1 else None


def _named(options: SourceOptions) -> dict[str, str | None]:
    return {
        "id_column": options.id_column,
        "text_column": options.text_column,
        "image_column": options.image_column,
        "label_column": options.label_column,
        "group_column": options.group_column,
    }


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "") if names else "no columns"


def rows_in(batch: Any, where: object) -> list[dict[str, Any]]:
    """The rows of an Arrow table, or of a batch of one, as Python has them. Raises `SourceError` for a column that
    holds what Python has no value for: a day after the year 9999, a fraction of a microsecond."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError:
        raise
    except (OverflowError, ValueError):
        for field in batch.schema:
            try:
                batch.column(field.name).to_pylist()
            except (OverflowError, ValueError) as error:
                said = " ".join(str(error).split())
                raise SourceError(
                    f"the column '{field.name}' of {where} ({field.type}) holds what Python cannot ({said}); leave the "
                    "column out, or write it as a text."
                ) from error
        raise
    return rows


def to_entry(
    row: Mapping[str, Any],
    columns: Columns,
    number: int,
    folder: Path,
    separator: str,
) -> Entry:
    """One row as a record; `number` is its id when there is no id column, `folder` where image paths start."""
    identity = to_id(row.get(columns.id)) if columns.id else str(number)
    if identity is None:
        return Rejected(columns.id_unread(number), f"has no id in the column '{columns.id}'")
    try:
        text = _to_text(row.get(columns.text), columns.text) if columns.text else None
        image = to_image(row.get(columns.image), folder) if columns.image else None
    except ValueError as error:
        return Rejected(identity, str(error))
    if image is None and not (text and text.strip()):
        wanted = [name for name in (columns.text, columns.image) if name]
        return Rejected(identity, f"has nothing in the column {' or '.join(repr(name) for name in wanted)}")
    return Record(
        id=identity,
        text=text,
        image=image,
        label=to_label(row.get(columns.label), separator) if columns.label else None,
        group=_to_name(row.get(columns.group)) if columns.group else None,
        meta={name: row[name] for name in columns.meta if name in row},
    )


def to_id(value: Any) -> str | None:
    """An id as text; None where there is none."""
    name = _to_name(value)
    return name or None


def to_label(value: Any, separator: str) -> str | tuple[str, ...] | None:
    """A label, several labels as a tuple (a list, or a text with separators; an empty list has none), or None."""
    if isinstance(value, list | tuple):
        return tuple(name for name in (_to_name(part) for part in value) if name)
    name = (_to_name(value) or "").strip()  # 'cat' and ' cat' are one label
    if separator and separator in name:
        return tuple(part.strip() for part in name.split(separator) if part.strip())
    return name or None


def _to_name(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # pandas writes whole numbers as floats where one is missing
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _to_text(value: Any, column: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _to_name(value)
    raise ValueError(f"the column '{column}' holds a {type(value).__name__}, not a text")
