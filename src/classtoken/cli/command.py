"""A verb's function -> its command: the options value that it takes is spread out into flags.

`cli/<verb>.py` defines a function whose operands (MODEL, SOURCE, DIR) carry typer's annotations, and which takes an
options value of `classtoken.options`. Its fields become the command's flags, with their types, defaults, limits and
help, and `--json`, `--quiet` and `--verbose` are added; what was given becomes the options value again. Nothing about
an option is written twice.
"""

import contextlib
import inspect
import io
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperOption

from classtoken.cli import INTERRUPTED
from classtoken.cli.numbers import number_of
from classtoken.cli.output import Answer, Printable
from classtoken.cli.progress import messages
from classtoken.errors import OptionError
from classtoken.options.base import OptionField, Options, all_fields, from_flat
from classtoken.options.shared import OF_EVERY, OF_MODEL, OF_SOURCE
from classtoken.places import url_of
from classtoken.plain import Limits
from classtoken.values import Rejected

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress and no messages; errors are still said.", rich_help_panel=OF_EVERY),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say how things are computed.", rich_help_panel=OF_EVERY)
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.", rich_help_panel=OF_EVERY)
]
OWN, OPERANDS = "Options", "Arguments"


Spoken = tuple[str, int, tuple[str, ...]]
"""what a command says on stdout, its exit code, and what it says on stderr after it"""


class Given:
    """Options as they were given on the command line, for a verb that decides by its operands which value they make."""

    def __init__(self, values: dict[str, Any], fields: Mapping[str, OptionField]):
        self.values, self.fields = values, fields

    def make(self, kind: type[Options], *, otherwise: str) -> Any:
        """The options value `kind`. Raises `typer.BadParameter` for one that was given and is none of its fields."""
        known = {field.name for field in all_fields(kind)}
        strange = [self.fields[name].flag for name in self.values if name not in known]
        if strange:
            raise typer.BadParameter(f"{', '.join(strange)}: {otherwise}")
        return from_flat(kind, self.values)


class Command(TyperCommand):
    """A command whose help lists options below headings, the verb's own first: of forty, few are looked for."""

    paths: frozenset[str] = frozenset()
    """parameters that are paths"""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuses an empty text for a path, of which pathlib makes the folder that one is in (`--out "$UNSET"`), and an
        option that takes one value and is given two, of which the first would be lost."""
        given, _, order = self.make_parser(ctx).parse_args(args=list(args))
        single = (p for p in order if isinstance(p, TyperOption) and not p.multiple and not p.is_flag)
        counts = Counter(parameter.name for parameter in single)
        twice = next((parameter for parameter in order if counts[parameter.name] > 1), None)
        if twice is not None:
            raise OptionError(
                f"{twice.opts[0]} is given {counts[twice.name]} times, and the last would win; give it once (several "
                "names are joined by commas)."
            )
        empty = [name for name in self.paths if given.get(name) == "" or given.get(name) == [""]]
        if empty:
            flag = next(parameter.opts[0] for parameter in self.get_params(ctx) if parameter.name == empty[0])
            raise OptionError(f"{flag} is empty; name a file or a folder ('.' is the one that you are in).")
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Operands, then every group of options in its order."""
        groups: dict[str, list[tuple[str, str]]] = {OPERANDS: [], OWN: [], OF_SOURCE: [], OF_MODEL: [], OF_EVERY: []}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if parameter.param_type_name == "argument":
                heading = OPERANDS
            elif parameter.name == "help":  # typer's own
                heading = OF_EVERY
            else:
                heading = getattr(parameter, "rich_help_panel", None) or OWN
            if row is not None:
                groups.setdefault(heading, []).append(row)
        for heading, rows in groups.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


def command_of(verb: str, function: Callable[..., Answer]) -> TyperCommand:
    """The command that runs `function` and gives what it says, its exit code and the messages that follow."""
    single = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=CONTEXT)
    spread = _spread(function)
    single.command(verb, cls=Command)(spread)
    made: Command = typer.main.get_command(single)  # type: ignore[assignment]
    made.paths = frozenset(name for name, hint in spread.__annotations__.items() if name == "out" or _is_path(hint))
    return made


def _is_path(hint: Any) -> bool:
    """Whether an annotation says Path, or a list of them, or one that may be left out."""
    return hint is Path or any(_is_path(part) for part in get_args(hint))


def option_kinds(function: Callable[..., Answer]) -> dict[str, tuple[type[Options], ...]]:
    """The parameters of a verb's function that take options -> the options values that they may be."""
    found: dict[str, tuple[type[Options], ...]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = parameter.annotation
        if isinstance(hint, type) and issubclass(hint, Options):
            found[name] = (hint,)
        elif get_origin(hint) is Annotated and get_args(hint)[0] is Given:
            found[name] = get_args(hint)[1:]
    return found


def _spread(function: Callable[..., Answer]) -> Callable[..., Spoken]:
    """The same function with a parameter for every shown option in the place of the options values, and `json`."""
    parameters = inspect.signature(function).parameters
    taken = option_kinds(function)
    fields = {field.name: field for kinds in taken.values() for kind in kinds for field in all_fields(kind)}
    shown = [field for field in fields.values() if field.about.shown]
    flags = {field.name: field.flag for field in shown}

    def run(context: typer.Context, json: bool, quiet: bool, verbose: bool, **values: Any) -> Spoken:
        options = {field.name: values.pop(field.name) for field in shown}
        given = {name: value for name, value in options.items() if _was_given(context, name)}
        for name, kinds in taken.items():
            values[name] = (
                from_flat(kinds[0], given) if parameters[name].annotation is kinds[0] else Given(given, fields)
            )
        began = time.time() - A_TICK
        try:
            with contextlib.redirect_stderr(io.StringIO()) if quiet else messages(verbose):
                answer = function(**values)
        except KeyboardInterrupt as stopped:  # typer would keep nothing of it but the exit code
            return "", INTERRUPTED, (f"classtoken: {str(stopped) or _kept(values.get('out'), options, began)}",)
        said = answer if json else replace(answer, result=_reasons_with_flags(answer.result, flags))
        return said.written(json), answer.exit_code, () if quiet else answer.after

    told = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, p in parameters.items() if name not in taken),
        *(_parameter(field, flags) for field in shown),
        inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
        inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet),
        inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Verbose),
    ]
    run.__doc__ = function.__doc__
    run.__signature__ = inspect.Signature(told)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in told}
    return run


def with_flags(words: str, flags: Mapping[str, str]) -> str:
    """Words in which options stand in backticks, as they are called in Python: with the flags that they are here. What
    stands in quotes is a user's own, backticks and all."""
    return re.sub(r"(?<!['\"])`(\w+)`(?!['\"])", lambda found: flags.get(found[1]) or found[0], words)


def _reasons_with_flags(result: Printable | str, flags: Mapping[str, str]) -> Printable | str:
    """A result whose reasons for refused records name flags; nothing else in it, which may be a user's own words."""
    if not is_dataclass(result) or isinstance(result, type):
        return result
    told = {
        field.name: tuple(replace(entry, reason=with_flags(entry.reason, flags)) for entry in entries)
        for field in fields_of(result)
        if isinstance(entries := getattr(result, field.name), tuple)
        and entries
        and all(isinstance(entry, Rejected) for entry in entries)
    }
    return replace(result, **told)


def _kept(out: str | Path | None, options: Mapping[str, Any], began: float) -> str:
    """What an interrupt says of a command that `began` then: what is kept, and how to go on. A training has a second
    place, for vectors, and takes up no step where it is to overwrite. What lies there from before and is as it was may
    be of other work: that has not been compared yet."""
    there = [str(place) for place in (out, options.get("features")) if place is not None]
    if not there:
        return "stopped. Nothing was written."
    whole = [place for place in there if url_of(place) is None and _is_whole(Path(place))]
    trains, overwrites = "features" in options, bool(options.get("overwrite"))
    if whole and trains and overwrites:  # nothing of it has gone yet, and none of it is this run's
        return f"stopped. '{whole[0]}' holds what a finished run has left there; the same command begins anew."
    kept = [place for place in there if url_of(place) is not None or _has_finished(Path(place))]
    if kept:
        where = " and ".join(f"'{place}'" for place in kept)
        if not any(url_of(place) is not None or _changed_since(Path(place), began) for place in kept):
            goes_on = ", and the same command goes on with it if it is of the same work"
            how = "; the same command begins anew" if trains and overwrites else goes_on
            how += ", and begins anew if it is not" * (overwrites and not trains)
            return f"stopped. Nothing was written; what was finished before is still in {where}{how}."
        anew = trains and overwrites and any(_has_steps(Path(place)) for place in kept)
        without = " without --overwrite" * bool(anew)
        return f"stopped. What is finished is kept in {where}; the same command{without} goes on from there."
    begun = [place for place in there if Path(place).is_dir()]
    what = "No part was finished yet" if begun else "Nothing was written"
    return f"stopped. {what}; the same command begins anew."


A_TICK = 0.1
"""seconds that the times of files may be behind the clock"""
BELOW = ("", "*/", "*/*/")
"""where a folder of vectors lies: it is the folder, or a training keeps it below its own"""


def _has_finished(folder: Path) -> bool:
    """Whether a folder holds a part that a run has finished, of its own or of frozen vectors below it, or a result."""
    return any(any(folder.glob(f"{below}_meta/receipts/*")) for below in BELOW) or _has_steps(folder)


def _changed_since(folder: Path, began: float) -> bool:
    """Whether a run has claimed a folder for its work since then, or finished or removed anything in it."""
    names = ("checkpoint.pt", "result.json", *(f"{b}_meta/{n}" for b in BELOW for n in ("*.json", "receipts*")))
    return any(path.stat().st_mtime >= began for name in names for path in folder.glob(name))


def _is_whole(folder: Path) -> bool:
    """Whether a folder holds the results of a run that has finished, and none is writing there."""
    return (folder / "result.json").is_file() and not (folder / "_meta" / "writing").exists()


def _has_steps(folder: Path) -> bool:
    """Whether a training has come so far in a folder that it goes on from its own steps, or is done."""
    return any((folder / name).is_file() for name in ("checkpoint.pt", "result.json"))


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _above(limits: Limits | None) -> str:
    """The limit that the brackets behind an option's help do not show: one that is not itself allowed."""
    return "" if limits is None or limits.gt == -math.inf else f" Above {limits.gt:g}."


def _parameter(field: OptionField, flags: Mapping[str, str]) -> inspect.Parameter:
    """One option as typer reads it; others that its help names are named as `flags` say."""
    kinds, limits = field.kinds, field.limits
    several = any(get_origin(kind) is tuple for kind in kinds)
    if several:
        hint: Any = str | None if field.about.joined else list[str] | None
    else:
        # What may be of several types is a text here; the options value tells them apart.
        only = kinds[0] if len(kinds) == 1 and kinds[0] is not Any else str
        hint = only | None if field.default is None else only
    names = [f"{field.flag}/--{field.about.off}" if field.about.off else field.flag]
    if not field.flag.startswith("--"):  # every option has a long name
        names.append(f"--{field.name}")
    number = field.kinds[0] if field.kinds in ((int,), (float,)) else None
    about = typer.Option(
        *names,
        metavar=field.about.metavar or ("N" if number else None),
        parser=number and number_of(number, limits),
        min=None if limits is None or limits.ge == -math.inf else limits.ge,
        max=None if limits is None or limits.le == math.inf else limits.le,
        help=with_flags(field.about.help, flags) + _above(limits),
        rich_help_panel=field.about.group,
    )
    default = None if several else field.default
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, about]
    )
