"""docs/api.md: every public name with its signature, its meaning and the errors that it raises, out of the code."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from generated import DOCS, finish, notice, wrapped

import classtoken
from classtoken.options import Options

INTRODUCTION = """
# The Python interface

Every public name of `classtoken`. Names are imported when they are first used, and typed: an editor and a type checker
know all of them. What a verb takes by keyword is also a value (`EmbedOptions(...)`): frozen, checked when it is made,
as JSON and back (`to_dict`, `from_dict`), and the same as the verb's options [on the command line](cli.md). Results are
frozen, without torch, as JSON and back (`to_json`, `from_json`); `str()` is what a person reads. Whatever is wrong with
the input is a `ClasstokenError`; [errors](errors.md) has the tree.
"""
GROUPS = {
    "Verbs": [
        "inspect",
        "embed",
        "verify",
        "compare",
        "search",
        "index",
        "duplicates",
        "outliers",
        "atlas",
        "train",
        "predict",
        "explain",
        "explain_data",
        "explain_pair",
        "walkthrough",
        "service",
    ],
    "Models": ["load", "Embedder"],
    "Vectors and sources": ["read", "Vectors", "Searcher", "open_source", "SourceOptions"],
    "In a pipeline": ["sklearn", "mteb"],
    "Options as values": [],
    "Errors": ["errors"],
}


def text() -> str:
    """The whole page."""
    told = {name for names in GROUPS.values() for name in names}
    options = [name for name in classtoken.__all__ if name not in told and name != "__version__"]
    parts = [notice("docs_api.py") + INTRODUCTION.strip()]
    for title, names in GROUPS.items():
        parts.append(f"## {title}")
        for name in names or options:
            parts += list(_name(name, getattr(classtoken, name)))
    return "\n\n".join(parts) + "\n"


def _name(name: str, value: Any) -> Iterator[str]:
    if inspect.ismodule(value):
        inner = {n: v for n, v in vars(value).items() if inspect.isclass(v) and v.__module__ == value.__name__}
        if name == "errors":
            listed = ", ".join(f"`{short}`" for short in inner if short != "ClasstokenError")
            yield wrapped(f"`ClasstokenError` is the root: {listed}.")
            return
        for short, kind in inner.items():
            if not short.startswith("_"):
                yield from _name(f"{name}.{short}", kind)
        return
    if inspect.isclass(value) and issubclass(value, Options) and name != "SourceOptions":
        yield wrapped(f"**{name}**: {_first(value)}")
        return
    yield f"### {name}"
    yield _code(f"classtoken.{name}", value)
    yield _prose(value)
    if inspect.isclass(value) and not issubclass(value, Options):
        rows = []
        for short, member in _members(value):
            is_property = isinstance(member, property)
            call = f".{short}" if is_property else f".{short}{_signature(member)}"
            rows.append(wrapped(f"- `{call}`: {_first(member)}"))
        if rows:
            yield "\n".join(rows)


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    for short, member in inspect.getmembers_static(kind):
        plain = getattr(member, "__func__", member)
        origin = getattr(plain.fget if isinstance(plain, property) else plain, "__module__", None) or ""
        if (
            not short.startswith("_")
            and origin.startswith("classtoken")
            and (isinstance(plain, property) or inspect.isfunction(plain))
        ):
            yield short, plain


def _code(name: str, value: Any) -> str:
    """The call, a parameter a line where one line is too long."""
    said = f"{name}{_signature(value)}"
    if len(said) > 100:
        parameters, result = _told(value)
        said = f"{name}(\n" + "".join(f"    {parameter},\n" for parameter in parameters) + f"){result}"
    return f"```text\n{said}\n```"


def _signature(value: Any) -> str:
    parameters, result = _told(value)
    return f"({', '.join(parameters)}){result}"


def _told(value: Any) -> tuple[list[str], str]:
    """The parameters as they are written in a definition, and the result with its arrow."""
    signature, found, keyword = inspect.signature(value), [], False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind == parameter.KEYWORD_ONLY and not keyword:
            found.append("*")
            keyword = True
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        found.append(f"{parameter.name}: {_hint(parameter.annotation)}{default}")
    there = not inspect.isclass(value) and signature.return_annotation is not signature.empty
    return found, f" -> {_hint(signature.return_annotation)}" if there else ""


def _default(value: Any) -> str:
    return f"{type(value).__name__}()" if isinstance(value, Options) else repr(value)


def _hint(hint: Any) -> str:
    hint = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
    text = hint if isinstance(hint, str) else inspect.formatannotation(hint)
    text = re.sub(r"Optional\[(.*)\]", r"\1 | None", text)
    text = re.sub(r"Annotated\[([^,\[]+), [^\]]*\]", r"\1", text)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)


def _prose(value: Any) -> str:
    """The docstring as Markdown, wrapped anew."""
    paragraphs = (inspect.getdoc(value) or "").split("\n\n")
    return wrapped("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))


def _first(value: Any) -> str:
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


if __name__ == "__main__":
    finish(DOCS / "api.md", text())
