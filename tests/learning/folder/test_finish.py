"""What training leaves opens again: here, in transformers and sentence-transformers, with the same numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.folders import SENTENCES, sentence_transformer, tiny_vit
from tests.learning.training import LOOP, MOVING, SHAPE, predict, predictions, scratch, texts, told, train

import classtoken as ct
from classtoken.embedder import load
from classtoken.encoder.checkpoint import open_checkpoint
from classtoken.learning.recipe import Recipe
from classtoken.results.predict import PredictResult
from classtoken.results.train import TrainResult


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
    stem = {**SHAPE["stem"], "convolutions": [[6, 2]]}
    train(squares, tmp_path / "model", recipe=scratch(stem=stem), half=True)
    assert json.loads((tmp_path / "model/config.json").read_text())["model_type"] == "classtoken"
    model = load(tmp_path / "model")
    assert model.logits(sorted(squares.rglob("*.png"))[:3]).shape == (3, 3)
    assert (tmp_path / "model/README.md").read_text().count("24x24") == 0  # only measured figures stand in a card


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("way", ["frozen, mean", "scratch, mean", "scratch, cls"])
def test_no_class_is_claimed_whose_classifier_is_not_in_the_file(tmp_path: Path, squares: Path, way: str) -> None:
    """transformers would make it up at random, warn, and answer."""
    if way == "frozen, mean":
        model = tiny_vit(tmp_path / "vit", head=True)
        sharded(model)
        assert json.loads((model / "config.json").read_text())["architectures"] == ["ViTForImageClassification"]
        train(squares, tmp_path / "model", model=model, recipe=Recipe(pooling="mean"))
    else:
        train(squares, tmp_path / "model", recipe=replace(scratch(), pooling=way.removeprefix("scratch, ")))
    weights = open_checkpoint(tmp_path / "model").weights.names
    held = "classifier.weight" in weights
    assert held == way.endswith("cls")
    assert len(weights) > 10
    name = "ViTForImageClassification" if held else "ViTModel"
    assert json.loads((tmp_path / "model" / "config.json").read_text())["architectures"] == [name]


def sharded(folder: Path) -> None:
    """The same weights in two files with an index."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {f"model-{i + 1:05}-of-00002.safetensors": sorted(weights)[i::2] for i in range(2)}
    for file, names in parts.items():
        save_file({name: weights[name] for name in names}, folder / file, metadata={"format": "pt"})
    places = {name: file for file, names in parts.items() for name in names}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def test_weights_in_several_files_become_one(tmp_path: Path, squares: Path) -> None:
    """The parts of the model that was begun with, and their index, do not lie beside the weights that were learned."""
    model = tiny_vit(tmp_path / "vit")
    sharded(model)
    train(squares, tmp_path / "model", model=model, recipe=told(unfreeze="all", epochs=1.0, batch=16))
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert {name for name in files if "model" in name} == {"model.safetensors"}


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


@pytest.mark.slow
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
    recipe = told(head=head, pooling=pooling, epochs=20.0, batch=16)
    result = train(squares, tmp_path / "model", model=tiny_vit(tmp_path / "vit"), recipe=recipe)
    assert len(result.trials) > 3
    assert result.scores["accuracy"] > 0.5  # chance 0.33
    predicted = predict(squares, tmp_path / "out", model=tmp_path / "model")
    assert predicted.accuracy is not None
    assert predicted.accuracy > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("tuned", [False, True], ids=["frozen", "tuned"])
@pytest.mark.parametrize(
    ("origin", "pooling"),
    [
        ({"unit": True}, ""),
        ({"unit": True}, "cls"),
        ({"unit": False, "mode": "cls"}, ""),
        ({"unit": True, "dense": 8}, "mean"),
        ({"unit": True, "prompts": True, "pooled": False}, ""),
        ({"unit": True}, "cls+mean"),
    ],
    ids=["normalize", "another pooling", "cls", "dense", "prompts", "what the library has not"],
)
def test_a_trained_folder_says_of_its_vectors_what_they_are(
    tmp_path: Path, origin: dict, pooling: str, tuned: bool
) -> None:
    """sentence-transformers gives the vectors that classtoken gives, or finds no modules.json that promises any."""
    import sentence_transformers

    rows = [f"{text},{'long' if len(text) > 12 else 'short'}" for text in texts(12)]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    model = sentence_transformer(tmp_path / "origin", **origin)
    recipe = told(pooling=pooling or None, epochs=1.0, batch=6, unfreeze="last-1" if tuned else None)
    train(tmp_path / "texts.csv", tmp_path / "model", model=model, recipe=recipe)
    ours = load(tmp_path / "model").embed(SENTENCES)
    if pooling == "cls+mean":
        assert not (tmp_path / "model/modules.json").exists()
        return
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(SENTENCES)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-5
    embedder = load(tmp_path / "model")
    raw = embedder.embed(SENTENCES, pooling=embedder.contract.pooling)
    with torch.no_grad():  # the head reads the pooled states as they are
        logits = embedder.tower("text").reading.classifier.head(torch.from_numpy(raw)).numpy()
    assert np.abs(logits - embedder.logits(SENTENCES)).max() < 1e-4


@pytest.mark.slow
def test_the_card_says_what_from_what_when_and_how_well(tmp_path: Path, squares: Path) -> None:
    vit = tiny_vit(tmp_path / "vit")
    (vit / "README.md").write_text("---\ntags: [x]\nlicense: apache-2.0\n---\n# ViT\n")
    result = train(squares, tmp_path / "model", model=vit, recipe=Recipe())
    assert (result.model, result.source, result.licence) == ("vit", "squares", "apache-2.0")
    card = (tmp_path / "model/README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name: classtoken\n---")
    for said in (
        "base model: vit, licence apache-2.0",
        "data: squares, 60 records",
        f"{result.date}: 60 records learned from",
        f"| accuracy | {result.scores['accuracy']:.4f} [{result.intervals['accuracy'].low:.4f}",
        f"| calibration error (15 bins), as it is | {result.error_before:.4f} |",
        "3 labels: blue, green, red",
    ):
        assert said in card, said
    assert "0 steps" not in card
    assert str(tmp_path) not in card
    assert f"probabilities are off by {result.error:.4f} on average (calibration error" in str(result)
    folder = tmp_path / "model"
    assert str(result).endswith(
        f"\n  next: classtoken predict PICTURE.jpg --model {folder}"
        f"\n  of many: classtoken predict SOURCE --model {folder} --out LABELLED"
    )
    assert 'found = ct.predict("model", "PICTURE.jpg")' in card
    errors = (folder / "_meta/errors.html").read_text(encoding="utf-8")
    assert result.report == (folder / "_meta/errors.html").as_posix()
    assert f"{100 * result.scores['accuracy']:.1f}\N{NO-BREAK SPACE}% of 60 labelled records are right" in errors
    assert "by one of 5 heads that had not learned from it" in errors
    scratched = train(squares, tmp_path / "own", recipe=scratch())
    own = (tmp_path / "own/README.md").read_text(encoding="utf-8")
    assert "base model: none, it began with random weights" in own
    assert f"{scratched.steps} steps in" in own


@pytest.mark.slow
def test_layers_behind_the_pooling_that_a_head_does_not_read_are_told(tmp_path: Path) -> None:
    """A Dense module of the model's own: the trained folder is without it, says so, and gives one vector everywhere."""
    import sentence_transformers

    folder = sentence_transformer(tmp_path / "st", dense=8)
    rows = [f"{text},{'ab'[n % 2]}" for n, text in enumerate(texts(24))]
    source = tmp_path / "texts.csv"
    source.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    result = train(source, tmp_path / "out", model=folder)
    assert any("puts layers of its own (Dense) behind its pooling" in note for note in result.notes)
    ours = load(tmp_path / "out").embed(SENTENCES)
    assert ours.shape[1] == 32
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(SENTENCES)
    assert np.abs(ours - theirs).max() < 1e-5
    plain = train(source, tmp_path / "plain", model=sentence_transformer(tmp_path / "st2"))
    assert not any("layers of its own" in note for note in plain.notes)


def test_errors_are_shown_with_pictures_that_no_file_holds(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,label\n" + "".join(f"tiny-4-{i},{'ab'[i % 2]}\n" for i in range(40)))
    options = ct.SourceOptions(labels=tmp_path / "labels.csv")
    guessed = ct.train("builtin:toy", "builtin:tiny?count=40&seed=4", tmp_path / "out", source_options=options)
    assert guessed.scores["accuracy"] < 0.95
    page = (tmp_path / "out/_meta/errors.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image') == round(40 * (1 - guessed.scores["accuracy"]))
