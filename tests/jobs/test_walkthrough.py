"""The verb: a page on disk, a page for a notebook, and one sentence for what cannot be done."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import classtoken as ct
from classtoken.cli import main
from classtoken.errors import OptionError


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.html"
    assert main(["walkthrough", "--model", "builtin:toy", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert sorted(said) == ["format", "format_version", "inputs", "layout", "model", "out", "seconds", "size"]
    assert sorted(said["inputs"][0]) == ["answer", "id", "note", "title", "tokens", "value"]
    assert said["size"] == out.stat().st_size < 1_000_000
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    for wrong in (
        ["walkthrough", "--model", "builtin:toy"],
        ["walkthrough", "--model", "builtin:toy", "--out", str(out), "--serve"],
        ["walkthrough", "--model", "builtin:toy", "--out", str(tmp_path / "page.png")],
        ["walkthrough", "--model", "builtin:toy", "--serve", "--host", "0.0.0.0"],
        ["walkthrough", "no-such-picture.jpg", "--model", "builtin:toy", "--out", str(out)],
    ):
        assert main(wrong) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_notebook_draws_the_page(tmp_path: Path) -> None:
    """Without a file, or as the result of writing one: the same page in a frame."""
    assert ct.notebook("builtin:toy")._repr_html_().startswith("<iframe")
    written = ct.walkthrough("builtin:toy", out=tmp_path / "page.html")._repr_html_()
    frame = (
        '<iframe title="classtoken walkthrough" sandbox="allow-scripts allow-modals" allow="clipboard-write" srcdoc="'
    )
    assert written.startswith(frame)
    assert "<script" not in written  # all of the page is escaped


def test_statistics_over_what_a_program_holds(tmp_path: Path) -> None:
    texts = ["a warm film", "a dull film", "the jokes fall flat", "wonderful and clever"] * 3
    out = tmp_path / "page.html"
    ct.walkthrough("builtin:sentiment", ["a warm film"], out, data=texts, limit=12)
    assert out.stat().st_size > 10_000


def test_one_input_is_one_and_a_picture_in_memory_is_told_what_to_do(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    text = "a warm film"
    assert [item.title for item in ct.walkthrough("builtin:sentiment", text, out).inputs] == [text]
    picture = Image.new("RGB", (30, 30))
    for given in (picture, [picture], np.asarray(picture), np.asarray(picture)[None], [str(out), 3]):
        with pytest.raises(OptionError, match=r"path of an image or a text, .* of type .*; save a picture"):
            ct.walkthrough("builtin:toy", given, out)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="path of an image or a text"):
            ct.notebook("builtin:toy", given)  # type: ignore[arg-type]
