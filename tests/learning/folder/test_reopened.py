"""A model of another library's layout that was trained opens again: with its own vectors, or those that it learned."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests import folders
from tests.encoder.golden import GOLDEN
from tests.learning.training import told, train
from transformers import AutoModel, AutoModelForImageClassification

import classtoken as ct
from classtoken.encoder.checkpoint import open_checkpoint
from classtoken.errors import OptionError
from classtoken.learning.folder.write import write_whole

WAYS = {"frozen, cls": {"pooling": "cls"}, "frozen, mean": {"pooling": "mean"}, "tuned": {"unfreeze": "all"}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "way", "classes"),
    [
        ("deit3_small_patch16_224", "frozen, cls", 3),
        ("deit3_small_patch16_224", "frozen, mean", 0),
        ("deit3_small_patch16_224", "tuned", 3),
        ("deit_tiny_distilled_patch16_224", "frozen, cls", 0),  # its classifier is two
    ],
)
def test_timm(name: str, way: str, classes: int, squares: Path, tmp_path: Path) -> None:
    """In timm's own layout: as many classes as its classifier has rows, by their names, or no classifier at all."""
    origin, folder = GOLDEN / "timm" / name, tmp_path / "model"
    tuned = way == "tuned"
    options = WAYS[way] | ({"pooling": "cls", "epochs": 1.0, "batch": 24} if tuned else {})
    train(squares, folder, model=origin, recipe=told(**options))
    model, paths = ct.load(folder), sorted(squares.rglob("*.png"))[::9]
    assert model.labels == ("blue", "green", "red")
    assert model.logits(paths).shape == (len(paths), 3)
    before = ct.load(origin)
    assert model.tower().prepare.describe() == before.tower().prepare.describe()
    same = np.abs(model.embed(paths, pooling="cls") - before.embed(paths, pooling="cls")).max() < 1e-5
    assert same != tuned
    config, checkpoint = json.loads((folder / "config.json").read_text()), open_checkpoint(folder)
    sizes = checkpoint.weights.sizes()
    rows = sizes["head.weight"][0] if "head.weight" in sizes else 0
    assert (
        config["num_classes"] == config["model_args"]["num_classes"] == config["pretrained_cfg"]["num_classes"] == rows
    )
    assert config.get("label_names") == (["blue", "green", "red"] if rows else None)
    assert rows == classes


@pytest.fixture
def open_clip(tmp_path: Path) -> Path:
    """A folder of open_clip's with both sides."""
    folder = shutil.copytree(GOLDEN / "open_clip" / "clip", tmp_path / "clip")
    folders.bert_tokenizer(folder, longest=10)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"pool_type": "eos", "eos_id": 3}
    config["preprocess_cfg"] |= {"size": [16, 16], "mode": "RGB", "fill_color": 0}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def test_the_pictures_side_of_open_clip(open_clip: Path, squares: Path, tmp_path: Path) -> None:
    """Trained further it is an encoder of its own, in our format, with pictures prepared as before."""
    ct.train(open_clip, squares, tmp_path / "model", modality="image", unfreeze="all", epochs=1.0, batch=24)
    model, paths = ct.load(tmp_path / "model"), sorted(squares.rglob("*.png"))[::9]
    assert model.modalities == ("image",)
    assert model.logits(paths).shape == (len(paths), 3)
    pixels = [m.tower("image").prepare(paths).pixels for m in (model, ct.load(open_clip))]
    assert pixels[0] is not None
    assert pixels[1] is not None
    np.testing.assert_allclose(pixels[0], pixels[1], atol=1e-6)


def test_a_pooled_output_is_not_trained_further(open_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text,label\n" + "".join(f"the cat {i},a\na dog {i},b\n" for i in range(6)))
    with pytest.raises(OptionError, match="its own pooled output, not trained here"):
        ct.train(open_clip, tmp_path / "texts.csv", tmp_path / "model", modality="text", unfreeze="all")


@pytest.mark.parametrize("way", ["frozen", "tuned"])
def test_others_compute_in_32_bits_whatever_the_origin_stores(way: str, squares: Path, tmp_path: Path) -> None:
    """16 bits are how weights are written, by `half` or by the origin; what they were judged at is 32."""
    origin = folders.tiny_vit(tmp_path / "origin")
    path = origin / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in config.items() if k != "dtype"} | {"torch_dtype": "float16"}))
    tuned = {"unfreeze": "all", "epochs": 1.0, "batch": 24} if way == "tuned" else {}
    ct.train(origin, squares, tmp_path / "model", pooling="cls", half=True, **tuned)
    theirs = AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
    assert theirs.dtype == torch.float32
    model, paths = ct.load(tmp_path / "model"), sorted(squares.rglob("*.png"))[::9]
    tokens = model.tower("image").prepare(paths)
    assert tokens.pixels is not None
    with torch.no_grad():
        logits = theirs(tokens.pixels).logits
    np.testing.assert_allclose(logits, model.logits(paths), atol=1e-5)


def test_both_sides_compute_in_32_bits(tmp_path: Path) -> None:
    """A model of two sides has a config within its config for each."""
    origin = folders.tiny_clip(tmp_path / "origin")
    config = json.loads((origin / "config.json").read_text())
    (origin / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    weights = load_file(origin / "model.safetensors")
    (tmp_path / "model").mkdir()
    write_whole(tmp_path / "model", origin, weights, half=True)
    theirs = AutoModel.from_pretrained(tmp_path / "model")
    assert {weight.dtype for weight in theirs.parameters()} == {torch.float32}
