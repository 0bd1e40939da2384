"""docs/json.md: every key of what the commands print with `--json`, out of the results' own fields."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from docs_train import meanings
from generated import DOCS, finish, notice, table, wrapped

import classtoken
from classtoken import results
from classtoken.cli import VERBS
from classtoken.results.base import Result, format_of

TEXT = """# JSON

Every command with `--json` prints one object on stdout and nothing else; `--out FILE.json` writes the same, and folders
of results hold it as `result.json`. Its first key `format` says what it is and the number of its form: a key is added
without a new number, one that goes away or changes its meaning has one. In a file that `--out` wrote the key `made` is
before it: the verb and a hash of the work. In Python `to_json()` writes the same and `from_json()` reads it back. NaN
and infinities, which JSON does not have, are the texts `"NaN"`, `"Infinity"` and `"-Infinity"`.

An error is an object too, beside its line on stderr:

| key | holds |
|---|---|
| `format` | `classtoken.Error/1` |
| `error.kind` | the class of the exception ([errors](errors.md)) |
| `error.message` | the line |
| `error.exit_code` | see [exit codes](cli.md#exit-codes) |
"""
SHARED = {
    "seconds": "how long it took",
    "notes": "what else should be known, a sentence each",
    "out": "where it was written",
    "folder": "the folder of vectors",
    "column": "the column of vectors that was used",
    "rows": "rows of the folder",
    "model": "the model's name",
    "modality": "`text` or `image`",
    "pooling": "which vector, as `pooling` takes it",
    "refused": "records that could not be used",
    "examples": "the first of the refused records",
    "low": "lower end of the interval of 95 %",
    "high": "upper end of the interval of 95 %",
    "id": "the record's id",
    "label": "the record's own label",
}
"""what a key means wherever it stands, unless the line under a field says otherwise"""
FUNCTIONS = {"explain": ("explain", "explain_pair", "explain_data"), "serve": ()}
HEADINGS = {"explain_pair": "explain --with", "explain_data": "explain --data"}
ALONE = {"embed": ("embed --plan", "EmbedPlan"), "compare": ("compare --read", "CompareTables")}
"""what only the command line prints"""


def page() -> str:
    """The whole page."""
    kinds = classes()
    parts, told = [TEXT.strip()], set()
    for verb in VERBS:
        for function in FUNCTIONS.get(verb, (verb,)):
            said = str(inspect.signature(getattr(classtoken, function)).return_annotation).strip("'\"")
            parts.append(f"## {HEADINGS.get(function, function)}")
            parts += [section(kinds[name], told) for name in said.split(" | ")]
        if verb in ALONE:
            heading, name = ALONE[verb]
            parts += [f"## {heading}", section(kinds[name], told)]
    return notice("docs_json.py") + "\n\n".join(parts) + "\n"


def classes() -> dict[str, type]:
    """Every frozen value of `results/` by its name."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(results.__path__):
        for name, value in vars(importlib.import_module(f"classtoken.results.{module.name}")).items():
            if isinstance(value, type) and dataclasses.is_dataclass(value):
                found[name] = value
    return found


def section(kind: type, told: set[type]) -> str:
    """The table of a result, then those of the values inside it that no section above has."""
    parts = [" ".join(filter(None, (form(kind), about(kind)))), keys(kind)]
    told.add(kind)
    for inner in inside(kind):
        if inner not in told:
            told.add(inner)
            parts += [f"**{inner.__name__}**: {about(inner)}", keys(inner)]
    return "\n\n".join(part for part in parts if part)


def form(kind: type) -> str:
    """What its key `format` says."""
    return f"`{format_of(kind)}`."


def about(kind: type) -> str:
    """Its docstring as one paragraph; a dataclass without one has its signature there."""
    text = inspect.getdoc(kind) or ""
    return "" if text.startswith(f"{kind.__name__}(") else " ".join(text.split())


def keys(kind: type) -> str:
    """One row per key."""
    hints, said = get_type_hints(kind, include_extras=True), meanings(kind)
    rows = [
        [f"`{field.name}`", holds(hints[field.name]), said.get(field.name) or SHARED.get(field.name, "")]
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
    ]
    return table(["key", "holds", "what it is"], rows)


def inside(kind: type) -> Iterator[type]:
    """The values inside a result, each before those inside itself."""
    for hint in get_type_hints(kind).values():
        for part in parts_of(hint):
            if dataclasses.is_dataclass(part) and isinstance(part, type):
                yield part
                yield from inside(part)


def parts_of(hint: Any) -> Iterator[Any]:
    """A type and all types inside it."""
    yield hint
    for part in get_args(hint):
        yield from parts_of(part)


def holds(hint: Any) -> str:
    """A type in words."""
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
    origin, inner = get_origin(hint), get_args(hint)
    if hint in words:
        return words[hint]
    if hint is type(None):
        return "null"
    if origin is Annotated:
        return holds(inner[0])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(map(holds, inner))
    if origin in (tuple, list, frozenset):
        if len(inner) == 2 and inner[1] is ...:
            return f"list of {holds(inner[0])}"
        return f"list of {holds(inner[0])}" if len(inner) == 1 else f"list: {', '.join(map(holds, inner))}"
    if (isinstance(origin, type) and "Mapping" in origin.__name__) or origin is dict:
        return f"object: name -> {holds(inner[1])}"
    if (isinstance(hint, type) and issubclass(hint, Result)) or dataclasses.is_dataclass(hint):
        return f"**{hint.__name__}**"
    return re.sub(r"[<>]", "", getattr(hint, "__name__", str(hint))).lower()


if __name__ == "__main__":
    finish(DOCS / "json.md", wrapped(page()))
