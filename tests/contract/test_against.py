"""`inspect A --against B`: every kind of difference is named, and nothing else is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests import folders

import classtoken as ct
from classtoken.results.against import Against
from classtoken.results.inspect import Inspection

QUERY = "encoder.layer.1.attention.self.query.weight"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("against") / "bert")


def against(here: Path, there: Path) -> Against:
    found = ct.inspect(here, against=there)
    assert Inspection.from_json(found.to_json()) == found
    assert found.against is not None
    return found.against


def edited(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def moved(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights[QUERY] = weights[QUERY] * 1.25
    save_file(weights, folder / "model.safetensors")


def without_pooler(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: t for name, t in weights.items() if "pooler" not in name}, folder / "model.safetensors")


def shorter(folder: Path) -> None:
    edited(folder / "tokenizer_config.json", model_max_length=5)


def other_words(folder: Path) -> None:
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["normalizer"] = None
    (folder / "tokenizer.json").write_text(json.dumps(stored))


def test_a_copy_is_the_same(bert: Path, tmp_path: Path) -> None:
    found = against(shutil.copytree(bert, tmp_path / "copy"), bert)
    (side,) = found.sides
    assert (side.weights, side.contract, side.preprocessing, side.tokenizer) == ((), (), (), ())
    assert side.equal > 30
    assert side.lowest == pytest.approx(1.0, abs=1e-9)
    assert found.verdict == "the same vectors on all samples"


def test_weights_by_name_and_by_how_far_they_moved(bert: Path, tmp_path: Path) -> None:
    other = shutil.copytree(bert, tmp_path / "other")
    moved(other)
    found = against(bert, other)
    (side,) = found.sides
    (weight,) = side.weights
    assert weight.name == "blocks.1.attention.query.weight"
    assert weight.distance == pytest.approx(0.2, abs=1e-6)  # 0.25 of 1.25
    assert found.verdict == "other vectors"


def test_tensors_that_one_of_them_lacks(bert: Path, tmp_path: Path) -> None:
    other = shutil.copytree(bert, tmp_path / "other")
    without_pooler(other)
    found = against(bert, other)
    assert [(w.name, w.there, w.distance) for w in found.sides[0].weights] == [
        ("pooler.dense.bias", "", None),
        ("pooler.dense.weight", "", None),
    ]
    assert found.verdict == "the same vectors on all samples, though weights differ"


@pytest.mark.parametrize(
    ("harm", "part", "words"),
    [
        (shorter, "preprocessing", "max_length: 32 instead of 5"),
        (other_words, "tokenizer", "of 8 texts"),
    ],
)
def test_settings(bert: Path, tmp_path: Path, harm: Callable[[Path], None], part: str, words: str) -> None:
    other = shutil.copytree(bert, tmp_path / "other")
    harm(other)
    (side,) = against(bert, other).sides
    assert words in " ".join(str(one) for one in getattr(side, part))
    assert side.weights == ()


def test_another_contract_and_another_size(bert: Path, tmp_path: Path) -> None:
    other = folders.sentence_transformer(tmp_path / "st", mode="cls", dense=8)
    found = against(bert, other)
    (side,) = found.sides
    assert "pooling: mean instead of cls" in [str(one) for one in side.contract]
    assert side.cosine_why == "none: vectors of 32 and of 8 numbers"
    assert found.verdict == "their vectors cannot be compared"


def test_models_of_other_sides(bert: Path, tmp_path: Path) -> None:
    clip = folders.tiny_clip(tmp_path / "clip")
    found = against(bert, clip)
    assert found.only_there == ("image",)
    assert found.verdict == "they do not read the same: image only there"
    both = ct.inspect(clip, against=clip)
    assert both.against is not None
    assert [side.modality for side in both.against.sides] == ["image", "text"]
    assert "text side" in str(both)


def test_no_random_number_of_the_callers_is_drawn(bert: Path) -> None:
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    against(bert, bert)
    assert torch.equal(torch.rand(1), first)
