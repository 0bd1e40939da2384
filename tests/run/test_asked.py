"""A finished folder of which the same is asked again is known without opening the model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests import folders

import classtoken as ct
from classtoken.errors import ManifestMismatch
from classtoken.options import EmbedOptions
from classtoken.places import place_of
from classtoken.run.asked import asked, finished
from classtoken.source import open_source


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return folders.tiny_bert(tmp_path / "bert")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("the cat sits\na dog runs\n\n")
    return path


def known(bert: Path, source: Path, out: Path, **options) -> bool:  # type: ignore[no-untyped-def]
    return finished(bert, open_source(source), place_of(out), EmbedOptions(**options)) is not None


def test_the_model_is_not_opened_again(tmp_path: Path, bert: Path, source: Path, root: Path) -> None:
    out = tmp_path / "out"
    first = ct.embed(bert, source, out, pooling="mean")
    code = (
        "import sys, classtoken as ct\n"
        f"result = ct.embed({str(bert)!r}, {str(source)!r}, {str(out)!r}, pooling='mean')\n"
        "print(result.before, result.rows, result.refused, 'torch' in sys.modules)"
    )
    path = os.pathsep.join([str(root / "src"), str(root)])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert done.stdout.decode().split() == ["3", "2", "1", "False"], done.stderr.decode()
    again = ct.embed(bert, source, out, pooling="mean")
    assert (again.rows, again.columns, again.examples) == (first.rows, first.columns, first.examples)


def test_whatever_is_another_is_looked_at(tmp_path: Path, bert: Path, source: Path) -> None:
    out = tmp_path / "out"
    ct.embed(bert, source, out, pooling="mean")
    assert known(bert, source, out, pooling="mean")
    assert known(bert, source, out, pooling="mean", workers=2)
    assert not known(bert, source, out, pooling="cls")
    assert not known(bert, source, out, pooling="mean", update=True)
    assert not known(bert, source, out, pooling="mean", strict=True)  # a record was refused
    assert not known(bert, source, out, pooling="mean", format="npy")
    part = next(out.glob("part-*"))
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    assert not known(bert, source, out, pooling="mean")
    part.write_bytes(content)
    weights = bert / "model.safetensors"
    os.utime(weights)
    assert not known(bert, source, out, pooling="mean")
    assert ct.embed(bert, source, out, pooling="mean").before == 3  # the same weights at another time
    assert known(bert, source, out, pooling="mean")
    source.write_text("the cat sits\n")
    assert not known(bert, source, out, pooling="mean")
    with pytest.raises(ManifestMismatch):
        ct.embed(bert, source, out, pooling="mean")


def test_what_is_no_folder_here_is_opened(tmp_path: Path, bert: Path) -> None:
    assert asked("builtin:toy", EmbedOptions()) == asked("org/name", EmbedOptions()) == ""
    (bert / "adapter_config.json").write_text("{}")
    assert asked(bert, EmbedOptions()) == ""
