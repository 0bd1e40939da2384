"""JSON that we write is strict: any program reads it, and none meets a bare NaN or Infinity."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.house.test_style import committed

from classtoken.plain import to_json

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


def test_numbers_that_are_not_finite_are_words() -> None:
    value = {"low": float("-inf"), "high": [float("inf"), float("nan")], "n": 3}
    assert strictly(to_json(value)) == {"low": "-Infinity", "high": ["Infinity", "NaN"], "n": 3}
    with pytest.raises(ValueError, match="no JSON"):
        strictly(json.dumps(value))
