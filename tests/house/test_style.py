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
    "encoder/foreign/classifying.py:forward": "stands in an encoder's place, whatever that is called with",
    "encoder/families/vit.py:replace_stem": "fields of one dataclass, as dataclasses.replace takes them",
    "options/keywords.py:called": "the keywords of the function that it stands for, and one that this lacks",
    "mteb.py:encode": "mteb hands every encoder the keywords of its data loader",
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


def test_every_class_says_what_it_is(root: Path) -> None:
    """Functions have a docstring where their name and types do not say it all: that is for the reader to judge."""
    missing = [
        f"{name}:{node.name}"
        for name, tree in sources(root)
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert missing == []


def test_nothing_of_one_machine_is_committed(root: Path) -> None:
    hits = [f"{name}: {found[0]}" for name, text in committed(root) if (found := STRANGE.search(text))]
    assert hits == []


#: Files that leave out the first of something else than tokens, and what that is.
NO_TOKENS = {
    "drawn/shapes.py": "coordinates of points",
    "encoder/position.py": "a table of relative positions, in which the class token's row and column are added by hand",
}


def test_no_token_is_dropped_by_its_place(root: Path) -> None:
    """Roles say what a token is; `x[:, 1:]` on states forgets registers, distillation tokens and left padding."""
    hits = [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name, tree in sources(root)
        if name not in NO_TOKENS
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript | ast.Call) and drops_the_first(node)
    ]
    assert hits == []


def drops_the_first(node: ast.Subscript | ast.Call) -> bool:
    """`x[:, 1:]`, `x[:, 1:, :]`, `x[..., 1:, :]`, `tokens_LD[1:]`, `x.narrow(1, 1, ...)`, `roll` along a dimension."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = [ast.unparse(argument) for argument in node.args]
        return (name == "roll" and "-1" in given) or (name == "narrow" and "1" in given)
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    places = [i for i, part in enumerate(parts) if isinstance(part, ast.Slice) and _is_rest(part)]
    if not places:
        return False
    after_dots = any(isinstance(part, ast.Constant) and part.value is ... for part in parts)
    if len(parts) == 1:
        return re.search(r"_[LP][A-Z]*$", ast.unparse(node.value)) is not None
    return any(place < len(parts) - 1 if after_dots else place == 1 for place in places)


def _is_rest(part: ast.Slice) -> bool:
    return isinstance(part.lower, ast.Constant) and part.lower.value == 1 and part.upper is None


@pytest.mark.parametrize(
    "code",
    [
        "x[:, 1:]",
        "x[:, 1:, :]",
        "x[..., 1:, :]",
        "states_LD[1:]",
        "x.narrow(1, 1, n)",
        "torch.roll(x, -1, 1)",
        "x[b, 1:]",
    ],
)
def test_a_dropped_token_is_seen(code: str) -> None:
    expression = ast.parse(code, mode="eval").body
    assert isinstance(expression, ast.Subscript | ast.Call)
    assert drops_the_first(expression)


@pytest.mark.parametrize("code", ["x[1:]", "x[:, 1]", "x[..., 1:]", "places[:, :1]", "x[:, start:]", "f(x, 1)"])
def test_other_slices_are_not(code: str) -> None:
    expression = ast.parse(code, mode="eval").body
    assert isinstance(expression, ast.Subscript | ast.Call)
    assert not drops_the_first(expression)
