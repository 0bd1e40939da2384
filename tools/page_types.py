"""web/src/data.ts, written from the dataclasses of `classtoken.page`: the page's TypeScript reads what Python writes.

python tools/page_types.py            write it
python tools/page_types.py --check    exit code 1 when it is old
"""

import ast
import dataclasses
import inspect
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from generated import ROOT, finish

from classtoken.page.document import FORMAT, VERSION, Walkthrough
from classtoken.page.example import Experiments, RoleName

PAGE = ROOT / "web" / "src" / "data.ts"
ALIASES = {RoleName: "RoleName"}
UNIONS = (types.UnionType, Union)
PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", types.NoneType: "null"}

HEAD = f"""\
// Written by tools/page_types.py from the dataclasses in src/classtoken/page/; change those, then run `make web`.
//
// Letters as in tensors.py: L tokens, D hidden size, H heads, K head size, N layers, C classes, A answers shown; any
// other letter is a size that only its own class knows. Layers count from 0. DATA.md: what holds between the fields.

export const FORMAT = "{FORMAT}";
export const VERSION = {VERSION};

/** Numbers in C order, little endian, base64. What the page shows in digits is f32; f16 is for colours and lengths. */
export interface Block {{
  dtype: "f32" | "f16" | "u8" | "i32";
  shape: number[];
  data: string;
}}
"""


def literal(hint: Any) -> str:
    """A Literal as a union."""
    return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in get_args(hint))


def type_of(hint: Any) -> str:
    """A Python type as a TypeScript type."""
    if hint in ALIASES:
        return ALIASES[hint]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_of(parts[0])
    if origin in UNIONS:
        return " | ".join(type_of(part) for part in parts)
    if origin is Literal:
        return literal(hint)
    if origin is tuple and parts[-1] is Ellipsis:
        inner = type_of(parts[0])
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if origin is tuple:
        return f"[{', '.join(type_of(part) for part in parts)}]"
    if hint is np.ndarray:
        return "Block"
    return PLAIN.get(hint, hint.__name__)


def axes_of(hint: Any) -> str | None:
    """The axes that a field declares, with a `?` where it may be null; None for a field without axes."""
    parts = get_args(hint)
    if get_origin(hint) in UNIONS:
        found = next((axes for part in parts if (axes := axes_of(part))), None)
        return found and f"{found}?"
    return str(parts[1]) if get_origin(hint) is Annotated else None


def classes_in(hint: Any) -> Iterator[type]:
    """The dataclasses that a type speaks of."""
    if dataclasses.is_dataclass(hint):
        yield hint  # type: ignore[misc]
    for part in get_args(hint):
        yield from classes_in(part)


def part_of(hint: Any) -> str:
    """The class of what a field holds; `[]` behind it where it holds several, `?` where it may be null."""
    bare = [part for part in get_args(hint) if part is not type(None)] if get_origin(hint) in UNIONS else [hint]
    null, held = bare[0] is not hint, get_args(bare[0])[0] if get_origin(bare[0]) is Annotated else bare[0]
    return f"{next(classes_in(hint)).__name__}{'[]' * (get_origin(held) is tuple)}{'?' * null}"


def hints_of(kind: type) -> dict[str, Any]:
    """The fields of a dataclass and their types."""
    return get_type_hints(kind, include_extras=True)


def reached(*roots: type) -> list[type]:
    """Every dataclass that the roots hold, parts before wholes."""
    found: list[type] = []

    def visit(kind: type) -> None:
        if kind not in found:
            for hint in hints_of(kind).values():
                for part in classes_in(hint):
                    visit(part)
            found.append(kind)

    for root in roots:
        visit(root)
    return found


def notes_of(kind: type) -> dict[str, str]:
    """The docstring below each field."""
    (body,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(body, ast.ClassDef)
    notes = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            notes[field.target.id] = str(below.value.value)
    return notes


def interface(kind: type) -> str:
    """A dataclass as an interface, its docstring and the notes on its fields as comments."""
    notes, lines = notes_of(kind), []
    for name, hint in hints_of(kind).items():
        axes = axes_of(hint)
        said = [f"({', '.join(axes.rstrip('?').split())})"] if axes else []
        said += [notes[name]] if name in notes else []
        lines.append(f"  {name}: {type_of(hint)};{' // ' if said else ''}{' '.join(said)}\n")
    about = " ".join((inspect.getdoc(kind) or "").split())
    return f"/** {about} */\nexport interface {kind.__name__} {{\n{''.join(lines)}}}\n"


def table(name: str, about: str, rows: dict[str, dict[str, str]]) -> str:
    """A constant: class -> field -> what is known of it."""
    lines = []
    for kind, fields in rows.items():
        inside = ", ".join(f'{field}: "{value}"' for field, value in fields.items())
        lines += [f"  {kind}: {{ {inside} }},\n"] if fields else []
    type_ = "Record<string, Record<string, string>>"
    return f"/** {about} */\nexport const {name}: {type_} = {{\n{''.join(lines)}}};\n"


def text() -> str:
    """The whole file."""
    kinds = reached(Walkthrough, Experiments)
    axes: dict[str, dict[str, str]] = {}
    parts: dict[str, dict[str, str]] = {}
    for kind in kinds:
        hints = hints_of(kind)
        axes[kind.__name__] = {name: found for name, hint in hints.items() if (found := axes_of(hint))}
        parts[kind.__name__] = {name: part_of(hint) for name, hint in hints.items() if any(classes_in(hint))}
    return "\n".join(
        [
            HEAD,
            f"export type RoleName = {literal(RoleName)};\n",
            *map(interface, kinds),
            table("AXES", "Class and field -> its axes; `?` after them: it may be null.", axes),
            table("PARTS", "Class and field -> the class of what it holds; `[]`: several, `?`: it may be null.", parts),
        ]
    )


if __name__ == "__main__":
    finish(PAGE, text())
