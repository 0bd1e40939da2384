"""What the page says of a model."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.walk.conftest import Made

from classtoken.walk.card import trained_on


@pytest.mark.parametrize(
    ("readme", "says"),
    [
        ("# name\nMade of [wood](https://x.y): `hard`\nand dry.\n\nMore.", "Made of wood: hard and dry."),
        ("---\nlicense: mit\n---\n\n# name\n\n| a | b |\n\n![x](y)\n\nA tree.", "A tree."),
        ("# only a title", "see the README in the model's folder"),
        ("word " * 100, "word " * 51 + "\u2026"),
    ],
)
def test_what_a_model_is_comes_from_its_readme(tmp_path: Path, readme: str, says: str) -> None:
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    assert trained_on(SimpleNamespace(folder=tmp_path)) == says  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "reads", "says"),
    [
        ("distilled", {"class", "distillation"}, "the distillation token"),
        ("registers", {"class", "content"}, "the mean of the patches"),
    ],
)
def test_a_readout_of_several_tokens_is_said(
    made: Callable[[str], Made], name: str, reads: set[str], says: str
) -> None:
    readout = made(name)[1].model.readout
    assert set(readout.reads) == reads
    assert not readout.reads_class_token
    assert "the class token" in readout.says
    assert says in readout.says


def test_a_stem_is_what_the_encoder_has(made: Callable[[str], Made]) -> None:
    assert made("registers")[1].model.stem == "linear"
    assert made("sentiment")[1].model.stem == "table"
    engine, page = made("scenes-multi")
    convolutions = engine.subject.encoder.shape.stem.convolutions  # type: ignore[attr-defined]
    assert page.model.stem == ("convolutions" if convolutions else "linear")


def test_a_model_without_classes_answers_with_cosines(made: Callable[[str], Made]) -> None:
    model = made("minilm")[1].model
    assert model.outcome == "cosine"
    assert model.classes is None
    assert model.norm == "post"
    assert not model.readout.reads_class_token


@pytest.mark.parametrize(("name", "normed"), [("sentiment", False), ("scenes-multi", True)])
def test_a_final_norm_is_said_only_where_there_is_one(made: Callable[[str], Made], name: str, normed: bool) -> None:
    page = made(name)[1]
    assert (page.model.shared.final_norm is not None) == normed
    assert ("after the final norm" in page.model.readout.says) == normed


def test_class_tokens_are_called_by_their_classes_in_the_readout_too(made: Callable[[str], Made]) -> None:
    _, page = made("scenes-multi")
    named = [token.name for token in page.examples[0].tokens if token.role == "class"]
    assert page.model.readout.says.startswith(f"{', '.join(named[:-1])} and {named[-1]}")
