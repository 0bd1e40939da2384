"""The base of every result: frozen, without torch, to JSON and back equal (`classtoken.plain` says how)."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from classtoken.errors import ClasstokenError
from classtoken.files import write_text
from classtoken.plain import Misfit, decode, encode
from classtoken.results.lines import in_a_line
from classtoken.values import Rejected

FORMAT, MADE = "format", "made"
"""keys of a JSON object besides a result's own: what it is; in a file, what it was made by (`destination.marked`)"""


def format_of(kind: type) -> str:
    """What the key `format` says of a result: its name, and the number of its form, `classtoken.TrainResult/1`."""
    return f"classtoken.{kind.__name__}/1"


@dataclasses.dataclass(frozen=True)
class Result:
    """Base of every result: `Kind.from_json(result.to_json()) == result` (but that NaN is not equal to itself)."""

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON's own types."""
        plain: dict[str, Any] = encode(self)
        return plain

    def to_json(self, *, indent: int | None = 2) -> str:
        """One JSON object (strict: no bare NaN), whose first key `format` says what it is."""
        plain = self.to_dict()
        if FORMAT not in plain:
            plain = {FORMAT: format_of(type(self)), **plain}
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # a file name that is not UTF-8 holds lone surrogates
            text = json.dumps(plain, ensure_ascii=True, allow_nan=False, indent=indent)
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote. Raises `ClasstokenError` naming the field that does not fit."""
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ClasstokenError(f"this is not JSON ({error}); give what to_json() wrote.") from error
        return cls.from_dict(plain)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave. Raises `ClasstokenError` naming the field that does not fit."""
        notes = {FORMAT, MADE} - {field.name for field in dataclasses.fields(cls)}
        if isinstance(plain, Mapping):
            said = plain.get(FORMAT) if FORMAT in notes else None
            if said not in (None, format_of(cls)):
                raise ClasstokenError(f"this is a {said}, not a {format_of(cls)}; read it as what it is.")
            plain = {name: value for name, value in plain.items() if name not in notes}
        try:
            return decode(plain, cls)
        except Misfit as error:
            raise ClasstokenError(f"{error}; was it written by another version?") from error


def counted(number: int, what: str) -> str:
    """`1 vector`, `2 vectors`."""
    return f"{number} {what}{'s' * (number != 1)}"


def listed(entries: Sequence[Rejected], count: int) -> list[str]:
    """Lines that name the first of `count` rejected records."""
    lines = [f"    {in_a_line(entry.id)}: {in_a_line(entry.reason)}" for entry in entries]
    if count > len(entries):
        lines.append(f"    and {count - len(entries)} more")
    return lines


def left_out_in_words(entries: Sequence[Rejected]) -> str:
    """What follows a message that there are too few records: how many could not be used, and the first reason."""
    if not entries:
        return ""
    first = f"the first, '{in_a_line(entries[0].id)}': {in_a_line(entries[0].reason)}"
    return f" {counted(len(entries), 'record')} could not be used; {first}."


def write(result: Result, path: Path) -> None:
    """Write a result as a whole file. Raises `OutputError`."""
    write_text(path, result.to_json() + "\n")
