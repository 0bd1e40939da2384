"""The table of options on every verb's page, and of a source's on docs/sources.md, out of the options values."""

from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import typer
from generated import DOCS, finish_all, into, table

import classtoken
from classtoken.cli import VERBS
from classtoken.cli.app import app
from classtoken.cli.command import option_kinds
from classtoken.options import SourceOptions, all_fields

TOOL = "docs_options.py"
#: The functions of a verb in Python, where they are not called as its command is.
FUNCTIONS = {"explain": ("explain", "explain_data", "explain_pair"), "serve": ("service",)}
#: Operands that are called something else in Python.
CALLED = {"inputs": "items"}
HEAD = ["on the command line", "in Python", "if left out", "what it is"]


def rows_of(verb: str) -> list[list[str]]:
    """One row per operand and option; the options of a source are one row, which leads to their own page."""
    group: Any = typer.main.get_command(app)
    command = group.get_command(typer.Context(group, info_name="classtoken"), verb)
    function = getattr(import_module(f"classtoken.cli.{verb}"), verb)
    kinds = [kind for kinds in option_kinds(function).values() for kind in kinds]
    fields = {field.name: field for kind in kinds for field in all_fields(kind)}
    hidden = [field for field in fields.values() if not field.about.shown]
    columns = [field for field in fields.values() if field.inside == "source_options"]
    functions = FUNCTIONS.get(verb, (verb,))
    known = {name for one in functions for name in signature(getattr(classtoken, one)).parameters}
    found, told = [], False
    for parameter in command.params:
        field = fields.get(parameter.name)
        if field is not None and field.inside == "source_options":
            if not told:
                names = ", ".join(f"`{column.flag}`" for column in columns)
                found.append([names, "`source_options`", "", "what is called what: see [sources](sources.md)"])
            told = True
            continue
        names = [*parameter.opts, *parameter.secondary_opts]
        flag = ", ".join(f"`{name}`" for name in names) if names[0].startswith("-") else f"`{parameter.metavar}`"
        default = "" if parameter.default in (None, False, ()) else f"`{parameter.default}`"
        called = CALLED.get(parameter.name, parameter.name)
        python = f"`{called}`" if called in known else ""
        found.append([flag, python, "it is needed" if parameter.required else default, parameter.help])
    return found + [["", f"`{field.name}`", f"`{field.default}`", field.about.help] for field in hidden]


def pages() -> dict[Path, str]:
    """Every page with its table as the code is now."""
    found = {}
    for verb in VERBS:
        path = DOCS / f"{'indexing' if verb == 'index' else verb}.md"  # docs/index.md is the first page of all
        found[path] = into(path.read_text(encoding="utf-8"), TOOL, table(HEAD, rows_of(verb)))
    path = DOCS / "sources.md"
    rows = [
        [f"`{f.flag}`", f"`{f.name}`", f"`{f.default}`" if f.default else "", f.about.help]
        for f in all_fields(SourceOptions)
    ]
    found[path] = into(path.read_text(encoding="utf-8"), TOOL, table(HEAD, rows))
    return found


if __name__ == "__main__":
    finish_all(pages())
