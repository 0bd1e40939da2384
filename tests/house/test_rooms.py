"""Each thing has one place: verbs are short and flat, bad records are caught in one room, a class has one name."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.house.test_style import sources

JOB, USUAL = 150, 100
"""lines of one verb, and of one on average: what a verb does beyond that belongs in a room below"""


def nodes(root: Path, *kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of some kinds in the package, with its file."""
    for name, tree in sources(root):
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield name, node


def test_a_verb_is_a_file_and_only_a_verb(root: Path) -> None:
    jobs = root / "src" / "classtoken" / "jobs"
    assert [path.name for path in jobs.iterdir() if path.is_dir() and path.name != "__pycache__"] == []
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in jobs.glob("*.py")}
    assert {name: count for name, count in lines.items() if count > JOB} == {}
    assert sum(lines.values()) <= USUAL * len(lines)


def test_bad_records_are_caught_where_inputs_are_prepared(root: Path) -> None:
    found = {
        name
        for name, node in nodes(root, ast.ExceptHandler)
        if node.type is not None and "BadRecord" in ast.unparse(node.type)  # type: ignore[attr-defined]
    }
    assert {name for name in found if not name.startswith(("inputs/", "tokens/"))} == set()


def test_a_class_name_is_defined_once(root: Path) -> None:
    found = defaultdict(list)
    for name, node in nodes(root, ast.ClassDef):
        found[node.name].append(name)  # type: ignore[attr-defined]
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_results_are_read_from_a_study(root: Path) -> None:
    """Verbs, reports and pages run no model of their own: what they show was found out in one place."""
    found = {
        f"{name}:{node.lineno}"  # type: ignore[attr-defined]
        for name, node in nodes(root, ast.Call)
        if name.startswith(("jobs/", "report/", "page/")) and ast.unparse(node.func) in ("subject", "self.subject")  # type: ignore[attr-defined]
    }
    assert found == set()


def test_messages_name_options_as_python_does(root: Path) -> None:
    """`text_column`, not --text-column: who called Python has no flags. The command line puts them in (cli/app.py)."""
    found = set()
    for name, node in nodes(root, ast.Raise):
        if not name.startswith("cli/"):
            texts = [
                part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            found |= {f"{name}:{node.lineno} {flag}" for flag in re.findall(r"--[a-z][a-z-]+", " ".join(texts))}  # type: ignore[attr-defined]
    assert found == set()


def test_code_is_not_packed(root: Path) -> None:
    """The formatter lays code out: a call that is too long for it is one to take apart."""
    package = root / "src" / "classtoken"
    packed = [path.name for path in package.rglob("*.py") if "# fmt: " in path.read_text(encoding="utf-8")]
    assert packed == []
