"""Files that hold something else, though they are listed as they were: of the same names, sizes and summaries."""

import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.run.fake import FakeStage, onto

from classtoken.errors import ManifestMismatch
from classtoken.places import place_of
from classtoken.sink import read, read_manifest
from classtoken.sink.manifest import write_manifest
from classtoken.sink.parquet import receipt_of
from classtoken.source import make_plan, open_source

Texts = list[str]
FIRST: Texts = [f"text {number:02d}" for number in range(12)]
LATER: Texts = [*FIRST[:7], "text 0z", *FIRST[8:]]


def parquet(at: Path, texts: Texts) -> Path:
    """One whose pages are not compressed: its footer has the least and the largest text alone."""
    pq.write_table(pa.table({"text": texts}), at.with_suffix(".parquet"), compression="none", use_dictionary=False)
    return at.with_suffix(".parquet")


def archive(at: Path, texts: Texts) -> Path:
    with tarfile.open(at.with_suffix(".tar"), "w") as made:
        for number, text in enumerate(texts):
            member = tarfile.TarInfo(f"{number:02d}.txt")  # its time is 0, as those who want equal archives write it
            member.size = len(text)
            made.addfile(member, BytesIO(text.encode()))
    return at.with_suffix(".tar")


def documents(at: Path, texts: Texts) -> Path:
    at.mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        file = at / f"{number:02d}.md"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    return at


Write = Callable[[Path, Texts], Path]
KINDS = pytest.mark.parametrize("write", [parquet, archive, documents])


def later(write: Write, source: Path) -> None:
    """Other contents, and a time that differs whatever the clock's steps are."""
    listed = make_plan(open_source(source)).hash
    write(source.with_suffix(""), LATER)
    os.utime(source / "07.md" if source.is_dir() else source, ns=(1, 1))
    assert make_plan(open_source(source)).hash == listed  # or this file shows nothing


def denying(name: str) -> Callable[[Path], bytes]:
    """`Path.read_bytes`, but for files of this name."""
    read = Path.read_bytes

    def given(path: Path) -> bytes:
        if path.name == name:
            raise PermissionError(13, "Permission denied")
        return read(path)

    return given


def test_what_stood_around_a_record_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = documents(tmp_path / "texts", FIRST), tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", denying("07.md"))
        first, _ = onto(source, out, FakeStage())
        again, changes = onto(source, out, FakeStage(), update=True)
        assert (first.refused, again.refused, changes.any) == (1, 1, False)  # nothing has been put right
    with pytest.raises(ManifestMismatch, match="0 records new, 1 changed, 0 gone"):
        onto(source, out, FakeStage())
    later, changes = onto(source, out, FakeStage(), update=True)
    assert (later.refused, changes.changed, changes.computed) == (0, 1, 1)
    assert list(read_ids(out)) == [f"{number:02d}.md" for number in range(12)]
    assert not onto(source, out, FakeStage())[1].any


def test_a_stopped_run_does_such_a_record_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = documents(tmp_path / "texts", FIRST), tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", denying("02.md"))
        onto(source, out, FakeStage())
    (out / receipt_of(2)).unlink()
    manifest = read_manifest(out)
    write_manifest(place_of(out), replace(manifest, complete=False))
    again, _ = onto(source, out, FakeStage())
    assert (again.rows, again.refused) == (12, 0)


def read_ids(out: Path) -> Texts:
    return list(read(out).ids)


@KINDS
def test_texts_that_changed_behind_the_same_listing_are_seen(tmp_path: Path, write: Write) -> None:
    source, out = write(tmp_path / "a", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    later(write, source)
    with pytest.raises(ManifestMismatch, match="0 records new, 1 changed, 0 gone"):
        onto(source, out, FakeStage())
    stage = FakeStage()
    _, changes = onto(source, out, stage, update=True)
    assert (changes.changed, stage.computed) == (1, ["text 0z"])
    assert read(out).column("text") == LATER


@KINDS
def test_another_time_alone_costs_a_look(tmp_path: Path, write: Write) -> None:
    source, out = write(tmp_path / "a", FIRST), tmp_path / "out"
    before, _ = onto(source, out, FakeStage())
    os.utime(source / "07.md" if source.is_dir() else source, ns=(1, 1))
    stage = FakeStage()
    after, changes = onto(source, out, stage)
    assert (stage.computed, changes.any) == ([], False)
    assert after == before


@KINDS
def test_what_a_stopped_run_had_done_is_done_again_where_it_was_of_something_else(tmp_path: Path, write: Write) -> None:
    source, out = write(tmp_path / "a", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    stopped(out, 2)
    later(write, source)
    stage = FakeStage()
    onto(source, out, stage)
    assert sorted(stage.computed) == sorted([*LATER[5:10], *LATER[10:]])  # the second of three parts was of other texts
    assert read(out).column("text") == LATER


def test_an_image_that_was_edited_while_a_run_was_stopped_is_read_again(tmp_path: Path) -> None:
    from PIL import Image
    from tests.folders import pictures

    import classtoken as ct

    photos = tmp_path / "photos"
    photos.mkdir()
    for name, picture in zip("abcd", pictures(4, (32, 32)), strict=True):
        picture.save(photos / f"{name}.bmp")
    ct.embed("builtin:toy", photos, tmp_path / "out", part_rows=2)
    stopped(tmp_path / "out", 1)
    Image.new("RGB", (32, 32), "red").save(photos / "a.bmp")
    os.utime(photos / "a.bmp", ns=(1, 1))
    assert ct.embed("builtin:toy", photos, tmp_path / "out", part_rows=2).before == 0
    ct.embed("builtin:toy", photos, tmp_path / "fresh", part_rows=2)
    assert ct.read(tmp_path / "out").table.equals(ct.read(tmp_path / "fresh").table)


@pytest.mark.parametrize("write", [parquet, archive])
def test_a_copy_is_known_by_what_it_holds(tmp_path: Path, write: Write) -> None:
    """What comes through a pipe or out of a store is a new file each time."""
    fsspec = pytest.importorskip("fsspec")
    source = write(tmp_path / "a", FIRST)
    url = f"memory://touched/{source.name}"
    fsspec.filesystem("memory").pipe_file(url.removeprefix("memory:/"), source.read_bytes())
    onto(url, tmp_path / "out", FakeStage())
    again = FakeStage()
    assert not onto(url, tmp_path / "out", again)[1].any
    later(write, source)
    fsspec.filesystem("memory").pipe_file(url.removeprefix("memory:/"), source.read_bytes())
    with pytest.raises(ManifestMismatch, match="0 records new, 1 changed, 0 gone"):
        onto(url, tmp_path / "out", FakeStage())


def stopped(out: Path, task: int) -> None:
    """Leave a folder as a run that was killed before this task."""
    from dataclasses import replace

    from classtoken.places import place_of
    from classtoken.sink.manifest import read_manifest, write_manifest

    place = place_of(out)
    write_manifest(place, replace(read_manifest(place), complete=False, parts=(), rows=0))
    place.delete(receipt_of(task))
