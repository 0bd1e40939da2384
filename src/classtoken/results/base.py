"""Frozen results that go to JSON and come back equal, by their type annotations alone.

A field may be a number, text, bool, None, enum, path, another dataclass, a tuple, list or frozenset of these, a mapping
with text, whole-number or enum keys, or a union. NumPy scalars are taken for the Python numbers that they hold; arrays
are not (a result is small and plain). JSON has no NaN and infinities: they are written as the texts "NaN", "Infinity"
and "-Infinity", and read back where the annotation says float.
"""

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from classtoken.errors import ClasstokenError, InternalError
from classtoken.files import write_text

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclasses.dataclass(frozen=True)
class Result:
    """Base of every result: `Kind.from_json(result.to_json()) == result` (but that NaN is not equal to itself)."""

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON's own types."""
        plain: dict[str, Any] = encode(self)
        return plain

    def to_json(self, *, indent: int | None = 2) -> str:
        """One JSON object (strict: no bare NaN)."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # a file name that is not UTF-8 holds lone surrogates
            text = json.dumps(self.to_dict(), ensure_ascii=True, allow_nan=False, indent=indent)
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
        """Read what `to_dict` gave."""
        value: Self = decode(plain, cls, cls.__name__)
        return value


def encode(value: Any) -> Any:
    """A value as JSON's own types. Raises `InternalError` for what a result must not hold."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _name_of(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _encode_float(float(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_encode_key(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted((encode(item) for item in value), key=str)
    if isinstance(value, PurePath):
        return value.as_posix()
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return encode(value.item())
    raise InternalError(f"a result holds a {type(value).__name__}, which has no place in JSON; give plain values.")


def decode(plain: Any, hint: Any, where: str) -> Any:
    """JSON's own types back into what the annotation `hint` says. Raises `ClasstokenError` naming the place."""
    if hint is Any:
        return plain
    if hint is None or hint is type(None):
        return _take(plain is None, plain, plain, "null", where)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(plain, get_args(hint), where)
    if origin is not None:
        return _decode_collection(plain, origin, get_args(hint), where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _decode_dataclass(plain, hint, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _decode_enum(plain, hint, where)
    return _decode_scalar(plain, hint, where)


def _encode_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _encode_key(key: Any) -> str:
    if isinstance(key, Enum):
        return str(_name_of(key))
    if isinstance(key, str | int) and not isinstance(key, bool):
        return str(key)
    raise InternalError(f"a result's mapping has the key {key!r}; keys are texts, whole numbers or enums.")


def _name_of(member: Enum) -> str:
    """Enums with texts as values are known by them, all others by their names."""
    return member.value if isinstance(member.value, str) else member.name


def _take(fits: bool, value: Any, plain: Any, expected: str, where: str) -> Any:
    if not fits:
        shown = repr(plain) if len(repr(plain)) <= 60 else repr(plain)[:57] + "..."
        raise ClasstokenError(f"{where} must be {expected}, not {shown}; was it written by another version?")
    return value


def _decode_scalar(plain: Any, hint: Any, where: str) -> Any:
    if hint is float:
        if isinstance(plain, str) and plain in _NOT_FINITE:
            return _NOT_FINITE[plain]
        number = isinstance(plain, int | float) and not isinstance(plain, bool)
        return _take(number, float(plain) if number else plain, plain, "a number", where)
    if hint is int:
        return _take(isinstance(plain, int) and not isinstance(plain, bool), plain, plain, "a whole number", where)
    if hint is bool:
        return _take(isinstance(plain, bool), plain, plain, "true or false", where)
    if hint is str:
        return _take(isinstance(plain, str), plain, plain, "a text", where)
    if isinstance(hint, type) and issubclass(hint, PurePath):
        return _take(isinstance(plain, str), hint(plain) if isinstance(plain, str) else plain, plain, "a path", where)
    if hint in (tuple, list, dict, frozenset):
        return _decode_collection(plain, hint, (), where)
    raise InternalError(f"{where} is annotated {hint}, which results cannot read back.")


def _decode_enum(plain: Any, hint: type[Enum], where: str) -> Enum:
    by_name = {_name_of(member): member for member in hint}
    known = isinstance(plain, str) and plain in by_name
    return _take(known, by_name.get(plain) if known else None, plain, f"one of {', '.join(by_name)}", where)


def _decode_dataclass(plain: Any, hint: type, where: str) -> Any:
    _take(isinstance(plain, Mapping), plain, plain, "an object", where)
    fields = {field.name: field for field in dataclasses.fields(hint) if field.init}
    derived = {field.name for field in dataclasses.fields(hint) if not field.init}
    needed = {
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    unknown, missing = set(plain) - set(fields) - derived, needed - set(plain)
    if unknown or missing:
        parts = [f"lacks {', '.join(sorted(missing))}"] if missing else []
        parts += [f"has {', '.join(sorted(map(str, unknown)))} too many"] if unknown else []
        raise ClasstokenError(f"{where} {' and '.join(parts)}; was it written by another version?")
    hints = _hints(hint)
    return hint(**{name: decode(plain[name], hints[name], f"{where}.{name}") for name in fields if name in plain})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode_union(plain: Any, members: tuple[Any, ...], where: str) -> Any:
    """The first member that fits, the plainest first: a whole number stays one in `float | int`."""
    if plain is None and type(None) in members:
        return None
    order = sorted(members, key=lambda member: (member is float, member is str and plain in _NOT_FINITE))
    complaints = []
    for member in order:
        try:
            return decode(plain, member, where)
        except ClasstokenError as error:
            complaints.append(str(error))
    raise ClasstokenError(complaints[0] if len(complaints) == 1 else f"{where} fits nothing: {'; '.join(complaints)}")


def _decode_collection(plain: Any, origin: Any, inner: tuple[Any, ...], where: str) -> Any:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _take(isinstance(plain, Mapping), plain, plain, "an object", where)
        key_hint, item_hint = inner or (str, Any)
        return {_decode_key(key, key_hint, where): decode(v, item_hint, f"{where}.{key}") for key, v in plain.items()}
    _take(isinstance(plain, list | tuple), plain, plain, "a list", where)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        _take(len(plain) == len(inner), plain, plain, f"a list of {len(inner)}", where)
        return tuple(
            decode(item, hint, f"{where}[{i}]") for i, (item, hint) in enumerate(zip(plain, inner, strict=True))
        )
    hint = inner[0] if inner else Any
    items = (decode(item, hint, f"{where}[{i}]") for i, item in enumerate(plain))
    return list(items) if origin is list else frozenset(items) if origin in (frozenset, set) else tuple(items)


def _decode_key(key: str, hint: Any, where: str) -> Any:
    if hint is int:
        try:
            return int(key)
        except ValueError:
            raise ClasstokenError(f"{where} has the key {key!r}, which must be a whole number.") from None
    return decode(key, hint, f"a key of {where}")


def write(result: Result, path: Path) -> None:
    """Write a result as a whole file. Raises `OutputError`."""
    write_text(path, result.to_json() + "\n")
