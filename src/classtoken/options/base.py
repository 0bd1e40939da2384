"""What an option is: a field with its type, limits and default, and beside them its help and its flag.

An options value is a frozen dataclass with one field per option, each annotated `Annotated[TYPE, Option(...)]`. It is
checked when it is made, goes to JSON and comes back equal, and is all that a command needs in order to be generated
(`cli.command`) and a job in order to be run in another process.
"""

import dataclasses
import math
import types
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Self, Union, get_args, get_origin, get_type_hints

from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.plain import Limits, Misfit, decode, encode


@dataclasses.dataclass(frozen=True)
class Option:
    """What is said about one option besides its type, its limits and its default.

    metavar: what stands for its value in the help. flag: its name on the command line where that is not the field's
    (`-k` for a short one).
    off: for yes or no, the flag that says no. joined: several values are one text, joined by commas; otherwise the flag
    is given once for each. shown: whether the command line has it at all. group: the heading below which the help
    lists it; the verb's own options have none.
    """

    help: str
    metavar: str | None = None
    flag: str | None = None
    off: str | None = None
    joined: bool = False
    shown: bool = True
    group: str | None = None


@dataclasses.dataclass(frozen=True)
class OptionField:
    """One option of an options value; `inside` names the field that holds it where that is an options value too."""

    name: str
    type: Any
    default: Any
    about: Option
    inside: str | None = None

    @property
    def flag(self) -> str:
        """Its flag, `--text-column` for `text_column`."""
        name = self.about.flag or self.name.replace("_", "-")
        return name if name.startswith("-") else f"--{name}"

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The types that it may have besides None, without their limits."""
        return tuple(get_args(part)[0] if get_origin(part) is Annotated else part for part in _members(self.type))

    @property
    def limits(self) -> Limits | None:
        """The smallest and largest number allowed, where there are any."""
        parts = [part for member in _members(self.type) for part in get_args(member) if isinstance(part, Limits)]
        return parts[0] if parts else None


@dataclasses.dataclass(frozen=True)
class Options:
    """Base of the options values. Making one raises `OptionError` for a value that is not allowed, by its name."""

    def __post_init__(self) -> None:
        for name, kind in _inner(type(self)).items():
            if not isinstance(given := getattr(self, name), kind):
                raise OptionError(
                    f"`{name}` must be ct.{kind.__name__}(...) with what is chosen, not of type {type(given).__name__}."
                )
        for field in own_fields(type(self)):
            if Path in field.kinds and getattr(self, field.name) == "":
                raise OptionError(f"`{field.name}` is empty; name a file or a folder, or leave it out.")
            try:
                value = decode(_plain(getattr(self, field.name), field), field.type, f"`{field.name}`")
            except Misfit as error:
                raise OptionError(f"{error}.") from None
            if isinstance(value, float) and math.isnan(value):
                raise OptionError(f"`{field.name}` is nan, which is no number; give one, or leave it out.")
            object.__setattr__(self, field.name, user_path(value) if isinstance(value, Path) else value)

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON's own types."""
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave. Raises `OptionError` for what is no option, or not allowed."""
        try:
            return decode(plain, cls, cls.__name__)
        except Misfit as error:
            raise OptionError(f"{error}.") from None


def refuse_given(options: Options, names: Iterable[str], why: str) -> None:
    """Raises `OptionError` where an option of these `names` was given, which moves nothing here: `a`, `b`: WHY."""
    usual: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(options)}
    given = {name: value for name in names if (value := getattr(options, name)) != usual[name]}
    strange = [
        f"`{inner}`"
        for name, value in given.items()
        for inner in (_changed(value, usual[name]) if isinstance(value, Options) else [name])
    ]
    if strange:
        raise OptionError(f"{', '.join(strange)}: {why}.")


def _changed(value: Options, usual: Options) -> list[str]:
    return [name for name, said in vars(value).items() if said != getattr(usual, name)]


def own_fields(kind: type[Options]) -> tuple[OptionField, ...]:
    """The options that stand in `kind` itself, in order."""
    return tuple(field for field in all_fields(kind) if field.inside is None)


def all_fields(kind: type[Options]) -> tuple[OptionField, ...]:
    """Every option of an options value in order, those of options values inside it spread out in their place."""
    hints = get_type_hints(kind, include_extras=True)
    found: list[OptionField] = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if isinstance(hint, type) and issubclass(hint, Options):
            found += [dataclasses.replace(inner, inside=field.name) for inner in all_fields(hint)]
            continue
        said = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        about = [part for part in said if isinstance(part, Option)]
        if not about:
            raise TypeError(f"{kind.__name__}.{field.name} says nothing about itself: Annotated[TYPE, Option(...)]")
        limits = [part for part in said if isinstance(part, Limits)]
        plain = Annotated[get_args(hint)[0], limits[0]] if limits else get_args(hint)[0]
        found.append(OptionField(field.name, plain, field.default, about[0]))
    return tuple(found)


def _inner(kind: type[Options]) -> dict[str, type[Options]]:
    """Its fields that are options values themselves."""
    return {
        name: hint
        for name, hint in get_type_hints(kind).items()
        if isinstance(hint, type) and issubclass(hint, Options)
    }


def from_flat(kind: type[Options], values: Mapping[str, Any]) -> Any:
    """An options value out of options by name, those of options values inside it among them; the rest is as usual."""
    given: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for field in all_fields(kind):
        if field.name in values:
            place = given if field.inside is None else inner.setdefault(field.inside, {})
            place[field.name] = values[field.name]
    hints = get_type_hints(kind)
    return kind(**given, **{name: from_flat(hints[name], some) for name, some in inner.items()})


def _members(hint: Any) -> tuple[Any, ...]:
    """The types of a union but None."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return tuple(part for part in parts if part is not type(None))


def _plain(value: Any, field: OptionField) -> Any:
    """What was given as JSON would have it: a path is a text, names joined by commas are a list."""
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    if not any(get_origin(kind) is tuple for kind in field.kinds) or not isinstance(value, Iterable):
        return value
    several = [value] if isinstance(value, str) else list(value)
    if field.about.joined:
        parts = [part.strip() for text in several for part in str(text).split(",") if part.strip()]
        numbers = any(get_origin(kind) is tuple and str not in get_args(kind) for kind in field.kinds)
        return [int(part) if numbers and part.isdecimal() else part for part in parts]
    return several
