"""The whole public surface as plain values: names with their signatures, commands with their options, JSON keys.

`surface.json` holds it as it was agreed. Whoever changes it on purpose writes it anew and reads the difference:

    .venv/bin/python -m tests.house.surface --write
"""

import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
import sys
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand

import classtoken
from classtoken import results
from classtoken.cli import VERBS
from classtoken.cli.app import app
from classtoken.options import Options
from classtoken.results.base import Result

AGREED = Path(__file__).with_name("surface.json")


def commands() -> dict[str, TyperCommand]:
    """Every command by its name."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="classtoken")
    return {verb: group.get_command(context, verb) for verb in VERBS}


def flags(command: TyperCommand) -> list[str]:
    """Arguments by their metavariable, options by their flags."""
    return sorted(_flag(parameter) for parameter in command.params)


def options(command: TyperCommand) -> dict[str, str]:
    """Arguments and options of a command -> what they take, and what stands when they are left out."""
    found = {}
    for parameter in command.params:
        hint: Any = parameter.type_descriptor.annotation
        kind = hint.__name__ if isinstance(hint, type) else re.sub(r"typing\.|(?<=pathlib\.)_local\.", "", str(hint))
        limits = [f"{name} {value}" for name in ("min", "max") if (value := getattr(parameter, name)) is not None]
        many = "several" if parameter.multiple or parameter.nargs == -1 else ""
        given = "required" if parameter.required else f"default {parameter.default!r}"
        found[_flag(parameter)] = ", ".join(filter(None, [kind, *limits, many, given]))
    return dict(sorted(found.items()))


def _flag(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    return "/".join(names) if names[0].startswith("-") else str(parameter.metavar)


def names() -> dict[str, Any]:
    """Public names -> their signatures; of a class also its public methods'."""
    found: dict[str, Any] = {}
    for name in sorted(classtoken.__all__):
        value = getattr(classtoken, name)
        if inspect.isclass(value):
            found[name] = {"()": signature(value), **_members(value)}
        elif callable(value):
            found[name] = signature(value)
        elif inspect.ismodule(value):
            found[name] = sorted(
                inner
                for inner, thing in vars(value).items()
                if not inner.startswith("_") and getattr(thing, "__module__", "") == value.__name__
            )
        else:
            found[name] = type(value).__name__
    return found


def _members(kind: type) -> dict[str, list[str]]:
    found = {}
    for name, value in sorted(vars(kind).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value):
            inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            found[name] = ["property", *signature(inner)[-1:]] if isinstance(value, property) else signature(inner)
    return found


def signature(value: Any) -> list[str]:
    """Parameters as `name: type = default` and the result, without modules' names and what options say besides."""
    found = []
    told = inspect.signature(value)
    for parameter in told.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        text = f"{'*' * (parameter.kind == parameter.VAR_POSITIONAL)}{parameter.name}: {_type(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {parameter.default!r}" if not isinstance(parameter.default, Options) else " = as usual"
        found.append(f"{text} (keyword)" if parameter.kind == parameter.KEYWORD_ONLY else text)
    return [*found, f"-> {_type(told.return_annotation)}"]


def _type(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    text = hint if isinstance(hint, str) else inspect.formatannotation(hint)
    text = re.sub(r"Annotated\[([^,\[]+), [^\]]*\]", r"\1", text)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)


def result_classes() -> dict[str, type[Result]]:
    """Every result that a verb gives, from `results/`."""
    found: dict[str, type[Result]] = {}
    for module in pkgutil.iter_modules(results.__path__):
        for name, value in vars(importlib.import_module(f"classtoken.results.{module.name}")).items():
            if isinstance(value, type) and issubclass(value, Result) and value.__module__.endswith(f".{module.name}"):
                found[name] = value
    del found["Result"]
    return found


def surface() -> dict[str, Any]:
    """The surface as it is now."""
    return {
        "names": names(),
        "commands": {verb: options(command) for verb, command in sorted(commands().items())},
        "json": {
            name: [field.name for field in dataclasses.fields(kind)] for name, kind in sorted(result_classes().items())
        },
    }


if __name__ == "__main__":
    text = json.dumps(surface(), indent=2, ensure_ascii=False) + "\n"
    if "--write" in sys.argv:
        AGREED.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
