"""A source that grows: what is new is computed, and the folder is that of a fresh run, row for row."""

import os
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.run.fake import FakeStage, fake_vector, onto
from tests.run.killed import kill, started

from classtoken.errors import ManifestMismatch
from classtoken.run.known import STATE
from classtoken.sink import read, read_quarantine, verify
from classtoken.values import Record, Rejected

Rows = dict[str, str]
FIRST: Rows = {f"id-{i:02d}": "bad" if i == 13 else f"text {i}" + " and more" * (i % 3) for i in range(23)}


def table(path: Path, rows: Rows) -> Path:
    path.write_text("id,text,note\n" + "".join(f"{name},{text},n\n" for name, text in rows.items()), encoding="utf-8")
    return path


def alike(one: Path, other: Path) -> None:
    """The same rows in the same order, in the same files, and nothing besides."""
    found, fresh = read(one), read(other)
    assert found.table.equals(fresh.table)
    assert found.manifest == fresh.manifest
    assert read_quarantine(one) == read_quarantine(other)
    assert verify(one).ok, verify(one).problems
    names = [{path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} for folder in (one, other)]
    assert names[0] == names[1]


def changed(rows: Rows, **changes: str | None) -> Rows:
    """Rows with some replaced, some taken away (None) and the others added, in the order of their ids."""
    named = {name.replace("_", "-"): text for name, text in changes.items()}
    return {name: text for name, text in sorted({**rows, **named}.items()) if text is not None}


@pytest.mark.parametrize(
    ("later", "counts", "computed"),
    [
        (changed(FIRST, id_23="one more"), (1, 0, 0), ["bad", "one more"]),
        (changed(FIRST, id_05="another"), (0, 1, 0), ["bad", "another"]),
        (changed(FIRST, id_05=None, id_22=None), (0, 0, 2), ["bad"]),
        (
            changed(FIRST, id_00a="between", id_07=None, id_08="other"),
            (1, 1, 1),
            ["bad", "between", "other"],
        ),
        (changed(FIRST, id_03=None, renamed=FIRST["id-03"]), (1, 0, 1), ["bad"]),
        (changed(FIRST, id_13="good"), (0, 1, 0), ["good"]),  # which had no vector
        (dict(reversed(FIRST.items())), (0, 0, 0), ["bad"]),
        (dict.fromkeys(FIRST, "all one"), (0, 23, 0), ["all one"] * 23),
    ],
    ids=["appended", "changed", "gone", "inserted", "renamed", "mended", "reversed", "all"],
)
def test_an_update_is_a_fresh_run(
    tmp_path: Path, later: Rows, counts: tuple[int, int, int], computed: list[str]
) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    table(source, later)
    stage = FakeStage()
    _, changes = onto(source, out, stage, update=True)
    assert (changes.new, changes.changed, changes.gone) == counts
    assert sorted(stage.computed) == sorted(text for text in computed if text != "bad")
    onto(source, tmp_path / "fresh", FakeStage())
    alike(out, tmp_path / "fresh")
    again = FakeStage()
    _, changes = onto(source, out, again, update=True)
    assert not changes.any
    assert again.computed == []


class Watched(FakeStage):
    """A stage that keeps the ids of the records that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: set[str] = set()

    def split(self, record: Record) -> Sequence[Record | Rejected]:
        self.shown.add(record.id)
        return super().split(record)


GOOD: Rows = {f"id-{i:02d}": f"text {i}" for i in range(16)}


@pytest.mark.parametrize(
    ("header", "later", "read_again"),
    [
        ("id,text,note", {**GOOD, "id-16": "more"}, {"id-15", "id-16"}),
        ("id,text,note", {**GOOD, "id-05": "other"}, {f"id-{i:02d}" for i in range(5, 10)}),
        ("id,text,note", {"id-99": "first", **GOOD}, {"id-99", *GOOD}),
        ("id,note,text", GOOD, set(GOOD)),
    ],
    ids=["appended", "changed", "shifted", "columns swapped"],
)
def test_tasks_whose_lines_are_the_same_are_not_read(
    tmp_path: Path, header: str, later: Rows, read_again: set[str]
) -> None:
    """An update of 1 % costs 1 %; and what says how lines are read counts as much as the lines."""
    source, out = table(tmp_path / "a.csv", GOOD), tmp_path / "out"
    onto(source, out, FakeStage())
    rest = table(source, later).read_text().partition("\n")[2]
    source.write_text(f"{header}\n{rest}")
    stage = Watched()
    onto(source, out, stage, update=True)
    assert stage.shown == read_again
    onto(source, tmp_path / "fresh", FakeStage())
    alike(out, tmp_path / "fresh")


def test_the_same_lines_further_down_are_other_records_where_ids_are_numbers(tmp_path: Path) -> None:
    source, out = tmp_path / "a.txt", tmp_path / "out"
    lines = [f"text {number}\n" for number in range(16)]
    source.write_text("".join(lines))
    onto(source, out, FakeStage())
    source.write_text("".join(["new\n"] * 4 + lines))
    stage = FakeStage()
    onto(source, out, stage, update=True)
    assert sorted(set(stage.computed)) == ["new"]
    onto(source, tmp_path / "fresh", FakeStage())
    alike(out, tmp_path / "fresh")


def test_without_update_the_counts_are_said(tmp_path: Path) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    table(source, changed(FIRST, id_03=None, id_23="x", id_24="y", id_00="z"))
    with pytest.raises(ManifestMismatch, match=r"2 records new, 1 changed, 1 gone. Set `update`"):
        onto(source, out, FakeStage())
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_label_that_changes_is_written_and_nothing_computed(tmp_path: Path) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    source.write_text(source.read_text().replace("id-04,text 4 and more,n", "id-04,text 4 and more,changed"))
    stage = FakeStage()
    _, changes = onto(source, out, stage, update=True)
    assert (changes.changed, stage.computed) == (1, [])
    assert read(out).column("note")[4] == "changed"


def test_rows_that_are_gone_can_be_kept(tmp_path: Path) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    table(source, changed(FIRST, id_03=None, id_17=None, id_23="new"))
    _, changes = onto(source, out, FakeStage(), update=True, keep=True)
    assert (changes.new, changes.gone) == (1, 2)
    found = read(out)
    assert found.ids[-3:] == ("id-23", "id-03", "id-17")
    assert found.manifest.kept == 2
    expected = [fake_vector({**FIRST, "id-23": "new"}[name]) for name in found.ids]
    np.testing.assert_array_equal(found.arrays["hash"], np.stack(expected))
    assert verify(out).ok, verify(out).problems
    _, changes = onto(source, out, FakeStage(), update=True, keep=True)
    assert not changes.any
    onto(source, out, FakeStage())  # the same work: nothing to do
    table(source, FIRST)  # they come back
    _, changes = onto(source, out, FakeStage(), update=True, keep=True)
    assert (changes.new, changes.gone, changes.computed) == (0, 1, 1)  # the refused one
    assert read(out).ids == (*(name for name, text in FIRST.items() if text != "bad"), "id-23")
    _, changes = onto(source, out, FakeStage(), update=True)  # and what was kept goes with it
    assert (changes.new, changes.gone, read(out).manifest.kept, read(out).ids[-1]) == (0, 1, 0, "id-22")


def test_rows_that_were_kept_and_came_back_can_go_again(tmp_path: Path) -> None:
    source, out = table(tmp_path / "a.csv", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    half = dict(list(FIRST.items())[:5])  # the others are whole parts
    for rows, keep, gone in ((half, True, 17), (FIRST, True, 0), (half, False, 17)):
        table(source, rows)
        _, changes = onto(source, out, FakeStage(), update=True, keep=keep)
        assert changes.gone == gone
    assert read(out).ids == tuple(half)
    assert verify(out).ok, verify(out).problems


def test_a_refused_record_that_was_mended_is_told(tmp_path: Path) -> None:
    source, out = table(tmp_path / "a.csv", {**FIRST, "id-30": ""}), tmp_path / "out"
    onto(source, out, FakeStage())
    table(source, {**changed(FIRST, id_13="good"), "id-30": "no longer empty"})
    with pytest.raises(ManifestMismatch, match="0 records new, 2 changed, 0 gone"):
        onto(source, out, FakeStage())


def test_an_image_that_was_mended_is_seen_where_its_size_is_the_same(tmp_path: Path) -> None:
    from tests.folders import pictures

    import classtoken as ct

    photos = tmp_path / "photos"
    photos.mkdir()
    for name, picture in zip("abc", pictures(3, (32, 32)), strict=True):
        picture.save(photos / f"{name}.bmp")
    good = (photos / "b.bmp").read_bytes()
    (photos / "b.bmp").write_bytes(bytes(len(good)))
    assert ct.embed("builtin:toy", photos, tmp_path / "out").refused == 1
    os.utime(photos / "b.bmp", ns=(0, 0))
    assert ct.embed("builtin:toy", photos, tmp_path / "out").refused == 1  # nothing but its time is another
    (photos / "b.bmp").write_bytes(good)
    with pytest.raises(ManifestMismatch, match="0 records new, 1 changed, 0 gone"):
        ct.embed("builtin:toy", photos, tmp_path / "out")
    result = ct.embed("builtin:toy", photos, tmp_path / "out", update=True)
    assert (result.changed, result.computed, result.refused, result.rows) == (1, 1, 0, 3)


@pytest.mark.parametrize("ids", ["numbers", "given"])
@pytest.mark.parametrize("carry", [None, "none"])
def test_a_row_that_names_another_file_of_the_same_size_and_time(tmp_path: Path, ids: str, carry: str | None) -> None:
    from tests.folders import pictures

    import classtoken as ct

    for name, picture in zip("abc", pictures(3, (32, 32)), strict=True):
        picture.save(tmp_path / f"{name}.bmp")
        os.utime(tmp_path / f"{name}.bmp", ns=(0, 0))  # as archives have it whose times mean nothing
    source = tmp_path / "a.csv"

    def write(*names: str) -> None:
        rows = "".join(f"{number},{name}.bmp\n" for number, name in enumerate(names))
        source.write_text(f"{'id' if ids == 'given' else 'number'},image\n{rows}")

    write("a", "b")
    ct.embed("builtin:toy", source, tmp_path / "out", carry=carry)
    write("c", "a", "b")
    result = ct.embed("builtin:toy", source, tmp_path / "out", carry=carry, update=True)
    assert (result.new, result.changed, result.computed) == (1, 2, 1)
    ct.embed("builtin:toy", source, tmp_path / "fresh", carry=carry)
    fresh = ct.read(tmp_path / "fresh").arrays
    for name, block in ct.read(tmp_path / "out").arrays.items():
        np.testing.assert_allclose(block, fresh[name], atol=2e-6)


def test_another_folder_with_files_of_the_same_names_sizes_and_times(tmp_path: Path) -> None:
    from tests.folders import pictures

    import classtoken as ct

    for folder, picture in zip(("one", "two"), pictures(2, (32, 32)), strict=True):
        (tmp_path / folder).mkdir()
        picture.save(tmp_path / folder / "a.bmp")
        os.utime(tmp_path / folder / "a.bmp", ns=(0, 0))
    ct.embed("builtin:toy", tmp_path / "one", tmp_path / "out")
    result = ct.embed("builtin:toy", tmp_path / "two", tmp_path / "out", update=True)
    assert (result.changed, result.computed) == (1, 1)


def test_a_run_that_was_stopped_goes_on_with_the_grown_source(tmp_path: Path) -> None:
    class Stopping(FakeStage):
        def vectors(self, batch):  # type: ignore[no-untyped-def]
            if "text 12" in " ".join(batch.tokens):
                raise KeyboardInterrupt
            return super().vectors(batch)

    source, out = table(tmp_path / "a.csv", FIRST), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        onto(source, out, Stopping())
    table(source, changed(FIRST, id_23="new"))
    stage = FakeStage()
    onto(source, out, stage, update=True)
    assert "text 0" not in stage.computed
    onto(source, tmp_path / "fresh", FakeStage())
    alike(out, tmp_path / "fresh")


def test_what_an_update_had_computed_when_the_source_changed_again_is_not_lost(tmp_path: Path) -> None:
    class Stopping(FakeStage):
        def vectors(self, batch):  # type: ignore[no-untyped-def]
            if "late" in batch.tokens:
                raise KeyboardInterrupt
            return super().vectors(batch)

    source, out = table(tmp_path / "a.csv", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    table(source, changed(FIRST, id_00a="early", id_22a="late"))
    with pytest.raises(KeyboardInterrupt):
        onto(source, out, Stopping(), update=True)
    assert read(out).ids == tuple(name for name, text in FIRST.items() if text != "bad")  # the old state, whole
    table(source, changed(FIRST, id_00a="early", id_22a="late", id_22b="later"))
    stage = FakeStage()
    onto(source, out, stage, update=True)
    assert sorted(stage.computed) == ["late", "later"]
    onto(source, tmp_path / "fresh", FakeStage())
    alike(out, tmp_path / "fresh")
    assert not (out / STATE).exists()


def test_images_are_known_by_their_bytes(tmp_path: Path) -> None:
    from tests.folders import pictures

    import classtoken as ct

    photos = tmp_path / "photos"
    photos.mkdir()
    for name, picture in zip("abcdef", pictures(6, (32, 32)), strict=True):
        picture.save(photos / f"{name}.png")
    ct.embed("builtin:toy", photos, tmp_path / "out", part_rows=2)
    (photos / "a.png").rename(photos / "z.png")
    shutil.copy(photos / "b.png", photos / "c.png")
    os.utime(photos / "d.png")
    with pytest.raises(ManifestMismatch, match="1 record new, 1 changed, 1 gone"):
        ct.embed("builtin:toy", photos, tmp_path / "out", part_rows=2)
    result = ct.embed("builtin:toy", photos, tmp_path / "out", part_rows=2, update=True)
    assert (result.new, result.changed, result.gone, result.computed) == (1, 1, 1, 0)
    ct.embed("builtin:toy", photos, tmp_path / "fresh", part_rows=2)
    found, fresh = ct.read(tmp_path / "out"), ct.read(tmp_path / "fresh")
    assert found.ids == fresh.ids
    assert found.column("path") == fresh.column("path")
    for name in fresh.arrays:
        np.testing.assert_allclose(found.arrays[name], fresh.arrays[name], atol=2e-6)


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_an_image_that_was_edited_in_place_is_seen_without_update(tmp_path: Path, kind: str) -> None:
    from PIL import Image
    from tests.folders import pictures

    import classtoken as ct

    photos, source = tmp_path / "photos", tmp_path / "photos"
    photos.mkdir()
    for name, picture in zip("abcd", pictures(4, (32, 32)), strict=True):
        picture.save(photos / f"{name}.bmp")  # files of one size, whatever they show
    if kind == "table":
        source = tmp_path / "a.csv"
        source.write_text("id,image\n" + "".join(f"{name},photos/{name}.bmp\n" for name in "abcd"))
    ct.embed("builtin:toy", source, tmp_path / "out")
    Image.new("RGB", (32, 32), "red").save(photos / "c.bmp")
    os.utime(photos / "a.bmp", ns=(0, 0))
    with pytest.raises(ManifestMismatch, match="0 records new, 1 changed, 0 gone"):
        ct.embed("builtin:toy", source, tmp_path / "out")
    result = ct.embed("builtin:toy", source, tmp_path / "out", update=True)
    assert (result.changed, result.computed) == (1, 1)
    os.utime(photos / "b.bmp", ns=(0, 0))
    assert ct.embed("builtin:toy", source, tmp_path / "out").before == 4  # another time, the same bytes


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 27))])
def test_a_killed_update_ends_like_an_undisturbed_one(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source, out = table(tmp_path / "a.csv", FIRST), tmp_path / "out"
    onto(source, out, FakeStage())
    later = {name: text for name, text in FIRST.items() if chance.random() > 0.1}
    later |= {f"id-{chance.randrange(30):02d}x": f"new {i}" for i in range(12)}
    table(source, dict(sorted(later.items())))
    killed = 0
    for _ in range(2):
        process = started(onto, source, out, FakeStage(0.02), update=True)
        begun = time.monotonic()
        wait = chance.random() * 0.25
        while process.is_alive() and not (out / STATE).exists() and time.monotonic() < begun + 60:
            time.sleep(0.001)
        time.sleep(wait)
        killed += kill(process)
    assert killed
    onto(source, out, FakeStage(), update=True)
    onto(source, tmp_path / "fresh", FakeStage())
    alike(out, tmp_path / "fresh")
