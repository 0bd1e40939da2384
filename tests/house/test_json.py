"""JSON that we write is strict: any program reads it, and none meets a bare NaN or Infinity."""

import ast
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.house.test_style import committed

import classtoken
from classtoken import results
from classtoken.plain import to_json
from classtoken.results.base import FORMAT, MADE, Result, format_of

WRITES = {"write_text", "write_bytes", "put", "say", "_write", "Response"}
#: Where `json.dumps` writes without `allow_nan=False`, and why.
LOOSE = {
    "src/classtoken/learning/folder/write.py": "what a checkpoint's own config.json says stays as it is",
    "benchmarks/embed.py": "the same",
    "benchmarks/serve.py": "texts",
}


def strictly(text: str) -> object:
    def refuse(said: str) -> None:
        raise ValueError(f"{said} is no JSON")

    return json.loads(text, parse_constant=refuse)


def loose_calls(tree: ast.Module) -> Iterator[int]:
    """Lines on which something is written that `json.dumps` made, NaN allowed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in WRITES:
            for inner in ast.walk(node):
                dumps = isinstance(inner, ast.Call) and getattr(inner.func, "attr", "") == "dumps"
                if dumps and not any(keyword.arg == "allow_nan" for keyword in inner.keywords):
                    yield inner.lineno


def test_every_committed_file_is_strict(root: Path) -> None:
    wrong, seen = [], 0
    for name, text in committed(root):
        if not name.endswith((".json", ".jsonl")):
            continue
        for part in text.splitlines() if name.endswith(".jsonl") else [text]:
            seen += 1
            try:
                strictly(part)
            except ValueError as error:
                wrong.append(f"{name}: {error}")
    assert seen > 20
    assert wrong == []


def test_nothing_is_written_that_need_not_be_strict(root: Path) -> None:
    files = [path for part in ("src", "tools", "benchmarks") for path in sorted((root / part).rglob("*.py"))]
    found = {p.relative_to(root).as_posix() for p in files if any(loose_calls(ast.parse(p.read_text("utf-8"))))}
    assert found == set(LOOSE)


def results_of_the_package() -> dict[str, type[Result]]:
    """Every result, by name."""
    modules = [
        importlib.import_module(f"classtoken.results.{one.name}") for one in pkgutil.iter_modules(results.__path__)
    ]
    values = [value for module in modules for value in vars(module).values()]
    return {one.__name__: one for one in values if isinstance(one, type) and issubclass(one, Result)}


def test_every_answer_says_first_what_it_is(root: Path) -> None:
    """A field `format` of its own would stand where it stands in the class, and say something else."""
    kinds = results_of_the_package()
    assert [name for name, kind in kinds.items() if {FORMAT, MADE} & set(kind.__dataclass_fields__)] == []
    functions = [getattr(classtoken, name) for name in classtoken.__all__]
    given = [str(inspect.signature(one).return_annotation) for one in functions if inspect.isfunction(one)]
    answers = {name for said in given for name in said.strip("'\"").split(" | ")} & set(kinds)
    assert len(answers) > 15
    page = (root / "docs" / "json.md").read_text("utf-8")
    assert [name for name in sorted(answers) if format_of(kinds[name]) not in page] == []


def test_numbers_that_are_not_finite_are_words() -> None:
    value = {"low": float("-inf"), "high": [float("inf"), float("nan")], "n": 3}
    assert strictly(to_json(value)) == {"low": "-Infinity", "high": ["Infinity", "NaN"], "n": 3}
    with pytest.raises(ValueError, match="no JSON"):
        strictly(json.dumps(value))
