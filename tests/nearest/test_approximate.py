"""The index keeps the recall that was asked for, and is a cache: gone, damaged or old, exact search answers."""

import json
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.nearest import made as made_up
from tests.nearest.test_scan import clustered

import classtoken as ct
from classtoken.errors import OptionError, OutputError
from classtoken.files import alone
from classtoken.nearest import approximate
from classtoken.nearest.approximate import Settings
from classtoken.nearest.rows import FileRows
from classtoken.nearest.scan import search
from classtoken.sink import read

pytest.importorskip("lancedb", reason="the extra lance is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    numbers = np.random.default_rng(0)
    centres = numbers.standard_normal((40, 32))
    rows = (centres[numbers.integers(40, size=6000)] + 0.4 * numbers.standard_normal((6000, 32))).astype(np.float32)
    rows[77] = 0
    return made_up.folder_of(tmp_path_factory.mktemp("made") / "made", rows, part_rows=1500)


@pytest.mark.slow
def test_the_recall_holds_on_fresh_queries_and_the_index_is_a_cache(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.glob("part-*")}
    found = ct.index(folder, recall=0.95)
    assert found.recall >= found.low >= 0.95
    assert found.high >= found.recall
    vectors = read(folder)
    index = approximate.open_index(vectors, "cls")
    assert index is not None
    held = FileRows(vectors, "cls").take(torch.arange(5000, 5100)) + 0.05 * torch.randn(100, 32)
    exact, there = search(FileRows(vectors, "cls"), held, 10), index.search(held, 10)
    shares = [len(np.intersect1d(a, b)) / 10 for a, b in zip(exact.places, there.places, strict=True)]
    assert np.mean(shares) >= 0.93
    same = exact.places == there.places
    torch.testing.assert_close(exact.scores[same], there.scores[same], atol=1e-4, rtol=1e-4)
    by_index = ct.search(folder, id="row9")
    assert (by_index.exact, by_index.recall) == (False, found.recall)
    assert ct.search(folder, id="row9", exact=True).exact
    assert ct.search(folder, id="row9", similarity="dot").exact
    assert {path.name: path.read_bytes() for path in folder.glob("part-*")} == before
    for path in (folder / "_meta" / "index").rglob("*.lance"):
        if path.is_file():
            path.write_bytes(b"damaged")
    assert ct.search(folder, id="row9").exact
    (folder / "_meta" / "index" / "about.json").write_text("{}")
    assert ct.search(folder, id="row9").exact


def test_an_index_of_other_vectors_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "SMALL", 300)
    monkeypatch.setattr(approximate, "QUERIES", 60)
    first = made_up.folder_of(tmp_path / "first", clustered(600), part_rows=300)
    ct.index(first, recall=0.5)
    second = made_up.folder_of(tmp_path / "second", clustered(600, seed=3), part_rows=300)
    (first / "_meta" / "index").rename(second / "_meta" / "index")
    assert approximate.open_index(read(second), "cls") is None


@pytest.mark.parametrize("column", ["cls", "another"])
def test_an_index_stays_where_another_recall_is_not_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setattr(approximate, "SMALL", 300)
    monkeypatch.setattr(approximate, "QUERIES", 60)
    folder = made_up.folder_of(tmp_path / "made", clustered(600), part_rows=300)
    found = ct.index(folder, recall=0.5)
    about = folder / "_meta" / "index" / "about.json"
    if column == "another":  # so that it has to be made anew
        about.write_text(json.dumps({**json.loads(about.read_text()), "column": column}))
    before = about.read_text()
    monkeypatch.setattr(approximate, "_recalls", lambda *a: np.zeros(60))
    with pytest.raises(OptionError, match="no settings reach"):
        ct.index(folder, recall=0.9)
    assert about.read_text() == before
    assert sorted(path.name for path in about.parent.parent.glob("index*")) == ["index"]
    if column == "cls":
        assert ct.search(folder, id="row9").recall == found.recall


@pytest.mark.slow
def test_an_index_grows_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has gone is no longer found, what is new is, and what stayed is neither read nor written again."""
    monkeypatch.setattr(approximate, "SMALL", 300)
    monkeypatch.setattr(approximate, "QUERIES", 60)
    rows = clustered(900)
    before = made_up.folder_of(tmp_path / "before", rows[:750], part_rows=150)
    found = ct.index(before, recall=0.9)
    now = np.concatenate([rows[:150], rows[300:]])  # its second part has gone, the others moved up, a sixth came
    after = made_up.folder_of(
        tmp_path / "after", now, part_rows=150, ids=[f"row{n}" for n in (*range(150), *range(300, 900))]
    )
    (before / "_meta" / "index").rename(after / "_meta" / "index")
    assert approximate.open_index(read(after), "cls") is None
    assert ct.search(after, id="row310").exact
    added = []
    rows_of = approximate._rows_of
    monkeypatch.setattr(approximate, "_rows_of", lambda *a: added.extend(a[2]) or rows_of(*a))
    grown = ct.index(after, recall=0.9)
    assert added == [4]
    assert grown.low >= 0.9 <= found.low
    index = approximate.open_index(read(after), "cls")
    assert index is not None
    everything = index.table.nearest(
        torch.nn.functional.normalize(torch.from_numpy(now), dim=1), 1, Settings(1000, 900)
    )
    assert everything.places[:, 0].tolist() == list(range(len(now)))
    assert not ct.search(after, id="row310").exact


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["gone", "no table", "another column", "few rows stay"])
def test_an_index_that_cannot_grow_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr(approximate, "SMALL", 300)
    monkeypatch.setattr(approximate, "QUERIES", 60)
    rows = clustered(600)
    first = made_up.folder_of(tmp_path / "first", rows, part_rows=150)
    ct.index(first, recall=0.5)
    changed = np.concatenate([rows[:450] if damage != "few rows stay" else rows[:150] * 2, clustered(150, seed=5)])
    second = made_up.folder_of(tmp_path / "second", changed, part_rows=150)
    (first / "_meta" / "index").rename(second / "_meta" / "index")
    place = second / "_meta" / "index"
    if damage == "gone":
        shutil.rmtree(place)
    elif damage == "no table":
        shutil.rmtree(place / "rows.lance")
    elif damage == "another column":
        about = json.loads((place / "about.json").read_text())
        (place / "about.json").write_text(json.dumps({**about, "column": "mean"}))
    made = []
    make = approximate._made
    monkeypatch.setattr(approximate, "_made", lambda *a: made.append(a) or make(*a))
    ct.index(second, recall=0.5)
    assert len(made) == 1
    assert approximate.open_index(read(second), "cls") is not None


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(approximate, "SMALL", 300)
    monkeypatch.setattr(approximate, "QUERIES", 60)
    folder = made_up.folder_of(tmp_path / "made", clustered(600), part_rows=150)
    ct.index(folder, recall=0.5)
    return folder


def test_more_rows_than_its_recall_is_of_are_found_exactly(indexed: Path) -> None:
    """The partitions that hold the ten best hold far fewer of the hundreds best, whatever the recall of the ten is."""
    assert not ct.search(indexed, id="row9", k=10).exact
    many = ct.search(indexed, id="row9", k=500)
    assert (many.exact, many.recall, len(many.hits)) == (True, None, 500)


def test_a_damaged_index_is_made_anew(indexed: Path) -> None:
    for path in (indexed / "_meta/index").rglob("data/*.lance"):
        path.write_bytes(path.read_bytes()[:500])
    assert ct.search(indexed, id="row9").exact
    ct.index(indexed, recall=0.5)
    assert not ct.search(indexed, id="row9").exact


def test_an_earlier_state_of_its_table_does_not_answer(indexed: Path, tmp_path: Path) -> None:
    rows = np.concatenate([clustered(600), clustered(150, seed=4)])
    after = made_up.folder_of(tmp_path / "after", rows, part_rows=150)
    shutil.copytree(indexed / "_meta/index", after / "_meta/index")
    shutil.copytree(indexed / "_meta/index/rows.lance", tmp_path / "earlier")
    ct.index(after, recall=0.5)
    assert not ct.search(after, id="row700").exact
    assert len(list((after / "_meta/index/rows.lance/_versions").glob("*.manifest"))) <= 2  # not one more each time
    shutil.rmtree(after / "_meta/index/rows.lance")
    (tmp_path / "earlier").rename(after / "_meta/index/rows.lance")
    assert ct.search(after, id="row700").exact


def test_two_processes_do_not_make_one_index(indexed: Path) -> None:
    with alone(indexed / "_meta" / approximate.HELD), pytest.raises(OutputError, match="another process is making"):
        ct.index(indexed, recall=0.5)
    ct.index(indexed, recall=0.5)


def test_a_disk_without_room_for_an_index_is_one_line(indexed: Path) -> None:
    shutil.rmtree(indexed / "_meta/index")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            ct.index(indexed, recall=0.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((indexed / "_meta").glob("*index*"))


def test_few_vectors_need_no_index(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="below 5000 an index is no quicker"):
        ct.index(made_up.folder_of(tmp_path / "made", clustered(30)))
