"""A recipe says exactly what it says: unknown fields, wrong words and wrong numbers are refused by name."""

import json
from pathlib import Path

import pytest

from classtoken.errors import OptionError
from classtoken.learning.overrides import overridden
from classtoken.learning.ranges import check_ranges
from classtoken.learning.recipe import Recipe, read_recipe, recipe_from_dict

ROOT = Path(__file__).resolve().parents[2]
BUILT_IN = sorted((ROOT / "src/classtoken/builtin").glob("*/recipe.toml"))


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.parent.name)
def test_every_recipe_that_ships_is_read_and_goes_through_json(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.model is not None
    again = recipe_from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again.essence() == recipe_from_dict(json.loads(json.dumps(again.to_dict()))).essence()
    assert again.loop == recipe.loop
    assert again.optimiser == recipe.optimiser


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"lopp": {}}, "no field lopp"),
        ({"loop": {"epoch": 3}}, r"\[loop\] of recipe has no field epoch"),
        ({"loop": {"precision": "fp8"}}, "not one of fp32, bf16"),
        ({"loop": {"batch": 2.5}}, "not a whole number"),
        ({"augment": {"flip": 1}}, "neither true nor false"),
        ({"optimiser": {"learning_rate": "fast"}}, "not a number"),
        ({"head": 3}, "must be a table"),
        ({"data": {"mean": 3}}, "not a list of numbers"),
        ({"data": {"unlabelled": "more.csv"}}, "not a list of texts"),
        ({"data": {"label_names": {"0": 1}}}, "not a table of old and new names"),
    ],
)
def test_slips_of_the_pen_are_refused_by_name(plain: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        recipe_from_dict(plain)


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(OptionError, match="not valid TOML"):
        read_recipe(tmp_path / "bad.toml")
    with pytest.raises(OptionError, match=r"neither \.toml nor \.json"):
        read_recipe(tmp_path / "recipe.yaml")


def test_the_essence_leaves_out_what_does_not_decide_the_weights() -> None:
    one = recipe_from_dict({"data": {"source": "a"}, "loop": {"checkpoint_seconds": 5.0}, "about": "x"})
    assert one.essence() == Recipe().essence() | {"data": {}, "loop": {}}
    assert recipe_from_dict({"loop": {"seed": 1}}).essence() != Recipe().essence()


def test_options_replace_single_values_and_fine_tuning_has_its_own_defaults() -> None:
    base = recipe_from_dict({"loop": {"epochs": 3.0, "seed": 4}})
    changed = overridden(base, epochs=5.0, head="mlp", balanced=True)
    assert (changed.loop.epochs, changed.loop.seed, changed.head.kind) == (5.0, 4, "mlp")
    assert changed.objective.class_weights == "balanced"
    tuned = overridden(None, unfreeze="all", teacher="m")
    assert tuned.optimiser.layer_decay < 1
    assert tuned.augment.flip
    assert tuned.objective.kind == "distillation"
    assert not overridden(None, unfreeze="all", augment=False).augment.flip


def test_every_range_is_of_a_number_that_there_is_and_holds_its_default() -> None:
    """And every recipe that ships is within them."""
    for recipe in (Recipe(), *(read_recipe(path) for path in BUILT_IN)):
        check_ranges(recipe)
