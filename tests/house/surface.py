"""The whole public surface as plain values: names, commands with their options, JSON keys of results.

`surface.json` holds it as it was agreed. Whoever changes it on purpose writes it anew and reads the difference:

    .venv/bin/python -m tests.house.surface --write
"""

import dataclasses
import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

import classtoken
from classtoken import results
from classtoken.cli import VERBS
from classtoken.cli.app import app
from classtoken.results.base import Result

AGREED = Path(__file__).with_name("surface.json")


def commands() -> dict[str, TyperCommand]:
    """Every command by its name."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="classtoken")
    return {verb: group.get_command(context, verb) for verb in VERBS}


def flags(command: TyperCommand) -> list[str]:
    """Arguments by their metavariable, options by their flags."""
    found = []
    for parameter in command.params:
        names = [*parameter.opts, *parameter.secondary_opts]
        found.append("/".join(names) if names[0].startswith("-") else str(parameter.metavar))
    return sorted(found)


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
        "names": sorted(classtoken.__all__),
        "commands": {verb: flags(command) for verb, command in sorted(commands().items())},
        "json": {
            name: [field.name for field in dataclasses.fields(kind)] for name, kind in sorted(result_classes().items())
        },
    }


if __name__ == "__main__":
    text = json.dumps(surface(), indent=2) + "\n"
    if "--write" in sys.argv:
        AGREED.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
