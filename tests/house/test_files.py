"""Whole-file writes are in one place."""

import ast
from pathlib import Path

import pytest


def renames(tree: ast.AST) -> list[int]:
    """Lines that rename a file: `path.replace(other)`, `path.rename(other)`, `os.replace(...)`, `shutil.move(...)`."""
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        of_a_path = len(node.args) == 1 and not node.keywords and owner != "dataclasses"
        if (node.func.attr in ("replace", "rename") and (of_a_path or owner == "os")) or (
            node.func.attr == "move" and owner == "shutil"
        ):
            found.append(node.lineno)
    return found


def test_only_files_renames(root: Path) -> None:
    """Everything else writes through `files.whole_file` and `files.whole_folder`."""
    package = root / "src" / "classtoken"
    places = {
        path.relative_to(package).as_posix() for path in package.rglob("*.py") if renames(ast.parse(path.read_text()))
    }
    assert places == {"files.py"}


@pytest.mark.parametrize(
    "line", ["a.replace(b)", "a.b.rename(c)", "os.replace(a, b)", "os.rename(a, b)", "shutil.move(a, b)"]
)
def test_the_rule_sees(line: str) -> None:
    assert renames(ast.parse(line))


@pytest.mark.parametrize("line", ["a.replace('x', 'y')", "dataclasses.replace(a, b=1)", "table.rename_columns(a)"])
def test_the_rule_lets_pass(line: str) -> None:
    assert not renames(ast.parse(line))
