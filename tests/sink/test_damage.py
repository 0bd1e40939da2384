"""A folder of vectors whose bytes have changed anywhere: `verify` says so."""

import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

import classtoken as ct
from classtoken.errors import ClasstokenError, OutputError
from classtoken.places import place_of
from classtoken.sink.quarantine import read_quarantine, write_quarantine
from classtoken.values import Rejected

ROWS = "".join(f"r{number},text number {number},{'ab'[number % 2]}\n" for number in range(40))
SUMMARY = "_meta/quarantine.parquet"
"""a Parquet file with room for what nobody reads: its rows are compared, not its bytes"""
NOBODY_READS = 2
"""places of the golden vectors' file likewise"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "a.csv").write_text(f"id,text,label\n{ROWS}bad,,a\n")
    for format in ("npy", "safetensors"):
        ct.embed("builtin:sentiment", folder / "a.csv", folder / "out", part_rows=20, format=format)
    assert ct.verify(folder / "out").ok
    return folder / "out"


def is_noticed(folder: Path) -> bool:
    try:
        return not ct.verify(folder).ok
    except ClasstokenError:
        return True


@pytest.mark.slow
def test_a_bit_that_falls_over_in_any_file_is_noticed(whole: Path) -> None:
    chance = random.Random(0)
    files = [file for file in sorted(whole.rglob("*")) if file.is_file() and file.stat().st_size]
    assert len(files) > 12
    for file in files:
        name, content, unseen = file.relative_to(whole).as_posix(), file.read_bytes(), 0
        for _ in range(12):
            damaged = bytearray(content)
            damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            file.write_bytes(damaged)
            unseen += not is_noticed(whole)
        file.write_bytes(content)
        most = {SUMMARY: 12, "_meta/probes.parquet": NOBODY_READS, "_meta/beside.json": NOBODY_READS}
        assert unseen <= most.get(name, 0), name
    assert ct.verify(whole).ok


def test_what_the_quarantine_names_is_what_was_refused(whole: Path) -> None:
    content = (whole / SUMMARY).read_bytes()
    write_quarantine(place_of(whole), [Rejected("bad", "has something else in the column 'text'")])
    assert any("names other records or reasons" in problem for problem in ct.verify(whole).problems)
    (whole / SUMMARY).write_bytes(content)


def test_a_record_that_may_be_readable_another_time_leaves_the_folder_sound(tmp_path: Path) -> None:
    """Such a reason is marked in the receipt and not in the quarantine, which say the same all the same."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (8, 8)).save(pictures / "a.png")
    (pictures / "b.png").symlink_to(tmp_path / "gone.png")
    ct.embed("builtin:toy", pictures, tmp_path / "v")
    (refused,) = read_quarantine(tmp_path / "v")
    assert "broken link" in refused.reason
    assert ct.verify(tmp_path / "v").problems == ()


@pytest.mark.parametrize("name", ["cls.npy", "ids.npy", "cls-00000-of-00001.safetensors"])
def test_a_file_beside_the_parts_that_is_gone_or_another_is_written_again(whole: Path, name: str) -> None:
    content = (whole / name).read_bytes()
    (whole / name).write_bytes(content[:-1] + b"?")
    (problem,) = ct.verify(whole).problems
    assert name in problem
    assert "remove it" in problem
    (whole / name).unlink()
    assert ct.verify(whole).problems == (f"{name} is missing",)
    ct.embed("builtin:sentiment", whole.parent / "a.csv", whole, part_rows=20)
    assert ct.verify(whole).ok


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to write more into one file, as it does where a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("format", ["npy", "safetensors", "lance"])
def test_a_disk_without_room_for_another_format_is_one_line(tmp_path: Path, format: str) -> None:
    if format == "lance":
        pytest.importorskip("lancedb")
    ct.embed("builtin:sentiment", ["some words"] * 40, tmp_path / "out")
    before = {file.relative_to(tmp_path) for file in tmp_path.rglob("*")}
    with files_of_at_most(12_000), pytest.raises(OutputError, match=r"cannot be written: .*large"):
        ct.embed("builtin:sentiment", ["some words"] * 40, tmp_path / "out", format=format)
    assert {file for file in tmp_path.rglob("*") if file.is_file() and ".lance" not in str(file)} == {
        tmp_path / file for file in before if (tmp_path / file).is_file()
    }
    assert ct.verify(tmp_path / "out").ok
    ct.embed("builtin:sentiment", ["some words"] * 40, tmp_path / "out", format=format)
    assert ct.verify(tmp_path / "out").ok
