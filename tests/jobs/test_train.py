"""The verb `train`: what it takes up, what it refuses, what it leaves as it was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.folders import sentence_transformer, tiny_bert, tiny_vit
from tests.learning.training import LOOP, SHAPE, predict, scratch, texts, told, train

import classtoken as ct
from classtoken.errors import ContractError, ManifestMismatch, OptionError, OutputError, TrainingError
from classtoken.learning.recipe import Recipe
from classtoken.results.train import TrainResult
from classtoken.values import Progress


def test_a_run_is_taken_up_and_other_records_are_refused(tmp_path: Path, squares: Path) -> None:
    first = train(squares, tmp_path / "model", recipe=scratch())
    again = train(squares, tmp_path / "model", recipe=scratch())
    assert again.scores == first.scores
    assert again.steps == first.steps
    next(squares.rglob("*.png")).unlink()
    with pytest.raises(OutputError, match="another run"):
        train(squares, tmp_path / "model", recipe=scratch())


def test_what_cannot_be_learned_from_is_said_in_one_line(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    one = tmp_path / "one"
    (one / "red").mkdir(parents=True)
    Image.new("RGB", (24, 24)).save(one / "red/a.png")
    for call, error, said in (
        (lambda: train(one, tmp_path / "a", model=vit), TrainingError, "two or more"),
        (lambda: train(squares, tmp_path / "b"), OptionError, r"a recipe with a \[model\]"),
        (lambda: train(None, tmp_path / "c", model=vit), OptionError, "nothing to learn from"),
        (
            lambda: train(squares, tmp_path / "d", model=vit, recipe=Recipe(unfreeze="last-9")),
            OptionError,
            "last-1 to last-2",
        ),
        (lambda: train(squares, vit, model=vit), OutputError, "is the model .* itself"),
        (lambda: predict(squares, tmp_path / "e", model=vit), ContractError, "no classifier"),
        (
            lambda: train("builtin:scenes?number=3", tmp_path / "f", recipe=scratch()),
            Exception,
            "count, seed and start",
        ),
    ):
        with pytest.raises(error, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_loss_that_is_not_finite_is_said(tmp_path: Path, squares: Path) -> None:
    recipe = Recipe.from_dict(
        {"model": SHAPE, "loop": LOOP, "optimiser": {"learning_rate": 1e30, "warmup": 0.0, "clip": 0.0}}
    )
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        train(squares, tmp_path / "model", recipe=recipe)


def test_a_last_step_that_goes_too_far_is_said(tmp_path: Path, squares: Path) -> None:
    """No loss is computed after it, and the weights are finite: a model whose answers are not is not written."""
    moving = {"kind": "sgd", "learning_rate": 1e30, "warmup": 0.0, "clip": 0.0}
    plain = {"unfreeze": "all", "loop": {"epochs": 1.0, "batch": 60}, "optimiser": moving}
    recipe = Recipe.from_dict({**plain, "data": {"held_out": 0.2}})
    with pytest.raises(
        TrainingError, match=r"answers to 6 of 6 held-out records are not finite.* Lower the learning ra"
    ):
        train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"), recipe=recipe)
    assert not (tmp_path / "model/model.safetensors").exists()


def test_what_a_frozen_or_given_encoder_cannot_learn_from_is_refused(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    for recipe, said in (
        (told(teacher=("builtin:toy",)), "nothing to teach a frozen encoder"),
        (told(unlabelled=["more"]), "only an encoder from scratch"),
        (Recipe.from_dict({"objective": {"kind": "dino"}, "unfreeze": "all"}), "only an encoder from scratch"),
        (Recipe.from_dict({"data": {"size": 16}}), "for an encoder that learns"),
        (Recipe.from_dict({"data": {"size": 17}, "unfreeze": "all"}), "not a whole number of patches"),
    ):
        with pytest.raises(OptionError, match=said):
            train(squares, tmp_path / "model", model=vit, recipe=recipe)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"loop": {"epochs": -1.0}}, r"recipe\.loop\.epochs must be above 0, not -1"),
        ({"loop": {"batch": 0}}, r"recipe\.loop\.batch must be 1 or more, not 0"),
        ({"data": {"held_out": 1.5}}, r"recipe\.data\.held_out must be 0 or more, at most 0.9, not 1.5"),
        ({"optimiser": {"learning_rate": 1e40}}, r"recipe\.optimiser\.learning_rate must be 0 or more, at most 1e\+30"),
        ({"head": {"kind": "per_token"}}, "on frozen vectors there are linear, cosine, mlp"),
        ({"head": {"kind": "distilled"}}, "on frozen vectors there are linear, cosine, mlp"),
    ],
)
def test_numbers_and_heads_that_make_no_sense_are_refused(
    tmp_path: Path, squares: Path, recipe: dict, said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"), recipe=Recipe.from_dict(recipe))


def test_the_callers_random_state_and_stderr_are_left_alone(
    tmp_path: Path, squares: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is drawn is drawn from the recipe's seed; how far it is goes to `report` and nowhere else."""
    vit = tiny_vit(tmp_path / "vit")
    before = torch.get_rng_state()
    capfd.readouterr()
    seen: list[Progress] = []
    train(squares, tmp_path / "new", recipe=scratch(), report=seen.append)
    train(squares, tmp_path / "head", model=vit, recipe=told(head="mlp", epochs=2.0))
    train(squares, tmp_path / "tuned", model=vit, recipe=told(unfreeze="last-1", epochs=1.0))
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr().err == ""
    assert [now.done for now in seen] == list(range(1, seen[0].total + 1))
    assert seen[-1].note.startswith("loss ")
    assert "accuracy" in seen[-1].note


ANY_WAY = {
    "scratch": {"model": SHAPE, "loop": {"epochs": 1.0, "batch": 12}},
    "linear": {},
    "head": {"head": {"kind": "mlp"}, "loop": {"epochs": 1.0}},
    "pooling": {"pooling": "map", "loop": {"epochs": 1.0}},
    "tuned": {"unfreeze": "last-1", "loop": {"epochs": 1.0}},
}


@pytest.mark.slow
@pytest.mark.parametrize("way", ANY_WAY)
def test_a_folder_is_taken_up_only_by_the_same_work_and_what_differs_is_named(
    tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Every ingredient changed in turn, for every way of training."""
    vit, begun = tiny_vit(tmp_path / "vit"), tmp_path / "begun"
    recipe = ANY_WAY[way]
    if way == "scratch":
        train(squares, begun, recipe=Recipe.from_dict(recipe))
        recipe = {**recipe, "start": str(begun)}
    given = None if way == "scratch" else vit

    def again(**changed: Any) -> None:
        train(squares, tmp_path / "out", model=given, recipe=Recipe.from_dict({**recipe, **changed}))

    def refused(what: str, **changed: Any) -> None:
        with pytest.raises(ManifestMismatch, match=rf"belongs to another run: {what} "):
            again(**changed)

    again()
    again()  # the same: taken up
    picture, bytes_before = squares / "red/00.png", (squares / "red/00.png").read_bytes()
    Image.new("RGB", (24, 24), "purple").save(picture)
    refused("records")
    picture.write_bytes(bytes_before)
    names = {name: name for name in ("red", "green", "blue")}
    refused("labels differ; recipe.data.label_names.blue", data={"label_names": {**names, "blue": "navy"}})
    refused(r"recipe\.loop\.seed", loop={**recipe.get("loop", {}), "seed": 1})
    refused(r"recipe\.data\.held_out", data={"held_out": 0.2})
    monkeypatch.setattr("classtoken.learning.work.CODE", "classtoken 99")
    refused("code")
    monkeypatch.undo()
    folder = begun if way == "scratch" else vit
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("0.attention.attention.query.weight"))
    save_file(weights | {name: -weights[name]}, folder / "model.safetensors", metadata={"format": "pt"})
    refused("model")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if way != "scratch":
        config = json.loads((vit / "config.json").read_text())
        (vit / "config.json").write_text(json.dumps({**config, "num_attention_heads": 2, "layer_norm_eps": 0.1}))
        refused("model")  # the same weights, other numbers
        (vit / "config.json").write_text(json.dumps(config))
        settings = json.loads((vit / "preprocessor_config.json").read_text())
        (vit / "preprocessor_config.json").write_text(json.dumps({**settings, "image_mean": [0.1, 0.2, 0.3]}))
        refused("preparation")
        (vit / "preprocessor_config.json").write_text(json.dumps(settings))
    again()


@pytest.mark.parametrize("way", ["scratch", "tuned"])
def test_a_finished_run_goes_on_with_more_epochs(tmp_path: Path, squares: Path, way: str) -> None:
    """At a constant rate it ends where a run of so many epochs ends; fewer than are done are refused."""
    vit = None if way == "scratch" else tiny_vit(tmp_path / "vit")

    def run(folder: str, epochs: float) -> TrainResult:
        loop = {"epochs": epochs, "batch": 12, "keep": "last"}
        recipe = {**ANY_WAY[way], "loop": loop, "optimiser": {"schedule": "constant", "warmup": 0.0}}
        return train(squares, tmp_path / folder, model=vit, recipe=Recipe.from_dict(recipe))

    run("whole", 3.0)
    first = run("parts", 1.0)
    assert run("parts", 3.0).steps == 3 * first.steps
    weights, whole = (load_file(tmp_path / name / "model.safetensors") for name in ("parts", "whole"))
    assert all(torch.equal(weights[name], value) for name, value in whole.items())
    with pytest.raises(OptionError, match="are done here"):
        run("parts", 2.0)


@pytest.mark.slow
def test_another_tokenizer_or_teacher_is_other_work(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(f"{t},{len(t) > 12}" for t in texts(12)) + "\n")
    bert = tiny_bert(tmp_path / "bert")
    teacher = tmp_path / "teacher"
    train(tmp_path / "texts.csv", teacher, model=bert, recipe=Recipe())
    recipe = told(unfreeze="last-1", epochs=1.0, batch=8, teacher=(str(teacher),), pooling="cls")

    def again() -> None:
        train(tmp_path / "texts.csv", tmp_path / "out", model=bert, recipe=recipe)

    again()
    saved = load_file(teacher / "classtoken.safetensors")
    save_file({name: -value for name, value in saved.items()}, teacher / "classtoken.safetensors")
    with pytest.raises(ManifestMismatch, match="another run: teacher differs"):
        again()
    save_file(saved, teacher / "classtoken.safetensors")
    again()
    (bert / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 4, "do_lower_case": False}))
    with pytest.raises(ManifestMismatch, match="another run: preparation differs"):
        again()


@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_what_stands_around_the_encoder_is_part_of_the_work(tmp_path: Path, head: str) -> None:
    """A pooler's weights, the prompt before every text and whether it is pooled: frozen vectors depend on them."""
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(f"{t},{len(t) > 12}" for t in texts(12)) + "\n")

    def again(model: Path, pooling: str = "mean") -> None:
        recipe = Recipe.from_dict({**told(head=head).to_dict(), "pooling": pooling})
        train(tmp_path / "texts.csv", tmp_path / f"{model.name}-out", model=model, recipe=recipe)

    bert = tiny_bert(tmp_path / "bert")
    again(bert, "pooler")
    weights = load_file(bert / "model.safetensors")
    turned = {name: -value if name.startswith("pooler") else value for name, value in weights.items()}
    save_file(turned, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ManifestMismatch, match="another run: model differs"):
        again(bert, "pooler")
    model = sentence_transformer(tmp_path / "model", prompts=True)
    again(model)
    for path, changed in (
        (model / "config_sentence_transformers.json", {"default_prompt_name": "document"}),
        (model / "1_Pooling" / "config.json", {"include_prompt": False}),
    ):
        text = path.read_text()
        path.write_text(json.dumps({**json.loads(text), **changed}))
        with pytest.raises(ManifestMismatch, match="another run: preparation differs"):
            again(model)
        path.write_text(text)
    again(model)


def test_without_held_out_records_there_is_no_score(tmp_path: Path, squares: Path) -> None:
    """No figure comes from rows that were learned from, and no temperature is fitted to them."""
    vit, whole = tiny_vit(tmp_path / "vit"), {"held_out": 0.0}
    recipes = (
        ("new", None, Recipe.from_dict({**scratch().to_dict(), "data": whole})),
        ("head", vit, Recipe.from_dict({"data": whole})),
        ("tuned", vit, told(unfreeze="last-1", epochs=1.0, held_out=0.0)),
    )
    for name, model, recipe in recipes:
        result = train(squares, tmp_path / name, model=model, recipe=recipe)
        assert (result.held_out, dict(result.scores), result.temperature) == (0, {}, 1.0)
        assert "calibration" not in str(result)
    with pytest.raises(OptionError, match="held_out is 0; set it above 0"):
        train(squares, tmp_path / "mlp", model=vit, recipe=told(head="mlp", held_out=0.0))


def test_half_holds_for_every_way(tmp_path: Path, squares: Path) -> None:
    train(
        squares,
        tmp_path / "tuned",
        model=tiny_vit(tmp_path / "vit"),
        recipe=told(unfreeze="last-1", epochs=1.0),
        half=True,
    )
    for name, tensor in load_file(tmp_path / "tuned/model.safetensors").items():  # the head is a published one too
        assert tensor.dtype == (torch.float32 if name.startswith("classifier.") else torch.float16)


@pytest.mark.slow
def test_a_finished_training_is_done_at_once(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    first = ct.train(vit, squares, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    again = ct.train(vit, squares, tmp_path / "out")
    assert again.notes[-1] == "it was finished before; nothing was computed anew"
    assert replace(again, notes=first.notes) == first
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert after == before
    ours = tmp_path / "out/classtoken.safetensors"
    ours.unlink()  # then it is made again
    assert "finished before" not in str(ct.train(vit, squares, tmp_path / "out"))
    assert ours.is_file()
    anew = ct.train(vit, squares, tmp_path / "out", overwrite=True)
    assert "finished before" not in str(anew)


def test_one_folder_too_deep_is_told_as_that(tmp_path: Path, squares: Path) -> None:
    inside = next(path for path in sorted(squares.iterdir()) if path.is_dir())
    vit = tiny_vit(tmp_path / "vit")
    with pytest.raises(TrainingError, match=f"labels are the names of the folders in '{inside}', and it lies in none"):
        ct.train(vit, inside, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("rows", ["the cat,a\nthe dog,b\n", "the cat,a\na cat,a\nthe dog,b\na dog,b\n"])
def test_records_too_few_to_be_judged_by_are_refused_before_a_folder_is_begun(rows: str, tmp_path: Path) -> None:
    """So that with more of them the same command goes."""
    model, source = tiny_bert(tmp_path / "bert"), tmp_path / "few.csv"
    source.write_text("text,label\n" + rows)
    with pytest.raises(TrainingError, match=r"records are too few|nothing can be held out"):
        train(source, tmp_path / "model", model=model)
    assert not (tmp_path / "model").exists()
    source.write_text(source.read_text() + "".join(f"the {w},{w[0]}\n" for w in ("ab", "ac", "ad", "ba", "bc", "bd")))
    assert train(source, tmp_path / "model", model=model).records == rows.count("\n") + 6
