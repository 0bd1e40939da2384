"""What `pip install classtoken` would bring: everything that is committed below src, and it runs from there."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_every_committed_file_of_the_package_is_in_it(root: Path, wheel: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "src"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    inside = set(zipfile.ZipFile(wheel).namelist())
    committed = {name.removeprefix("src/") for name in listed.stdout.split() if (root / name).exists()}
    assert committed <= inside
    assert "classtoken/py.typed" in inside
    assert not {name for name in inside if name.startswith(("tests", "docs", "web"))}


def test_it_runs_without_the_sources(wheel: Path, tmp_path: Path) -> None:
    start = f"import sys; sys.path.insert(0, {str(wheel)!r})"
    code = f"{start}; from classtoken.cli import main; raise SystemExit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: classtoken" in done.stdout


def test_its_metadata_says_how_it_is_called_and_licensed(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    info = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = archive.read(info).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert (
        "classtoken = classtoken.__main__:start" in archive.read(info.replace("METADATA", "entry_points.txt")).decode()
    )
