"""Encoders from scratch, with labels and without."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.learning.training import LOOP, SHAPE, scratch, train

from classtoken.embedder import load
from classtoken.encoder.encoder import Encoder
from classtoken.errors import ContractError, OptionError
from classtoken.learning.recipe import Recipe
from classtoken.learning.ways.beginning import begin_with
from classtoken.learning.ways.scratch import prepare_images
from classtoken.source import open_source


@pytest.mark.parametrize("kind", ["dino"])
def test_without_labels_an_encoder_comes_out_that_embeds(tmp_path: Path, squares: Path, kind: str) -> None:
    plain = {
        "model": SHAPE,
        "objective": {"kind": kind, "local_crops": 1, "prototypes": 8},
        "loop": {**LOOP, "epochs": 3.0},
    }
    result = train(squares, tmp_path / "model", recipe=Recipe.from_dict(plain))
    assert "neighbours" in result.scores
    model = load(tmp_path / "model")
    assert model.embed(next(squares.rglob("*.png"))).shape == (1, 16)
    with pytest.raises(ContractError, match="no classifier"):
        _ = model.labels


def test_more_class_tokens_begin_as_copies(tmp_path: Path, squares: Path) -> None:
    train(squares, tmp_path / "one", recipe=scratch())
    plain = scratch(stem={**SHAPE["stem"], "class_tokens": 3}).to_dict()
    plain |= {"start": str(tmp_path / "one"), "head": {"kind": "per_token"}, "loop": {**LOOP, "epochs": 4.0}}
    result = train(squares, tmp_path / "three", recipe=Recipe.from_dict(plain))
    assert result.pooling == "cls(0)+cls(1)+cls(2)"
    tokens = load(tmp_path / "three").encoder.stem.class_token
    assert torch.pdist(tokens).min() > 1e-3  # they did not stay equal


@pytest.mark.slow
def test_of_several_beginnings_the_mean_is_taken(tmp_path: Path, squares: Path) -> None:
    folders = [str(tmp_path / name) for name in ("one", "two")]
    for seed, folder in enumerate(folders):
        train(squares, Path(folder), recipe=Recipe.from_dict({**scratch().to_dict(), "loop": {**LOOP, "seed": seed}}))
    one, two = (load(folder).encoder.state_dict() for folder in folders)
    encoder = Encoder(scratch().shape())
    begin_with(encoder, folders, 0)
    for name, weight in encoder.state_dict().items():
        assert torch.allclose(weight, (one[name] + two[name]) / 2, atol=1e-6), name
        assert torch.equal(one[name], two[name]) == torch.equal(weight, one[name]), name
    plain = {**scratch().to_dict(), "start": folders}
    assert Recipe.from_dict(Recipe.from_dict(plain).to_dict()).starts == tuple(folders)
    assert train(squares, tmp_path / "on", recipe=Recipe.from_dict(plain)).scores["accuracy"] > 0.8
    other = scratch(hidden_size=32)
    with pytest.raises(OptionError, match="does not fit"):
        begin_with(Encoder(other.shape()), folders, 0)


def test_a_shape_that_lacks_something_says_what(tmp_path: Path, squares: Path) -> None:
    for model, said in (
        ({"hidden_size": 8}, "lacks depth, stem, block"),
        ({**SHAPE, "block": {"heads": 2}}, "recipe.model.block lacks feedforward_size"),
    ):
        with pytest.raises(OptionError, match=said):
            train(squares, tmp_path / "model", recipe=Recipe.from_dict({"model": model}))
    recipe = Recipe.from_dict({"model": SHAPE, "head": {"kind": "distilled"}})
    with pytest.raises(OptionError, match="set distillation_tokens = 1"):
        train(squares, tmp_path / "model", recipe=recipe)


def test_groups_have_no_interval_and_are_not_divided_between_choosing_and_judging(squares: Path) -> None:
    recipe = scratch(stem=SHAPE["stem"])
    records = [replace(record, group=f"maker {i // 4}") for i, record in enumerate(open_source(squares).records([]))]
    rows = prepare_images(recipe, recipe.shape(), records, [], "cpu")
    assert rows.division.independent == 0.0
    assert rows.groups is not None
    choosing, judging = (set(rows.groups[half.numpy()]) for half in rows.halves())
    assert choosing
    assert judging
    assert not choosing & judging
