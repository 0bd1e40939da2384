"""Classes in words: CLIP's and SigLIP's own zero-shot answers, templates averaged, and the verb that writes them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tests import folders

import classtoken as ct
from classtoken.cli import main
from classtoken.embedder.zero_shot import WordedClass, by_words, trained_scale, worded_classes
from classtoken.errors import ContractError, OptionError

CLASSES = ("cat", "dog", "blue house")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = folders.tiny_clip(tmp_path_factory.mktemp("zero-shot") / "clip")
    assert isinstance(folder, Path)
    return folder


def reference(clip: Path, pictures: list[Image.Image], texts: list[str]) -> np.ndarray:
    """transformers' own probabilities: softmax of logits_per_image."""
    model = transformers.CLIPModel.from_pretrained(clip).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(clip, use_fast=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(clip)
    with torch.no_grad():
        out = model(
            pixel_values=processor(pictures, return_tensors="pt")["pixel_values"],
            **tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False),
        )
    return out.logits_per_image.softmax(-1).numpy()


def test_the_answers_are_those_of_the_reference(clip: Path) -> None:
    embedder, pictures = ct.load(clip), folders.pictures(3)
    classes = worded_classes(CLASSES, None)
    found = by_words(embedder, classes, ["the {}"])
    assert found.labels == CLASSES
    expected = reference(clip, pictures, [f"the {name}" for name in CLASSES])
    # 1e-4: the logit scale multiplies what images differ by between the two processors
    probabilities = found.side("image").probabilities(pictures)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    assert embedder.towers["image"].reading.classifier is None  # the model that was given is as it was


def test_templates_and_several_words_are_averaged(clip: Path) -> None:
    embedder = ct.load(clip)
    classes = (WordedClass("cat", ("cat", "red cat")), WordedClass("dog", ("dog",)))
    found = by_words(embedder, classes, ["the {}", "a {}"], scale=3.0)
    texts = ["the cat", "a cat", "the red cat", "a red cat"]
    vectors = embedder.embed(texts, modality="text")
    assert isinstance(vectors, np.ndarray)
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
    head = found.towers["image"].reading.classifier.head  # type: ignore[union-attr]
    np.testing.assert_allclose(head.weight[0].detach(), mean / np.linalg.norm(mean), atol=1e-6)
    assert float(head.log_scale.exp().detach()) == pytest.approx(3.0)


def test_the_scale_is_the_models_own(clip: Path, tmp_path: Path) -> None:
    model = transformers.CLIPModel.from_pretrained(clip)
    assert trained_scale(ct.load(clip)) == pytest.approx(float(model.logit_scale.detach().exp()), rel=1e-5)
    assert trained_scale(ct.load(folders.sentence_transformer(tmp_path / "texts"))) is None


def test_texts_can_be_classified_too(tmp_path: Path) -> None:
    embedder = ct.load(folders.sentence_transformer(tmp_path / "texts"))
    found = by_words(embedder, worded_classes(CLASSES, None))
    assert found.labels[int(found.probabilities(["blue house"])[0].argmax())] == "blue house"


def test_what_cannot_be_done_is_refused(clip: Path, tmp_path: Path) -> None:
    for classes, file, says in (
        ((), None, "not both"),
        (("cat",), tmp_path / "x", "not both"),
        (("cat",), None, "is the only class"),
        (("cat", "cat"), None, "'cat' is named twice"),
        (("cat", ""), None, "a class has an empty name"),
    ):
        with pytest.raises(OptionError, match=says):
            worded_classes(classes, file)
    with pytest.raises(OptionError, match="cannot be read"):
        worded_classes((), tmp_path / "none.txt")
    (tmp_path / "classes.txt").write_text("0\tcat|red cat\n1\tdog\n\nbird\n")
    assert worded_classes((), tmp_path / "classes.txt") == (
        WordedClass("0", ("cat", "red cat")),
        WordedClass("1", ("dog",)),
        WordedClass("bird", ("bird",)),
    )
    with pytest.raises(OptionError, match=r"has no \{\} where"):
        by_words(ct.load(clip), worded_classes(CLASSES, None), ["a photo"])
    with pytest.raises(ContractError, match="reads no text"):
        by_words(ct.load(folders.tiny_vit(tmp_path / "vit", pooler=False)), worded_classes(CLASSES, None))


@pytest.mark.slow
def test_predict_by_words(clip: Path, squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "labelled"
    asked = [
        "predict",
        str(squares),
        "--model",
        str(clip),
        "--out",
        str(out),
        "--template",
        "the {}",
        "--template",
        "a {}",
    ]
    words = [part for name in ("blue", "green", "red") for part in ("--class", name)]
    assert main([*asked, *words]) == 0
    rows = (out / "predictions.csv").read_text().splitlines()
    assert len(rows) == 61
    assert {row.split(",")[2] for row in rows[1:]} <= {"blue", "green", "red"}
    assert main([*asked, "--class", "blue", "--class", "red"]) == 2  # other classes: another piece of work
    found = ct.predict(
        clip, squares, tmp_path / "again", classes=["blue", "green", "red"], templates=["the {}", "a {}"]
    )
    assert found.judged == 60
    assert found.labels == ("blue", "green", "red")
    calibrated = ct.predict(clip, squares, tmp_path / "calibrated", classes=["blue", "green", "red"], calibrate=squares)
    assert calibrated.judged == 60
    with pytest.raises(OptionError, match="only for classes in words"):
        ct.predict(clip, squares, tmp_path / "no", templates=["{}"])
