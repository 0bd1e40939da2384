"""Frozen values as JSON's own types and back, by their type annotations alone: results, recipes, shapes.

A field may be a number, text, bool, None, enum, path, literal, another dataclass, a tuple, list or frozenset of these,
a mapping with text, whole-number or enum keys, or a union. NumPy scalars are taken for the Python numbers that they
hold; arrays are not (a value here is small and plain). JSON has no NaN and infinities: they are written as the texts
"NaN", "Infinity" and "-Infinity", and read back where the annotation says float.

Reading is strict: a field that is not known, one that is missing, a value of another type or outside its limits
(`Annotated[float, Limits(ge=0, le=1)]`) raises `Misfit`, which names the place. Dataclasses of one union are told apart
by the class attribute `json_kind`, written as the field `kind`.
"""

import dataclasses
import json
import math
import types
from collections.abc import Mapping, Set
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from classtoken.errors import InternalError

T = TypeVar("T")
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}


class Misfit(ValueError):
    """A plain value that does not fit its annotation: where it stands, what it is, what is allowed."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Which numbers a field takes: greater or equal `ge`, greater than `gt`, less or equal `le`."""

    ge: float = -math.inf
    gt: float = -math.inf
    le: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.ge <= value <= self.le and (value > self.gt or self.gt == -math.inf)

    def __str__(self) -> str:
        least = f"above {_short(self.gt)}" if self.gt > -math.inf else f"{_short(self.ge)} or more"
        return least + ("" if self.le == math.inf else f", at most {_short(self.le)}")


def _short(number: float) -> str:
    """A limit in full: 4294967295, not 4.29497e+09; 1, not 1.0."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else f"{number:.6g}"


Count = Annotated[int, Limits(ge=0)]
AtLeastOne = Annotated[int, Limits(ge=1)]
SeedNumber = Annotated[int, Limits(ge=0, le=2**32 - 1)]
"""what every generator takes: torch's, numpy's and scikit-learn's"""


def encode(value: Any) -> Any:
    """A value as JSON's own types. Raises `InternalError` for what has no place there."""
    match value:
        case Enum():
            return _name_of(value)
        case None | bool():
            return value
        case str():
            return str(value)
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else next(k for k, v in _NOT_FINITE.items() if _alike(v, value))
        case Mapping():
            return {_encode_key(key): encode(item) for key, item in value.items()}
        case tuple() | list():
            return [encode(item) for item in value]
        case Set():
            return sorted((encode(item) for item in value), key=str)
        case PurePath():
            return value.as_posix()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        kind = getattr(value, "json_kind", None)
        return plain if kind is None else {**plain, "kind": kind}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return encode(value.item())
    raise InternalError(f"a plain value holds a {type(value).__name__}, which has no place in JSON; give plain values.")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """A value as strict JSON: numbers that are not finite are the texts "NaN", "Infinity" and "-Infinity", because
    JSON has no others and most programs refuse what Python writes for them."""
    return json.dumps(encode(value), ensure_ascii=False, allow_nan=False, indent=indent)


def chosen(value: Any) -> Any:
    """A frozen value as `encode` has it, without the fields that are at their default: for hashes, which a new field
    must not change."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return encode(value)
    plain = {}
    for field in dataclasses.fields(value):
        now, usual = getattr(value, field.name), field.default
        if field.default_factory is not dataclasses.MISSING:
            usual = field.default_factory()
        if usual is dataclasses.MISSING or now != usual:
            plain[field.name] = chosen(now)
    kind = getattr(value, "json_kind", None)
    return plain if kind is None else {**plain, "kind": kind}


def decode(plain: Any, kind: type[T], where: str | None = None) -> T:
    """JSON's own types back into the dataclass `kind`. Raises `Misfit` naming the place, which begins with `where`."""
    value: T = _decode(plain, kind, where or kind.__name__)
    return value


def _decode(plain: Any, hint: Any, where: str) -> Any:
    """By the annotation `hint`: the plainest kinds first."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return plain
    if hint is None or hint is type(None):
        return plain if plain is None else _misfit(plain, "null", where)
    if hint in _WORDS:
        return _decode_scalar(plain, hint, where)
    if origin is Annotated:
        return _within(_decode(plain, inner[0], where), inner[1:], where)
    if origin is Literal:
        fits = any(plain == word and type(plain) is type(word) for word in inner)
        return plain if fits else _misfit(plain, f"one of {', '.join(map(str, inner))}", where)
    if origin in (Union, types.UnionType):
        return _decode_union(plain, inner, where)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _decode_dataclass(plain, hint, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        by_name = {_name_of(member): member for member in hint}
        known = isinstance(plain, str) and plain in by_name
        return by_name[plain] if known else _misfit(plain, f"one of {', '.join(by_name)}", where)
    if isinstance(hint, type) and issubclass(hint, PurePath):
        return hint(plain) if isinstance(plain, str) else _misfit(plain, "a path", where)
    return _decode_collection(plain, origin or hint, inner, where)


def _alike(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def _encode_key(key: Any) -> str:
    if isinstance(key, Enum):
        return _name_of(key)
    if isinstance(key, str | int) and not isinstance(key, bool):
        return str(key)
    raise InternalError(f"a plain mapping has the key {key!r}; keys are texts, whole numbers or enums.")


def _name_of(member: Enum) -> str:
    """Enums with texts as values are known by them, all others by their names."""
    return member.value if isinstance(member.value, str) else member.name


def _misfit(plain: Any, expected: str, where: str) -> Any:
    shown = repr(plain) if len(repr(plain)) <= 60 else repr(plain)[:57] + "..."
    raise Misfit(f"{where} must be {expected}, not {shown}")


def _decode_scalar(plain: Any, hint: Any, where: str) -> Any:
    if hint is float and isinstance(plain, str) and plain in _NOT_FINITE:
        return _NOT_FINITE[plain]
    fits = isinstance(plain, (int, float) if hint is float else hint)
    if not fits or (isinstance(plain, bool) and hint is not bool):
        _misfit(plain, _WORDS[hint], where)
    if hint is not float:
        return plain
    try:
        return float(plain)
    except OverflowError:
        return _misfit(plain, "a number of at most 308 digits", where)


def _within(value: Any, limits: tuple[Any, ...], where: str) -> Any:
    for limit in limits:
        if isinstance(limit, Limits) and value not in limit:
            raise Misfit(f"{where} must be {limit}, not {value:g}")
    return value


def _decode_dataclass(plain: Any, kind: type, where: str) -> Any:
    if not isinstance(plain, Mapping):
        _misfit(plain, "an object", where)
    every = dataclasses.fields(kind)
    fields = {field.name: field for field in every if field.init}
    derived = {field.name for field in every if not field.init} | ({"kind"} if hasattr(kind, "json_kind") else set())
    needed = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    unknown = [str(name) for name in plain if name not in fields and name not in derived]
    missing = [name for name in needed if name not in plain]
    if unknown:
        raise Misfit(f"{where} has no field {', '.join(unknown)}; it has {', '.join(fields)}")
    if missing:
        raise Misfit(f"{where} lacks {', '.join(missing)}")
    hints = _hints(kind)
    return kind(**{name: _decode(plain[name], hints[name], f"{where}.{name}") for name in fields if name in plain})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _decode_union(plain: Any, members: tuple[Any, ...], where: str) -> Any:
    """The member of the `kind` that is given; else the first that fits, the plainest first: a whole number stays one
    in `float | int`."""
    if plain is None and type(None) in members:
        return None
    if isinstance(plain, Mapping) and "kind" in plain:
        kinds = [member.json_kind for member in members if hasattr(member, "json_kind")]
        if kinds and plain["kind"] not in kinds:
            _misfit(plain["kind"], f"one of {', '.join(kinds)}", f"{where}.kind")
        members = tuple(member for member in members if getattr(member, "json_kind", plain["kind"]) == plain["kind"])
    complaints = []
    text_for_float = isinstance(plain, str) and plain in _NOT_FINITE
    for member in sorted(members, key=lambda member: (member is float, member is str and text_for_float)):
        if member is not type(None):
            try:
                return _decode(plain, member, where)
            except Misfit as error:
                complaints.append(str(error))
    raise Misfit(complaints[0] if len(complaints) == 1 else f"{where} fits nothing: {'; '.join(complaints)}")


def _decode_collection(plain: Any, origin: Any, inner: tuple[Any, ...], where: str) -> Any:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(plain, Mapping):
            _misfit(plain, "an object", where)
        key_hint, item_hint = inner or (str, Any)
        return {_decode_key(k, key_hint, where): _decode(v, item_hint, f"{where}.{k}") for k, v in plain.items()}
    if origin not in (tuple, list, frozenset, set):
        raise InternalError(f"{where} is annotated {origin}, which cannot be read back.")
    if not isinstance(plain, list | tuple):
        _misfit(plain, "a list", where)
    hints = [inner[0] if inner else Any] * len(plain)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        hints = list(inner) if len(plain) == len(inner) else _misfit(plain, f"a list of {len(inner)}", where)
    items = [_decode(item, hint, f"{where}[{i}]") for i, (item, hint) in enumerate(zip(plain, hints, strict=True))]
    return items if origin is list else frozenset(items) if origin in (frozenset, set) else tuple(items)


def _decode_key(key: Any, hint: Any, where: str) -> Any:
    if hint is int and isinstance(key, str) and key.removeprefix("-").isdecimal():
        return int(key)
    return _decode(key, hint, f"a key of {where}")
