"""`duplicates` and `outliers` as a user calls them: results, files, pages, refusals."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests import folders
from tests.nearest.made import folder_of

import classtoken as ct
from classtoken.cli import main
from classtoken.errors import ClasstokenError, OptionError
from classtoken.results.duplicates import DuplicatePair, DuplicatesResult, RemovedRow
from classtoken.results.outliers import OutliersResult


@pytest.fixture
def made(tmp_path: Path) -> Path:
    rows = np.eye(6, dtype=np.float32)[[0, 1, 2, 0, 1, 5, 0]]
    rows[4, 2] = 0.2
    texts = ["zero", "one", "two", "zero", "one!", "<b>five</b>", "naught"]
    return folder_of(tmp_path / "made", rows, carried={"text": texts}, labels=list("abcabca"))


def test_pairs_kept_and_removed(made: Path) -> None:
    found = ct.duplicates(made)
    assert [(p.id, p.other, round(p.score, 3), p.equal) for p in found.pairs] == [
        ("row0", "row3", 1.0, True),
        ("row0", "row6", 1.0, False),
        ("row1", "row4", 0.981, False),
    ]
    assert set(found.removed) == {"row3", "row6", "row4"}
    assert set(found.kept) | set(found.removed) == {f"row{i}" for i in range(7)}
    assert {row: why.kept for row, why in found.because.items()} == {"row3": "row0", "row6": "row0", "row4": "row1"}
    assert DuplicatesResult.from_json(found.to_json()) == found
    assert ct.duplicates(made, above=0.99).removed == ("row3", "row6")
    assert ct.duplicates(made, above=0.99).reused
    assert ct.duplicates(made, above=1.0, keep="longest").removed == ("row0", "row3")
    assert "nothing was deleted" in str(found)
    assert len(ct.read(made)) == 7


def test_files_that_are_written(made: Path, tmp_path: Path) -> None:
    for name in ("pairs.parquet", "page.html", "all.json"):
        assert main(["duplicates", str(made), "--out", str(tmp_path / name)]) == 0
        assert main(["duplicates", str(made), "--out", str(tmp_path / name)]) == 0  # the same work again
        assert main(["duplicates", str(made), "--above", "0.5", "--out", str(tmp_path / name)]) == 2
    rows = pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    assert [(row["id"], row["other"], row["other_removed"]) for row in rows] == [
        ("row0", "row3", True),
        ("row0", "row6", True),
        ("row1", "row4", True),
    ]
    page = (tmp_path / "page.html").read_text()
    assert page.count("would go") == 3 + 1  # one in the lead
    assert "naught" in page
    said = json.loads((tmp_path / "all.json").read_text())
    assert [set(pair) for pair in said["pairs"]] == [{"id", "other", "score", "equal", "label", "other_label"}] * 3
    (tmp_path / "mine.parquet").write_bytes(b"mine")
    assert main(["duplicates", str(made), "--out", str(tmp_path / "mine.parquet"), "--overwrite"]) == 2
    assert (tmp_path / "mine.parquet").read_bytes() == b"mine"


def test_pictures_that_are_copies_and_the_larger_one_stays(tmp_path: Path) -> None:
    vit = folders.tiny_vit(tmp_path / "vit", pooler=False)
    (tmp_path / "photos").mkdir()
    first, second = folders.pictures(2, (64, 64))
    first.save(tmp_path / "photos" / "a.png")
    first.save(tmp_path / "photos" / "b.png")
    first.resize((256, 256)).save(tmp_path / "photos" / "c.png")
    second.save(tmp_path / "photos" / "d.png")
    ct.embed(vit, tmp_path / "photos", tmp_path / "vectors")
    found = ct.duplicates(tmp_path / "vectors", tmp_path / "page.html", above=0.99, keep="largest")
    assert ("a.png", "b.png", True) in {(pair.id, pair.other, pair.equal) for pair in found.pairs}
    assert found.kept == ("c.png", "d.png")
    assert "data:image/jpeg" in (tmp_path / "page.html").read_text()


def test_between_folders(made: Path, tmp_path: Path) -> None:
    other = folder_of(tmp_path / "other", np.eye(6, dtype=np.float32)[[2, 4]], carried={"text": ["two", "four"]})
    found = ct.duplicates(made, against=str(other))
    assert [(pair.id, pair.other, pair.equal) for pair in found.pairs] == [("row2", "row0", True)]
    assert found.removed == ("row2",)
    strange = folder_of(tmp_path / "strange", np.eye(6, dtype=np.float32), space="another")
    with pytest.raises(OptionError, match="another space"):
        ct.duplicates(made, against=str(strange))


def test_outliers_of_a_folder(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    rows = np.repeat(np.eye(8)[:2], 40, 0) + 0.1 * numbers.standard_normal((80, 8))
    rows[79] = np.eye(8)[7]
    labels = ["a"] * 40 + ["b"] * 40
    labels[3] = "b"
    texts = [f"text {i}" for i in range(80)]
    made = folder_of(tmp_path / "made", rows.astype(np.float32), carried={"text": texts}, labels=labels)
    found = ct.outliers(made, tmp_path / "odd.html", k=10, most=5)
    assert found.odd[0]["id"] == "row79"
    assert len(found.odd) == 5
    wrong = found.contradicted[0]
    assert (wrong["id"], wrong["label"], wrong["suggested"], wrong["text"]) == ("row3", "b", "a", "text 3")
    assert found.found == len(found.contradicted)
    assert OutliersResult.from_json(found.to_json()) == found
    page = (tmp_path / "odd.html").read_text()
    assert "neighbours say" in page
    assert "row79" in page
    assert main(["outliers", str(made), "--json"]) == 0
    single = folder_of(tmp_path / "single", np.ones((1, 4), np.float32))
    assert ct.outliers(single).odd == ()
    assert ct.duplicates(single).kept == ("row0",)


def test_copies_vote_once_and_two_labels_of_one_text_are_one_line(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    rows = np.repeat(np.eye(8)[:2], 30, 0) + 0.1 * numbers.standard_normal((60, 8))
    labels, texts = ["a"] * 30 + ["b"] * 30, [f"text {i}" for i in range(60)]
    rows[1], texts[1], labels[1] = rows[0], texts[0], "b"  # the same with two labels
    for copy in (3, 4, 5, 6, 7):  # one wrong label, five times
        rows[copy], texts[copy], labels[copy] = rows[2], texts[2], "b"
    labels[2] = "b"
    made = folder_of(tmp_path / "made", rows.astype(np.float32), carried={"text": texts}, labels=labels)
    found = ct.outliers(made, tmp_path / "odd.html", k=5)
    (pair,) = found.disputed
    assert str(pair) == "row0 and row1 hold the same and have 2 labels: a, b"
    assert "row0 and row1 hold the same and have 2 labels: a, b  text 0" in str(found)
    assert [row["id"] for row in found.contradicted] == [
        "row2"
    ]  # by the two others of its kind, not outvoted by copies
    assert "6 rows that hold what an earlier one holds: all copies of one count once" in str(found)
    assert "The same with two labels" in (tmp_path / "odd.html").read_text()
    alike = ct.duplicates(made, tmp_path / "dup.html", above=0.99)
    first = alike.pairs[0]
    assert (first.id, first.other, first.label, first.other_label, first.disputed) == ("row0", "row1", "a", "b", True)
    lines = str(alike).splitlines()
    assert "  1 equal pair has two labels, of which one is wrong" in lines
    at = lines.index("  equal   stays  row0  a  text 0")
    assert lines[at + 1] == "          goes   row1  b  text 0"
    page = (tmp_path / "dup.html").read_text()
    assert page.index("Equal byte by byte") < page.index("Alike by 0.99 or more")
    assert "equal, with two labels" in page


def test_what_was_written_and_what_comes_next_is_said_after_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = io.StringIO()
    monkeypatch.setattr("sys.stdout", both)
    monkeypatch.setattr("sys.stderr", both)
    made = folder_of(tmp_path / "made", np.eye(4, dtype=np.float32))
    out = str(tmp_path / "odd.html")
    assert main(["outliers", str(made), "--k", "2", "--out", out]) == 0  # the long name of -k
    lines = both.getvalue().splitlines()
    assert lines[0].startswith(f"{made}: 4 rows against their 2 nearest")
    assert lines[-1] == f"wrote {out}; open it in a browser"


@pytest.mark.parametrize("above", [0, 1.5, -1, float("nan")])
def test_a_threshold_that_is_none(made: Path, above: float) -> None:
    with pytest.raises(ClasstokenError, match="`above` must be"):
        ct.duplicates(made, above=above)


def test_rows_that_go_stand_below_the_one_that_stays() -> None:
    """Of B and C, which both go for A, the pair is not shown: each stands below A, which stands there once."""
    gone = {name: RemovedRow("A", score, equal=False) for name, score in (("B", 0.97), ("C", 0.96))}
    pairs = (DuplicatePair("B", "C", 0.99), DuplicatePair("A", "B", 0.97), DuplicatePair("A", "C", 0.96))
    result = DuplicatesResult(
        folder="vectors",
        against=None,
        column="cls",
        above=0.95,
        keep="first",
        rows=4,
        pairs=pairs,
        kept=("A", "D"),
        removed=("B", "C"),
        because=gone,
        near_misses=(DuplicatePair("A", "D", 0.9),),
        nearest={},
        percentile=0.75,
        reused=False,
        seconds=0.1,
    )
    assert str(result).splitlines()[2:] == [
        "  0.9700  stays  A",
        "          goes   B",
        "  0.9600  goes   C",
        "  ... and 1 pair more",
        "  just below:",
        "  0.9000  stays  A",
        "          stays  D",
    ]
