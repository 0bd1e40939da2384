"""`atlas` as a user calls it: the page, what is said of it, and folders with nothing to show."""

import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from tests.nearest.made import folder_of
from tools.palette import least_distances

import classtoken as ct
from classtoken.cli import main
from classtoken.errors import OutputError
from classtoken.results.atlas import AtlasResult


def test_a_page_holds_every_row_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = np.random.default_rng(0)
    rows = np.repeat(np.eye(8)[:2], 20, 0) + 0.1 * numbers.standard_normal((40, 8))
    rows[5] = np.nan
    texts = [f"<b>text</b> </script> {i}" for i in range(40)]
    made = folder_of(tmp_path / "made", rows.astype(np.float32), carried={"text": texts}, labels=["x", "y"] * 20)
    found = ct.atlas(made, tmp_path / "atlas.html")
    assert (found.rows, found.shown) == (40, 39)
    assert AtlasResult.from_json(found.to_json()) == found
    page = (tmp_path / "atlas.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert sorted(data["id"]) == sorted(f"row{i}" for i in range(40) if i != 5)
    assert data["label"]["names"] == ["x", "y"]
    assert all(0 <= value <= 10_000 for value in [*data["x"], *data["y"]])
    assert page.count("</script>") == 2
    assert "1 row without a place" in found.notes[0]
    assert main(["atlas", str(made), "--out", str(tmp_path / "few.html"), "--most", "10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shown"] == 10
    assert main(["atlas", str(made), "--out", str(tmp_path / "atlas.txt")]) == 2


def test_nothing_to_show(tmp_path: Path) -> None:
    made = folder_of(tmp_path / "made", np.zeros((3, 4), np.float32))
    with pytest.raises(OutputError, match="nothing to show"):
        ct.atlas(made, tmp_path / "atlas.html")
    one = folder_of(tmp_path / "one", np.ones((1, 4), np.float32))
    assert ct.atlas(one, tmp_path / "one.html").trustworthiness is None


def test_the_first_twelve_colours_are_apart_for_every_eye() -> None:
    code = (files("classtoken.page") / "static" / "atlas.js").read_text(encoding="utf-8")
    colours = re.findall(r'"(#[0-9A-F]{6})"', code.partition("const COLOURS")[2].partition("];")[0])
    assert len(set(colours)) == 20
    assert min(least_distances(colours[:12]).values()) > 0.085  # those of before: 0.014
    assert min(least_distances(colours).values()) > 0.06
