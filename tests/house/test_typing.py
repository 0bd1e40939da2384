"""What a type checker knows about a user's script: names, arguments and results of the public face."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import classtoken

SETTINGS = """
[mypy]
strict = true
[mypy-torch.*,transformers.*,numpy.*,pyarrow.*,scipy.*,sklearn.*,PIL.*,jaxtyping.*,tokenizers.*,safetensors.*]
follow_imports = skip
[mypy-classtoken.*]
ignore_errors = true
"""
SCRIPT = """
from pathlib import Path

import classtoken as ct

embedder = ct.load("model")
reveal_type(embedder)
reveal_type(ct.inspect("model"))
reveal_type(ct.embed(embedder, "a.csv", Path("out"), pooling="cls", source_options=ct.SourceOptions(text_column="t")))
reveal_type(ct.read("out").ids)
reveal_type(ct.verify("out"))
reveal_type(ct.train("model", "photos/", "new", recipe=ct.Recipe(), pooling="map"))
reveal_type(ct.predict("new", "photos/", "labelled").accuracy)
reveal_type(ct.explain("new", "cat.jpg", cuts=["heads:0.1"]))
reveal_type(ct.explain_data("new", "photos/", "findings.html"))
reveal_type(ct.walkthrough("new", ["cat.jpg"], "page.html"))
reveal_type(ct.EmbedOptions(limit=3).limit)
"""
KNOWN = [
    "Embedder",
    "Inspection",
    "EmbedResult",
    "tuple[str, ...]",
    "VerifyResult",
    "TrainResult",
    "float | None",
    "Explanation",
    "Findings",
    "WalkthroughResult",
    "int | None",
]
WRONG = {
    'ct.embbed("model", "a.csv", "out")': '"embbed"',
    'ct.embed("model", "a.csv", "out", poling="cls")': 'Unexpected keyword argument "poling"',
    'ct.embed("model", "a.csv", "out", precision="fp8")': "fp8",
    'ct.embed("model", "a.csv")': 'Missing positional argument "out"',
    "ct.load(7)": "incompatible type",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, root: Path) -> list[str]:
    """What mypy says about the script and the mistakes after it, a line each."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    (folder / "script.py").write_text(SCRIPT + "\n".join(WRONG) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "settings.ini", "--cache-dir", "cache", "script.py"]
    environment = {"MYPYPATH": str(root / "src"), "PATH": ""}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_results_are_known(said: list[str]) -> None:
    found = [
        line.split('"')[1].rpartition(".")[2] if "tuple" not in line else line.split('"')[1]
        for line in said
        if "Revealed" in line
    ]
    assert found == KNOWN


def test_mistakes_are_found(said: list[str]) -> None:
    first = SCRIPT.count("\n") + 1
    for number, words in enumerate(WRONG.values(), first):
        assert any(line.startswith(f"script.py:{number}: error") and words in line for line in said), words
    assert not [line for line in said if re.match(r"script.py:\d+: error", line) and int(line.split(":")[1]) < first]


def test_type_checkers_and_python_find_the_same_names_in_the_same_places(root: Path) -> None:
    tree = ast.parse((root / "src" / "classtoken" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    told = {
        alias.name: f"classtoken.{alias.name}" if node.module == "classtoken" else node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == classtoken._PLACES
