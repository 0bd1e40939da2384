"""Floors, and what is loaded when: help and the package itself without torch, the command line light."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from classtoken.cli import VERBS
from classtoken.extras import EXTRA_OF

HEAVY = ("torch", "transformers", "numpy", "pyarrow", "scipy", "sklearn", "PIL", "tokenizers", "lancedb", "rich")


def loaded(code: str, root: Path) -> set[str]:
    """Names of the heavy packages that some code loads in a new process."""
    show = f"import sys; sys.stderr.write(' '.join(m for m in {HEAVY} if m in sys.modules))"
    command = [sys.executable, "-c", f"{code}\n{show}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_the_package_loads_nothing_heavy(root: Path) -> None:
    assert loaded("import classtoken; classtoken.errors; dir(classtoken)", root) == set()


def test_help_loads_nothing_heavy(root: Path) -> None:
    asked = [["--help"], *([verb, "--help"] for verb in VERBS)]
    code = f"from classtoken.cli import main\nfor asked in {asked}: assert main(asked) == 0"
    assert loaded(code, root) == set()


def test_what_needs_no_torch_loads_none(root: Path) -> None:
    modules = ["source", "sink", "run", "results.embed", "results.verify", "fingerprint", "values", "cli.app"]
    assert "torch" not in loaded("import " + ", ".join(f"classtoken.{name}" for name in modules), root)


def test_imports_go_down_the_floors(root: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_module_has_a_floor(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    floors = settings["contracts"][0]
    assert floors["exhaustive"] is True
    assert floors["exhaustive_ignores"] == ["__main__"]
    placed = {name.strip(" ()") for layer in floors["layers"] for name in layer.split("|")}
    package = root / "src" / "classtoken"
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - {"__init__", "__main__"} <= placed
    assert settings["include_external_packages"] is True


def test_every_extra_is_used(root: Path) -> None:
    """An extra that no code asks for would install something for nothing."""
    declared = set(
        tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    assert set(EXTRA_OF.values()) == declared
    text = "".join(path.read_text(encoding="utf-8") for path in (root / "src").rglob("*.py") if path.stem != "extras")
    asked = {EXTRA_OF[package] for package in EXTRA_OF if f'need("{package}"' in text or f"import {package}" in text}
    assert declared - {"demo"} <= asked


#: What a distribution is imported as, where that is another name.
CALLED = {"pillow": "PIL", "scikit-learn": "sklearn"}


def test_what_is_imported_is_declared(root: Path) -> None:
    """What another package only happens to bring goes away with its next version: this needs its own line."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for some in project["optional-dependencies"].values() for line in some)]
    names = {re.split(r"[<>=\[ ]", line)[0] for line in lines}
    declared = {CALLED.get(name, name) for name in names} | sys.stdlib_module_names | {"classtoken", "mteb"}
    found = {}
    for path in sorted((root / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            of = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            of += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            found.update({name.split(".")[0]: path.name for name in of})
    assert {name: place for name, place in found.items() if name not in declared} == {}


def test_what_stands_beside_the_package_imports_what_there_is(root: Path) -> None:
    """Benchmarks and tools are run by hand; that they at least find what they name is seen here."""
    missing = []
    for path in sorted(
        path for folder in ("benchmarks", "examples", "tools") for path in (root / folder).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("classtoken"):
                module = importlib.import_module(str(node.module))
                missing += [f"{path.name}: {node.module}.{a.name}" for a in node.names if not _has(module, a.name)]
    assert missing == []


def _has(module: ModuleType, name: str) -> bool:
    return hasattr(module, name) or find_spec(f"{module.__name__}.{name}") is not None
