"""Habits that a reader relies on: no keyword soup, no drawers, nothing of one machine."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

#: What a committed file must not say: places of one machine, hosts of registries. Written so that this
#: file does not say it.
STRANGE = re.compile(r"/w[o]rk/|/r[o]ot/|/h[o]me/[a-z]|registry\.npm[j]s|pythonh[o]sted|pypi\.[o]rg")
#: Functions that take any keyword, and why that is no soup: the names are open by nature, or one dataclass's fields.
OPEN = {
    "cli/command.py:run": "the parameters of any verb's function, which typer reads from its signature",
    "encoder/foreign/captured.py": "a foreign attention function is handed whatever its authors hand on",
    "encoder/families/vit.py:replace_stem": "fields of one dataclass, as dataclasses.replace takes them",
    "learning/loop/log.py:_row": "columns of a log, written as they come",
    "report/svg.py:element": "attributes of an XML element",
    "report/svg.py:text": "attributes of an XML element",
}
DRAWERS = {"utils", "util", "helpers", "common", "misc", "manager"}


@cache
def sources(root: Path) -> tuple[tuple[str, ast.Module], ...]:
    """Every module of the package, parsed."""
    package = root / "src" / "classtoken"
    paths = sorted(package.rglob("*.py"))
    return tuple((path.relative_to(package).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths)


def committed(root: Path) -> Iterator[tuple[str, str]]:
    """Every text file that git knows, without the licence."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        content = (root / name).read_bytes() if (root / name).is_file() else b""
        if b"\0" not in content[:4096]:
            yield name, content.decode("utf-8", "replace")


def test_no_function_takes_any_keyword(root: Path) -> None:
    takes = {
        name if name in OPEN else f"{name}:{getattr(node, 'name', node.lineno)}"
        for name, tree in sources(root)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node.args.kwarg is not None
    }
    assert takes == set(OPEN)


def test_no_module_is_a_drawer(root: Path) -> None:
    assert [name for name, _ in sources(root) if {Path(name).stem, *Path(name).parts} & DRAWERS] == []


def test_imports_are_absolute(root: Path) -> None:
    relative = [
        f"{name}:{node.lineno}"
        for name, tree in sources(root)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_no_global_statement(root: Path) -> None:
    found = [
        f"{n}:{node.lineno}" for n, tree in sources(root) for node in ast.walk(tree) if isinstance(node, ast.Global)
    ]
    assert found == []


def test_every_module_says_what_it_is(root: Path) -> None:
    assert [name for name, tree in sources(root) if not ast.get_docstring(tree)] == []


def test_public_functions_and_classes_have_docstrings(root: Path) -> None:
    missing = [
        f"{name}:{node.name}"
        for name, tree in sources(root)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []


def test_nothing_of_one_machine_is_committed(root: Path) -> None:
    hits = [f"{name}: {found[0]}" for name, text in committed(root) if (found := STRANGE.search(text))]
    assert hits == []


def test_no_token_is_dropped_by_its_place(root: Path) -> None:
    """Roles say what a token is; `x[:, 1:]` on states forgets registers, distillation tokens and left padding."""
    hits = []
    for name, tree in sources(root):
        if not name.startswith(("pooling/", "readout", "embedder", "head", "measure/", "contract/", "nearest/")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and ast.unparse(node.slice) in (
                "(:, 1:)",
                ":, 1:",
                "(slice(None), slice(1, None))",
            ):
                hits.append(f"{name}:{node.lineno}")
    assert hits == []
