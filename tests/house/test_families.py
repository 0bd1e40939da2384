"""What is known about a family stands in its row: no other room asks which family it has."""

import ast
from collections.abc import Iterator
from pathlib import Path

from classtoken.encoder.families.table import DIALECTS, FAMILIES, PAIRS

NAMES = {kind for family in FAMILIES for kind in family.types} | {row.name for row in FAMILIES + DIALECTS} | set(PAIRS)
#: Words that are a family's name and something else besides; the second stands here.
OTHER = {(room, "clip") for room in ("jobs", "learning", "options", "verbs.py")}  # an objective; gradients are clipped


def literals(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_no_room_but_the_families_own_names_a_model_type(root: Path) -> None:
    src = root / "src" / "classtoken"
    found = [
        f"{path.relative_to(src)}:{line}: {text!r}"
        for path in sorted(src.rglob("*.py"))
        if src / "encoder" / "families" not in path.parents
        for line, text in literals(path)
        if text in NAMES and (path.relative_to(src).parts[0], text) not in OTHER
    ]
    assert not found, found


def test_no_room_asks_for_an_encoder_s_class(root: Path) -> None:
    src = root / "src" / "classtoken"
    found = [
        f"{path.relative_to(src)}:{node.lineno}"
        for path in sorted(src.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"
        if any(isinstance(n, ast.Name) and n.id in ("Encoder", "Foreign") for n in ast.walk(node.args[1]))
    ]
    assert not found, found
