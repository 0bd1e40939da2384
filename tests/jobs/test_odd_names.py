"""Labels, ids and texts with line breaks and signs that steer a terminal: each stands in its line, and columns hold."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.folders import tiny_bert

import classtoken as ct
from classtoken.results.lines import UNSEEN, aligned, cell, columns_of, in_a_line

CAT, DOG = "zaa\r\n\x1b[31mzbb", "犬\N{DOG FACE}\x07"


def rows(count: int, start: int = 0) -> dict[str, list[Any]]:
    numbers = range(start, start + count)
    return {
        "id": [f"zaa{n}\n\tzbb" for n in numbers],
        "text": [f"first {'the cat' if n % 2 else 'a dog'}\n{n % 7}\u2028 last" for n in numbers],
        "label": [CAT if n % 2 else DOG for n in numbers],
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odd")
    tiny_bert(root / "bert")
    pq.write_table(pa.table(rows(60)), root / "all.parquet")
    other = rows(24, 100)
    other["text"][3], other["label"][4] = "", "zaa\nstranger\nzbb"
    pq.write_table(pa.table(other), root / "other.parquet")
    return root


def say(result: Any) -> str:
    """The summary, held to what it must be."""
    said = str(result)
    assert not UNSEEN.findall(said)
    for line in said.split("\n"):
        assert len(line.splitlines()) <= 1, line
        assert line.count("zaa") == line.count("zbb"), line
    return said


@pytest.mark.slow
def test_every_summary_keeps_a_name_in_its_line(place: Path) -> None:
    root, files = place, (place / "all.parquet", place / "other.parquet")
    say(ct.train(root / "bert", files[0], root / "trained"))
    item = rows(1)["text"][0]
    assert "犬\N{DOG FACE}" in say(ct.predict(root / "trained", item))
    assert "zaa" in say(ct.predict(root / "trained", files[1], root / "labelled"))
    assert "zaa" in say(ct.explain(root / "trained", item, quick=True))
    assert "first" in say(ct.explain_pair(root / "bert", [item, item]))
    assert "zaa" in say(ct.walkthrough(root / "trained", rows(2)["text"], root / "page.html"))
    assert "zaa" in say(ct.embed(root / "bert", files[1], root / "vectors"))
    assert "zaa" in say(ct.search(root / "vectors", item, k=3))
    assert "zaa" in say(ct.duplicates(root / "vectors", above=0.5))
    assert "zaa" in say(ct.outliers(root / "vectors"))
    say(ct.atlas(root / "vectors", root / "atlas.html"))
    assert "zaa" in say(ct.compare(root / "bert", files[1]))


def test_a_table_is_aligned_by_what_a_terminal_shows() -> None:
    lines = aligned([("犬\N{DOG FACE}", "1"), ("e\N{COMBINING ACUTE ACCENT}", "2"), ("group of all:",), ("abcde", "3")])
    assert [columns_of(line[: line.index(n)]) for line, n in zip(lines[:2], "12", strict=True)] == [7, 7]
    assert lines[2:] == ["group of all:", "abcde  3"]
    assert aligned([]) == []


def test_a_name_in_a_line() -> None:
    assert in_a_line(" a\r\n b\u2028c\x1b[0m") == "a b c\N{REPLACEMENT CHARACTER}[0m"
    assert cell("x" * 99 + "\n", "text") == "x" * 63 + "…"
    assert cell("x" * 99, "path").startswith("…x")
