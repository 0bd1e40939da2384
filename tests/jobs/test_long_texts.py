"""A text that is longer than its model takes is never cut in silence: every verb that reads texts says so."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.folders import tiny_bert

import classtoken as ct

LONG = "the cat sits " * 40
SAID = r"longer than the 32 tokens that the model takes"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("long")
    tiny_bert(root / "bert", head=True)
    words = ("a dog runs", "the red cat", "green", "blue")
    rows = [f"{n},{words[n % 4]} {words[n % 3]},LABEL_{n % 2}" for n in range(11)]
    (root / "some.csv").write_text("\n".join(["id,text,label", *rows, f"11,{LONG},LABEL_1", ""]))
    (root / "short.csv").write_text("\n".join(["id,text,label", *rows, ""]))
    ct.embed(root / "bert", root / "short.csv", root / "vectors", pooling="cls")
    return root


def asked(place: Path, out: Path, source: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every verb that reads texts, on this source, or on a text of it."""
    model, item, texts = place / "bert", LONG if source == "some.csv" else "the cat", place / source
    yield "embed", lambda: ct.embed(model, texts, out / "vectors", pooling="cls")
    yield "predict", lambda: ct.predict(model, texts, out / "labelled")
    yield "predict one", lambda: ct.predict(model, item)
    yield "train", lambda: ct.train(model, texts, out / "head")
    yield "train further", lambda: ct.train(model, texts, out / "tuned", unfreeze="last-1", epochs=1, held_out=0.3)
    yield "search", lambda: ct.search(place / "vectors", item, model=model)
    yield "compare", lambda: ct.compare(model, texts, pooling="cls", folds=2, draws=2)
    yield "explain", lambda: ct.explain(model, item, quick=True, methods=["attention"])
    yield "explain two", lambda: ct.explain_pair(model, ["a dog", item])
    data = {"quick": True, "methods": ["attention"], "faithful": 0}
    yield "explain many", lambda: ct.explain_data(model, texts, **data)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("source", ["some.csv", "short.csv"])
def test_what_was_not_read_is_said(source: str, place: Path, tmp_path: Path) -> None:
    for verb, call in asked(place, tmp_path, source):
        said = str(call())
        assert (SAID in said) == (source == "some.csv"), f"{verb}: {said}"


def test_how_much_of_one_text_was_not_read_is_a_lower_bound(place: Path) -> None:
    """No more than a beginning is tokenized, so that what is left out is not counted to its end."""
    said = " ".join(ct.explain(place / "bert", "the cat sits " * 4000, quick=True, methods=["attention"]).notes)
    counted = re.search(r"at least (\d+) tokens of it were not read", said)
    assert counted is not None, said
    assert 0 < int(counted[1]) <= 12000 + 2 - 32
