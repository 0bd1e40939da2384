"""What there is one of: every verb says it in the singular, and has no figure about others beside it."""

import re
from pathlib import Path

import pytest
from tests.folders import tiny_bert

from classtoken.cli import main

SEVERAL = re.compile(r"(?<![\w.])1 (labelled )?(\w+[^s]s)\b(?! = )|-1\.0|nan|against their (?!0 )")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("one")
    tiny_bert(root / "bert", head=True)
    (root / "one.csv").write_text("id,text,label\n7,the cat,LABEL_0\n")
    assert main(["embed", str(root / "one.csv"), "--model", str(root / "bert"), "--out", str(root / "vectors")]) == 0
    return root


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "one.csv", "--model", "bert", "--out", "again"),
        ("embed", "one.csv", "--model", "bert", "--out", "vectors"),
        ("verify", "vectors"),
        ("search", "vectors", "a dog"),
        ("search", "vectors", "--id", "7"),
        ("duplicates", "vectors"),
        ("duplicates", "vectors", "--out", "pairs.html"),
        ("outliers", "vectors"),
        ("outliers", "vectors", "--out", "odd.html"),
        ("atlas", "vectors", "--out", "atlas.html"),
        ("index", "vectors"),
        ("predict", "one.csv", "--model", "bert", "--out", "labelled"),
        ("compare", "one.csv", "--model", "bert", "--out", "compared.html"),
        ("train", "one.csv", "--model", "bert", "--out", "trained"),
    ],
    ids=" ".join,
)
def test_one_is_one(
    words: tuple[str, ...], place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    assert main(list(words)) in (0, 2)
    said = "".join(capsys.readouterr())
    assert said
    assert [found[0] for found in SEVERAL.finditer(said)] == [], said


@pytest.mark.parametrize("verb", [["predict"], ["explain", "--quick"]], ids=lambda words: words[0])
def test_an_input_that_is_empty_or_endless_is_one_short_line(
    verb: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for item in ("", " \t", "x" * 20_000 + ".png", "a b " * 9_000 + ".jpg"):
        assert main([verb[0], item, "--model", str(place / "bert"), *verb[1:]]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert 20 < len(line) < 400
