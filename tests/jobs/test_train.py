"""train and predict from end to end: every way in, every folder opens again, the same numbers come out."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.folders import SENTENCES, tiny_bert, tiny_vit

from classtoken.embedder import load
from classtoken.errors import ContractError, ModelError, OptionError, OutputError, TrainingError
from classtoken.jobs.predict import predict
from classtoken.jobs.train import train
from classtoken.learning.recipe import Recipe, overridden
from classtoken.results.train import PredictResult, TrainResult

COLOURS = {"blue": (30, 40, 220), "green": (30, 200, 40), "red": (220, 40, 30)}
PLAIN = {
    "hidden_size": 16,
    "depth": 2,
    "stem": {"kind": "image", "patch": 8, "image": [24, 24], "class_tokens": 1},
    "block": {"heads": 2, "feedforward_size": 32, "norm_eps": 1e-6},
}
LOOP = {"epochs": 12.0, "batch": 12, "ema": 0.8}
MOVING = {"learning_rate": 1e-2}


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Twenty small pictures of each of three colours, in folders."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        folder = tmp_path / "squares" / name
        folder.mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(np.array(colour) + rng.normal(0, 30, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return tmp_path / "squares"


def scratch(**model) -> Recipe:
    plain = {"model": {**PLAIN, **model}, "loop": LOOP, "optimiser": MOVING, "data": {"held_out": 0.2}}
    return Recipe.from_dict(plain)


def predictions(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_from_scratch_to_transformers_and_back(tmp_path: Path, squares: Path) -> None:
    """A plain ViT is written in transformers' own format: the same logits there, and predict gives the same again."""
    import transformers

    result = train(squares, tmp_path / "model", recipe=scratch())
    assert isinstance(result, TrainResult)
    assert result.scores["accuracy"] > 0.9
    assert TrainResult.from_json(result.to_json()) == result
    model = load(tmp_path / "model")
    paths = sorted(squares.rglob("*.png"))[::7]
    ours = model.logits(paths)
    theirs = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        expected = theirs(pixel_values=model.tokens(paths).pixels).logits.numpy()
    assert np.abs(ours - expected).max() < 1e-5 * max(1.0, np.abs(expected).max())
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "model", every=True)
    assert isinstance(predicted, PredictResult)
    assert predicted.accuracy is not None
    assert predicted.accuracy > 0.9
    rows = {row["id"]: row for row in predictions(tmp_path / "out")}
    temperature = model.tower("image").reading.classifier.temperature
    for path, logits in zip(paths, ours, strict=True):
        row = rows[path.relative_to(squares).as_posix()]
        p = np.exp(logits / temperature - np.logaddexp.reduce(logits / temperature))
        assert row["label"] == model.labels[int(logits.argmax())]
        assert float(row["probability"]) == pytest.approx(p.max(), abs=2e-6)
        assert [float(row[f"p:{name}"]) for name in model.labels] == pytest.approx(p, abs=2e-6)


def test_a_convolutional_stem_is_our_own_format(tmp_path: Path, squares: Path) -> None:
    stem = {**PLAIN["stem"], "convolutions": [[6, 2]]}
    train(squares, tmp_path / "model", recipe=scratch(stem=stem), half=True)
    assert json.loads((tmp_path / "model/config.json").read_text())["model_type"] == "classtoken"
    model = load(tmp_path / "model")
    assert model.logits(sorted(squares.rglob("*.png"))[:3]).shape == (3, 3)
    assert (tmp_path / "model/README.md").read_text().count("24x24") == 0  # only measured figures stand in a card


def test_a_run_is_taken_up_and_other_records_are_refused(tmp_path: Path, squares: Path) -> None:
    first = train(squares, tmp_path / "model", recipe=scratch())
    again = train(squares, tmp_path / "model", recipe=scratch())
    assert again.scores == first.scores
    assert again.steps == first.steps
    next(squares.rglob("*.png")).unlink()
    with pytest.raises(OutputError, match="another run"):
        train(squares, tmp_path / "model", recipe=scratch())


def test_a_head_on_frozen_vectors(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    bad = squares / "red" / "broken.png"
    bad.write_bytes(b"no image")
    result = train(squares, tmp_path / "model", model=vit, recipe=Recipe())
    assert result.way == "frozen"
    assert result.scores["accuracy"] > 0.8
    assert result.refused == 1
    assert "broken.png" in (tmp_path / "model/quarantine.jsonl").read_text()
    assert not result.features_cached
    assert train(squares, tmp_path / "model", model=vit, recipe=Recipe()).features_cached
    before, after = load(vit), load(tmp_path / "model")
    path = squares / "red/00.png"
    ours, theirs = before.encoder.state_dict(), after.encoder.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert np.abs(before.embed(path, pooling="cls") - after.embed(path)).max() < 1e-5
    assert after.labels == ("blue", "green", "red")
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "model")
    assert (predicted.records, predicted.refused) == (60, 1)
    assert predicted.accuracy is not None
    assert predicted.accuracy > 0.9


@pytest.mark.parametrize("head", [False, True])
def test_a_linear_head_on_the_class_token_is_transformers_own_classifier(
    tmp_path: Path, squares: Path, head: bool
) -> None:
    """Also where the checkpoint came with a classifier for other labels: that one is gone."""
    import transformers

    train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit", head=head), recipe=Recipe(pooling="cls"))
    model, paths = load(tmp_path / "model"), sorted(squares.rglob("*.png"))[::9]
    theirs = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
    assert list(theirs.config.id2label.values()) == ["blue", "green", "red"]
    with torch.no_grad():
        expected = theirs(pixel_values=model.tokens(paths).pixels).logits.numpy()
    assert np.abs(model.logits(paths) - expected).max() < 1e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize(
    ("head", "pooling"),
    [
        ("cosine", "cls"),
        ("mlp", "mean"),
        ("linear", "map(2)"),
        ("linear", "queries(4)"),
        ("linear", "multihead(2)"),
        ("linear", "weighted"),
        ("linear", "all"),
    ],
)
def test_every_head_and_learned_pooling_opens_again(tmp_path: Path, squares: Path, head: str, pooling: str) -> None:
    recipe = overridden(None, head=head, pooling=pooling, epochs=20.0, batch=16)
    result = train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"), recipe=recipe)
    assert len(result.trials) > 3
    assert result.scores["accuracy"] > 0.5  # chance 0.33
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "model")
    assert predicted.accuracy is not None
    assert predicted.accuracy > 0.5


def test_fine_tuning_moves_only_what_was_unfrozen(tmp_path: Path, squares: Path) -> None:
    import transformers

    vit = tiny_vit(tmp_path / "vit")
    recipe = overridden(None, unfreeze="last-1", epochs=6.0, batch=12, learning_rate=3e-3, augment=False)
    result = train(squares, tmp_path / "model", model=vit, recipe=recipe)
    assert result.scores["accuracy"] > 0.8
    before, after = (load(folder).encoder.state_dict() for folder in (vit, tmp_path / "model"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("blocks.1.", "final_norm.")) for name in moved)
    model = load(tmp_path / "model")
    path = squares / "red/00.png"
    theirs = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        expected = theirs(pixel_values=model.tokens(path).pixels).logits.numpy()
    assert np.abs(model.logits(path) - expected).max() < 1e-5 * max(1.0, np.abs(expected).max())


def test_texts_from_scratch_open_in_sentence_transformers(tmp_path: Path) -> None:
    import sentence_transformers

    rows = [f"{a} cat {b} happy,good\n{a} dog {b} sad,bad" for a in ("the", "a", "my") for b in ("is", "looks", "was")]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    model = {
        "hidden_size": 16,
        "depth": 1,
        "stem": {"kind": "text", "vocabulary": 60, "positions": 16, "kinds": 2},
        "block": {"heads": 2, "feedforward_size": 32, "order": "post", "final_norm": False},
    }
    data = {"held_out": 0.25, "longest": 12}
    recipe = Recipe.from_dict({"model": model, "data": data, "loop": {**LOOP, "epochs": 20.0}, "optimiser": MOVING})
    result = train(tmp_path / "texts.csv", tmp_path / "model", recipe=recipe)
    assert result.scores["accuracy"] > 0.9
    texts = ["the cat is happy", "a dog was sad"]
    ours = load(tmp_path / "model").embed(texts)
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(texts)
    assert np.abs(ours - theirs).max() < 1e-5


def test_a_teacher_labels_texts_that_have_no_labels(tmp_path: Path) -> None:
    teacher = tiny_bert(tmp_path / "bert")
    rows = [f"{text},{'long' if len(text) > 12 else 'short'}" for text in SENTENCES * 4]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    (tmp_path / "more.txt").write_text("\n".join(SENTENCES * 3) + "\n")
    model = {
        "hidden_size": 16,
        "depth": 1,
        "stem": {"kind": "text", "vocabulary": 60, "positions": 16},
        "block": {"heads": 2, "feedforward_size": 32},
    }
    wanted = {"kind": "distillation", "mode": "soft", "teacher": str(teacher)}
    data = {"held_out": 0.25, "longest": 12, "unlabelled": [str(tmp_path / "more.txt")]}
    recipe = Recipe.from_dict({"model": model, "data": data, "objective": wanted, "loop": LOOP, "optimiser": MOVING})
    result = train(tmp_path / "texts.csv", tmp_path / "model", recipe=recipe)
    assert result.records == 16 + 12
    assert result.scores["accuracy"] > 0.7


@pytest.mark.parametrize("kind", ["dino"])
def test_without_labels_an_encoder_comes_out_that_embeds(tmp_path: Path, squares: Path, kind: str) -> None:
    plain = {
        "model": PLAIN,
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
    plain = scratch(stem={**PLAIN["stem"], "class_tokens": 3}).to_dict()
    plain |= {"start": str(tmp_path / "one"), "head": {"kind": "per_token"}, "loop": {**LOOP, "epochs": 4.0}}
    result = train(squares, tmp_path / "three", recipe=Recipe.from_dict(plain))
    assert result.pooling == "cls(0)+cls(1)+cls(2)"
    tokens = load(tmp_path / "three").encoder.stem.class_token
    assert torch.pdist(tokens).min() > 1e-3  # they did not stay equal


def test_what_cannot_be_learned_from_is_said_in_one_line(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    one = tmp_path / "one"
    (one / "red").mkdir(parents=True)
    Image.new("RGB", (24, 24)).save(one / "red/a.png")
    for call, error, said in (
        (lambda: train(one, tmp_path / "a", model=vit), TrainingError, "two or more"),
        (lambda: train(squares, tmp_path / "b"), OptionError, "--model MODEL"),
        (lambda: train(None, tmp_path / "c", model=vit), OptionError, "nothing to learn from"),
        (
            lambda: train(squares, tmp_path / "d", model=vit, recipe=Recipe(unfreeze="last-9")),
            OptionError,
            "last-1 to last-2",
        ),
        (lambda: train(squares, vit, model=vit), OutputError, "folder of the model itself"),
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
        {"model": PLAIN, "loop": LOOP, "optimiser": {"learning_rate": 1e30, "warmup": 0.0, "clip": 0.0}}
    )
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        train(squares, tmp_path / "model", recipe=recipe)


def test_labels_are_called_by_the_names_that_the_recipe_gives(tmp_path: Path) -> None:
    """The model says `good`, and still judges data in which the same is called 1."""
    opinions = [("I loved it", 1), ("what a bore", 0), ("great fun", 1), ("dull and long", 0)] * 5
    table = tmp_path / "texts.csv"
    table.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in opinions))
    recipe = Recipe.from_dict({"data": {"label_names": {"0": "bad", "1": "good"}, "held_out": 0.2}})
    result = train(table, tmp_path / "model", model=tiny_bert(tmp_path / "bert"), recipe=recipe)
    assert result.labels == ("bad", "good")
    model = load(tmp_path / "model")
    assert model.labels == ("bad", "good")
    predicted = predict(table, tmp_path / "out", model=model)
    assert predicted.accuracy == 1.0
    assert {row["label"] for row in predictions(tmp_path / "out")} == {"bad", "good"}
    table.write_text(table.read_text().replace(",1\n", ",good\n"))
    assert predict(table, tmp_path / "out", model=model).accuracy == 1.0
    with pytest.raises(TrainingError, match="'good' has no name in label_names, which has 0, 1"):
        train(table, tmp_path / "again", model=tmp_path / "bert", recipe=recipe)
    twice = Recipe.from_dict({"data": {"label_names": {"0": "bad", "1": "bad"}}})
    with pytest.raises(TrainingError, match="calls both '0' and '1' 'bad'"):
        train(table, tmp_path / "again", model=tmp_path / "bert", recipe=twice)


def test_a_teacher_labels_pictures_that_have_no_labels(tmp_path: Path, squares: Path) -> None:
    """Six labelled pictures and the labels that a trained model gives to the others; several labels a row too."""
    train(squares, tmp_path / "teacher", recipe=scratch())
    few = tmp_path / "few.csv"
    paths = [path for path in sorted(squares.rglob("*.png")) if path.stem < "04"]
    few.write_text("image,label\n" + "".join(f"{path},{path.parent.name}\n" for path in paths))
    wanted = {"kind": "distillation", "mode": "soft", "teacher": str(tmp_path / "teacher")}
    plain = {**scratch().to_dict(), "objective": wanted, "data": {"held_out": 0.34, "unlabelled": [str(squares)]}}
    result = train(few, tmp_path / "student", recipe=Recipe.from_dict(plain))
    assert (result.records, result.learned, result.held_out) == (12 + 60, 9 + 60, 3)
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "student")
    assert predicted.accuracy is not None
    assert predicted.accuracy > 0.8
    with pytest.raises(OptionError, match="labels alone have no use for them"):
        train(few, tmp_path / "a", recipe=Recipe.from_dict({**plain, "objective": {}}))
    with pytest.raises(OptionError, match="mix labels"):
        train(few, tmp_path / "b", recipe=Recipe.from_dict({**plain, "augment": {"mixup": 0.2}}))


def test_what_a_frozen_or_given_encoder_cannot_learn_from_is_refused(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    for recipe, said in (
        (overridden(None, teacher="builtin:toy"), "nothing to teach a frozen encoder"),
        (overridden(None, unlabelled=["more"]), "only an encoder from scratch"),
        (Recipe.from_dict({"objective": {"kind": "dino"}, "unfreeze": "all"}), "only an encoder from scratch"),
    ):
        with pytest.raises(OptionError, match=said):
            train(squares, tmp_path / "model", model=vit, recipe=recipe)


def test_several_labels_balanced_with_every_head(tmp_path: Path) -> None:
    rows = [
        f"{text},{'long' if len(text) > 12 else 'short'}{'|the' if 'the' in text else ''}" for text in SENTENCES * 4
    ]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    bert = tiny_bert(tmp_path / "bert")
    for head in ("linear", "mlp"):
        recipe = overridden(None, head=head, balanced=True, epochs=10.0, batch=8, held_out=0.25)
        result = train(tmp_path / "texts.csv", tmp_path / head, model=bert, recipe=recipe)
        assert result.task == "multilabel"
        assert result.scores["mean_average_precision"] > 0.7
    recipe = overridden(None, unfreeze="all", balanced=True, epochs=4.0, batch=8, held_out=0.25, augment=False)
    result = train(tmp_path / "texts.csv", tmp_path / "tuned", model=bert, recipe=recipe)
    assert result.scores["mean_average_precision"] > 0.5


def test_labels_that_the_model_does_not_have_are_named(tmp_path: Path, squares: Path) -> None:
    train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"))
    (squares / "red").rename(squares / "crimson")
    (squares / "crimson/broken.png").write_bytes(b"no image")
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "model")
    assert predicted.unknown == ("crimson",)
    assert predicted.accuracy is not None
    assert predicted.accuracy < 0.7
    assert "the model has no label crimson" in str(predicted)
    assert f"{tmp_path}/out/quarantine.parquet" in str(predicted)
    assert (tmp_path / "out/quarantine.parquet").is_file()
    assert "crimson/broken.png: crimson" not in str(predicted)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"loop": {"epochs": -1.0}}, r"recipe\.loop\.epochs must be above 0, not -1"),
        ({"loop": {"batch": 0}}, r"recipe\.loop\.batch must be 1 or more, not 0"),
        ({"data": {"held_out": 1.5}}, r"recipe\.data\.held_out must be 0 or more, at most 0.9, not 1.5"),
        ({"head": {"kind": "per_token"}}, "on frozen vectors there are linear, cosine, mlp"),
        ({"head": {"kind": "distilled"}}, "on frozen vectors there are linear, cosine, mlp"),
    ],
)
def test_numbers_and_heads_that_make_no_sense_are_refused(
    tmp_path: Path, squares: Path, recipe: dict, said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"), recipe=Recipe.from_dict(recipe))


def test_a_shape_that_lacks_something_says_what(tmp_path: Path, squares: Path) -> None:
    for model, said in (
        ({"hidden_size": 8}, "lacks depth, stem, block"),
        ({**PLAIN, "block": {"heads": 2}}, "shape.block lacks feedforward_size"),
    ):
        with pytest.raises(ModelError, match=said):
            train(squares, tmp_path / "model", recipe=Recipe.from_dict({"model": model}))
    recipe = Recipe.from_dict({"model": PLAIN, "head": {"kind": "distilled"}})
    with pytest.raises(OptionError, match="set distillation_tokens = 1"):
        train(squares, tmp_path / "model", recipe=recipe)
