"""Weights that a last step has made finite and too large to compute with are no model, whatever was learned from."""

from pathlib import Path
from typing import Any

import pytest
from tests.folders import pictures, sentence_transformer, tiny_clip
from tests.learning.training import texts

import classtoken as ct
from classtoken.errors import TrainingError

FAR = {
    "loop": {"epochs": 1.0, "batch": 64, "dropout": 0.1},
    "optimiser": {"kind": "sgd", "learning_rate": 1e20, "warmup": 0.0, "clip": 0.0},
}
PAIRS = {"anchor": texts(24), "positive": [text[::-1] + " cat" for text in texts(24)]}
LABELLED = {"text": texts(24), "label": ["a", "b"] * 12}


@pytest.mark.parametrize(
    ("source", "more"),
    [
        (PAIRS, {"objective": {"kind": "pairs"}, "data": {"held_out": 0.0}}),
        (PAIRS, {"objective": {"kind": "pairs"}, "data": {"held_out": 0.25}}),
        (LABELLED, {"objective": {"kind": "contrast"}, "data": {"held_out": 0.0}}),
        (LABELLED, {"unfreeze": "all", "data": {"held_out": 0.0}}),
    ],
)
def test_vectors_that_are_no_numbers_are_not_written(
    tmp_path: Path, source: dict[str, list[str]], more: dict[str, Any]
) -> None:
    model = sentence_transformer(tmp_path / "texts")
    with pytest.raises(TrainingError, match=r"learned from are not finite: the weights have become too large"):
        ct.train(model, source, tmp_path / "out", recipe=FAR | more)
    assert not (tmp_path / "out/model.safetensors").exists()


def test_neither_are_those_of_two_sides(tmp_path: Path) -> None:
    rows = {"image": pictures(8), "text": texts(8)}
    recipe = FAR | {"objective": {"kind": "clip"}, "data": {"held_out": 0.0}}
    with pytest.raises(TrainingError, match=r"learned from are not finite: the weights have become too large"):
        ct.train(tiny_clip(tmp_path / "clip"), rows, tmp_path / "out", recipe=recipe)
    assert not (tmp_path / "out/model.safetensors").exists()
