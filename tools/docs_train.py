"""docs/train.md: every field of a recipe out of `learning/recipe.py`; docs/studies/training.md: what was compared."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from generated import DOCS, ROOT, finish_all, into, notice, table, wrapped

from classtoken.encoder import shape
from classtoken.learning import recipe
from classtoken.plain import Limits

PAGE, STUDY = DOCS / "train.md", DOCS / "studies" / "training.md"
RESULTS = ROOT / "benchmarks" / "results"
TABLES_OF_MODEL = {
    "[model]": shape.Shape,
    '[model.stem], `kind = "image"`': shape.ImageStem,
    '[model.stem], `kind = "text"`': shape.TextStem,
    "[model.block]": shape.BlockShape,
    "[model.position]": shape.PositionShape,
}
STUDY_HEAD = """# Training: what was compared

What benchmarks/training measured, each on data that is made here or that anybody may get, looked at once.
"""


def recipes() -> str:
    """One table of fields."""
    rows = [["", *row] for row in rows_of(recipe.Recipe)]
    for name, part in TABLES_OF_MODEL.items():
        inner = list(rows_of(part))
        rows += [[name if i == 0 else "", *row] for i, row in enumerate(inner)]
    for field in fields(recipe.Recipe):
        kind = get_type_hints(recipe.Recipe)[field.name]
        if is_dataclass(kind):
            inner = list(rows_of(kind))
            rows += [[f"[{field.name}]" if i == 0 else "", *row] for i, row in enumerate(inner)]
    return table(["table", "field", "takes", "if left out", "what it is"], rows)


def rows_of(kind: type) -> Iterator[list[str]]:
    """Name, what it takes, default and meaning of every field that is no table itself."""
    hints, words = get_type_hints(kind, include_extras=True), meanings(kind)
    for field in fields(kind):  # type: ignore[arg-type]
        hint = hints[field.name]
        if any(is_dataclass(part) for part in (hint, *get_args(hint))):
            continue
        default = field.default
        if isinstance(default, frozenset):
            default = ", ".join(sorted(getattr(part, "name", str(part)) for part in default))
        needed = default is MISSING and field.default_factory is MISSING
        default = "it is needed" if needed else "" if default in (MISSING, None, "", ()) else f"`{default}`"
        yield [f"`{field.name}`", takes(hint), default, words.get(field.name, "")]


def meanings(kind: type) -> dict[str, str]:
    """The line under each field in the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body  # type: ignore[attr-defined]
    found = {}
    for line, after in pairwise(body):
        if isinstance(line, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[ast.unparse(line.target)] = " ".join(str(after.value.value).split())
    return found


def takes(hint: Any) -> str:
    """A type in words, with its limits."""
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): ""}
    if hint in words:
        return words[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [part for part in inner[1:] if isinstance(part, Limits)]
        return ", ".join([takes(inner[0]), *map(str, limits)])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin is tuple:
        if inner[-1] is ...:
            return f"a list of {_many(takes(inner[0]))}"
        return f"{len(inner)} {_many(takes(inner[0]))}"
    if (isinstance(origin, type) and issubclass(origin, dict)) or "Mapping" in str(origin):
        return "a table"
    if origin is frozenset:
        return "a list of words"
    return " or ".join(filter(None, map(takes, inner)))


def _many(one: str) -> str:
    """ "a whole number, 1 or more" -> "whole numbers, 1 or more"; of lists, those in brackets."""
    kind, *limits = one.removeprefix("a ").split(", ")
    if kind[0].isdecimal():
        return ", ".join(["pairs" if kind[0] == "2" else f"groups of {kind[0]}", f"each {one}"])
    return ", ".join([f"{kind}s", *limits])


def compared() -> str:
    """What benchmarks/ measured."""
    parts: list[str] = []
    for name, write in (("clothing", clothing), ("learning", learning), ("unlabelled", unlabelled)):
        path = RESULTS / f"{name}.json"
        if path.is_file():
            parts.append(write(json.loads(path.read_text(encoding="utf-8"))))
    return "\n\n".join(parts)


def clothing(found: dict[str, Any]) -> str:
    """Heads, poolings and fine-tuning beside scikit-learn."""
    ways, rows = found["ways"], []
    for name, way in sorted(ways.items(), key=lambda item: -item[1]["accuracy"][0]):
        against = way.get("against", {}).get("scikit-learn/cls")
        calibration = way.get("calibration", ["", ""])
        rows.append(
            [
                name,
                interval(way["accuracy"]),
                f"{signed(against['difference'])}, p {against['p']:.2g}" if against else "",
                f"{calibration[0]} / {calibration[1]}" if "calibration" in way else "",
                f"{way['seconds']:.0f}",
            ]
        )
    own = [
        f"`{name}` {signed(way['against'][peer]['difference'])} (p {way['against'][peer]['p']:.2g})"
        for name, way in ways.items()
        if name.startswith("linear/") and (peer := f"scikit-learn/{name.partition('/')[2]}") in way.get("against", {})
    ]
    return "\n\n".join(
        [
            "## Product photographs: which way is best?",
            f"DeiT-Tiny on 10 kinds of clothing: {found['learned']} photographs to learn from and to choose on, "
            f"{found['tested']} looked at once (`benchmarks/training/clothing.py`; {where(found)}). Intervals are "
            "Wilson's; differences to scikit-learn's best logistic regression on the class token are paired. ECE: "
            "before and after the temperature, on the held-out part of what was learned from. Seconds are those of a "
            "machine that other work shared. The linear heads took the C of the best accuracy then, and that of the "
            "least loss since.",
            table(["way", "accuracy", "ahead of `scikit-learn/cls`", "ECE", "seconds"], rows),
            f"Ours against scikit-learn's on the same vectors: {'; '.join(own)}.",
        ]
    )


def learning(found: dict[str, Any]) -> str:
    """A student with and without its teacher."""
    rows = []
    for name, way in found["ways"].items():
        ahead = f"{signed(way['difference'])}, p {way['p']:.2g}" if "p" in way else ""
        rows.append([name, interval(way["accuracy"]), ahead, str(way.get("steps", ""))])
    return "\n\n".join(
        [
            "## Scenes: what is a teacher worth?",
            "A student of 63,000 parameters has the labels of 359 scenes; `builtin:scenes` labels 2,400 more for it "
            f"(`benchmarks/training/learning.py`; {where(found)}). Equal numbers of steps of equal size. All three "
            "labels of a scene right, on 1,000 fresh scenes:",
            table(["the student learns from", "accuracy", "ahead of labels alone", "steps"], rows),
        ]
    )


def unlabelled(found: dict[str, Any]) -> str:
    """DINO's class token beside first weights and pixels."""
    rows = [
        [
            row["reader"],
            row["description"],
            interval(row["accuracy"]),
            f"{signed(row['dino_ahead'])}, p {row['p']:.2g}" if "p" in row else "",
        ]
        for row in found["rows"]
    ]
    return "\n\n".join(
        [
            "## Faces without labels: what does DINO learn?",
            f"3,000 tiny faces, {found['seconds'] / 60:.0f} minutes (`benchmarks/training/unlabelled.py`; "
            f"{where(found)}). What a classifier makes of each description, on {found['tested']} fresh faces:",
            table(["classifier", "on", "accuracy", "DINO is ahead by"], rows),
            "With few labels, and with a straight line, the class token that was learned without any is far ahead of "
            "the pixels; with 3,000 labelled faces to look up, the pixels' nearest neighbours are the better ones.",
        ]
    )


def interval(values: list[float]) -> str:
    """An estimate in percent with its interval."""
    return f"{100 * values[0]:.1f} % [{100 * values[1]:.1f}, {100 * values[2]:.1f}]"


def signed(values: list[float]) -> str:
    """A difference in points with its interval."""
    return f"{100 * values[0]:+.1f} [{100 * values[1]:+.1f}, {100 * values[2]:+.1f}]"


def where(found: dict[str, Any]) -> str:
    """The machine."""
    machine = found["machine"]
    return f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, torch {machine['torch']}"


def pages() -> dict[Any, str]:
    """Both pages as code and results are now."""
    page = into(PAGE.read_text(encoding="utf-8"), "docs_train.py recipes", recipes())
    return {PAGE: page, STUDY: notice("docs_train.py") + STUDY_HEAD + "\n" + wrapped(compared()) + "\n"}


if __name__ == "__main__":
    finish_all(pages())
