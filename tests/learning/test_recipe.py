"""A recipe says exactly what it says: unknown fields, wrong words and wrong numbers are refused by name."""

import json
import tomllib
from pathlib import Path

import pytest
from tests.folders import tiny_vit
from tests.learning.training import told, train

from classtoken.cli import main
from classtoken.encoder.shape import ImageStem
from classtoken.errors import OptionError
from classtoken.learning.folder.formats import published_form
from classtoken.learning.recipe import LoopOptions, Recipe, templates

ROOT = Path(__file__).resolve().parents[2]
BUILT_IN = sorted((ROOT / "src/classtoken/builtin").glob("*/recipe.toml"))


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.parent.name)
def test_every_recipe_that_ships_is_read_and_goes_through_json(path: Path) -> None:
    recipe = Recipe.from_file(path)
    assert (recipe.model is None) is bool(recipe.unfreeze)  # from scratch, or a MODEL that is trained further
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again.essence() == Recipe.from_dict(json.loads(json.dumps(again.to_dict()))).essence()
    assert again.loop == recipe.loop
    assert again.optimiser == recipe.optimiser


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"lopp": {}}, "recipe has no field lopp"),
        ({"loop": {"epoch": 3}}, r"recipe\.loop has no field epoch; it has epochs"),
        ({"loop": {"precision": "fp8"}}, "recipe.loop.precision must be one of fp32, bf16"),
        ({"loop": {"batch": 2.5}}, "must be a whole number, not 2.5"),
        ({"augment": {"flip": 1}}, "must be true or false, not 1"),
        ({"optimiser": {"learning_rate": "fast"}}, "must be a number, not 'fast'"),
        ({"head": 3}, "recipe.head must be an object"),
        ({"data": {"mean": 3}}, "data.mean must be a list, not 3"),
        ({"data": {"unlabelled": "more.csv"}}, "data.unlabelled must be a list, not 'more.csv'"),
        ({"data": {"label_names": {"0": 1}}}, "data.label_names.0 must be a text, not 1"),
    ],
)
def test_slips_of_the_pen_are_refused_by_name(plain: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Recipe.from_dict(plain)


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        Recipe.from_file(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(OptionError, match="not valid TOML"):
        Recipe.from_file(tmp_path / "bad.toml")
    with pytest.raises(OptionError, match=r"neither \.toml nor \.json"):
        Recipe.from_file(tmp_path / "recipe.yaml")


def test_the_essence_leaves_out_what_does_not_decide_the_weights() -> None:
    one = Recipe.from_dict({"data": {"source": "a"}, "loop": {"checkpoint_seconds": 5.0}, "about": "x"})
    assert one.essence() == Recipe().essence() | {"data": {}, "loop": {}}
    assert Recipe.from_dict({"loop": {"seed": 1}}).essence() != Recipe().essence()


def test_options_replace_single_values_and_fine_tuning_has_its_own_defaults() -> None:
    base = Recipe.from_dict({"loop": {"epochs": 3.0, "seed": 4}})
    changed = told(recipe=base.to_dict(), epochs=5.0, head="mlp", balanced=True)
    assert (changed.loop.epochs, changed.loop.seed, changed.head.kind) == (5.0, 4, "mlp")
    assert changed.objective.class_weights == "balanced"
    tuned = told(unfreeze="all", teacher=("m",))
    assert tuned.optimiser.layer_decay < 1
    assert tuned.augment.flip
    assert tuned.objective.kind == "distillation"
    assert not told(unfreeze="all", augment=False).augment.flip


def test_every_default_is_within_its_limits_and_a_recipe_made_in_python_is_checked(tmp_path: Path) -> None:
    assert Recipe.from_dict(Recipe().to_dict()) == Recipe()
    with pytest.raises(OptionError, match=r"recipe\.loop\.batch must be 1 or more, not 0"):
        train("texts.csv", tmp_path / "out", recipe=Recipe(loop=LoopOptions(batch=0)))


@pytest.mark.parametrize("name", ["vit", "bert", "head"])
def test_templates_are_whole_recipes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(templates()[name], encoding="utf-8")
    recipe = Recipe.from_file(path)
    assert recipe.about
    if name != "head":
        shape = recipe.shape()
        assert published_form(shape) is not None or isinstance(shape.stem, ImageStem)


@pytest.mark.slow
def test_the_template_of_a_head_is_what_is_learned_without_one_but_balanced(squares: Path, tmp_path: Path) -> None:
    model = tiny_vit(tmp_path / "vit")
    result = train(squares, tmp_path / "out", model=model, recipe=Recipe.from_dict(tomllib.loads(templates()["head"])))
    assert (result.pooling, result.head) == ("cls", "linear")


def test_templates_from_scratch_run(tmp_path: Path) -> None:
    short = {"epochs": 0.2, "batch": 16}
    vit = tomllib.loads(templates()["vit"])
    vit["loop"] |= short
    vit["data"]["source"] = "builtin:scenes?count=60&seed=1"
    assert train(None, tmp_path / "vit", recipe=Recipe.from_dict(vit)).way == "scratch"
    bert = tomllib.loads(templates()["bert"])
    bert["loop"] |= short
    table = tmp_path / "texts.csv"
    lines = [f"a {word} film number {n},{label}" for n in range(20) for word, label in (("good", 1), ("bad", 0))]
    table.write_text("text,label\n" + "\n".join(lines) + "\n")
    assert train(table, tmp_path / "bert", recipe=Recipe.from_dict(bert)).labels == ("0", "1")


def test_an_encoder_from_scratch_has_a_class_token_if_nothing_is_said() -> None:
    """Pooling is the class token then; whoever writes 0 means it."""
    plain = {"hidden_size": 16, "depth": 1, "stem": {"patch": 8, "image": 16}}
    plain["block"] = {"heads": 2, "feedforward_size": 8}
    shape = Recipe.from_dict({"model": plain}).shape()
    assert str(shape.layout) == "1 class + 2x2 patch = 5"
    plain["stem"] = {"patch": 8, "image": [16, 16], "class_tokens": 0}
    assert str(Recipe.from_dict({"model": plain}).shape().layout) == "2x2 patch = 4"


def test_the_command_line_prints_a_template_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--recipe-template", "vit"], ["--recipe-template=vit"]):
        assert main(["train", *words]) == 0
        assert capsys.readouterr().out == templates()["vit"]
    assert main(["train", "--recipe-template", "resnet"]) == 2
    assert "there is no recipe 'resnet'; there are bert, head, vit" in capsys.readouterr().err
