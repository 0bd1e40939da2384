"""A trained folder is whole: it opens wherever it is taken, whatever the origin was, and in 16 bits too."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.encoder.test_adapter import low_rank, write
from tests.folders import pictures, sentence_transformer, tiny_bert, tiny_clip, tiny_vit
from tests.learning.training import texts

import classtoken as ct
from classtoken.encoder.checkpoint import INDEX
from classtoken.errors import ModelError
from classtoken.learning.ways.logistic import deviations
from classtoken.tensors import halved

TUNED = {"unfreeze": "last-1", "epochs": 1.0, "batch": 20}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Texts of two and of eight words, told apart by that."""
    lines = [f"{text},{'short' if len(text.split()) == 2 else 'long'}\n" for text in texts(40)]
    path = tmp_path / "texts.csv"
    path.write_text("text,label\n" + "".join(lines))
    return path


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("way", ["frozen", "tuned"])
def test_of_an_adapter(way: str, beside: bool, labelled: Path, tmp_path: Path) -> None:
    """The adapter is in the weights, wherever its base lies, and may go."""
    base = tiny_bert(tmp_path / "places" / "base")
    adapter = base if beside else tmp_path / "places" / "adapter"
    write(adapter, low_rank(), base_model_name_or_path=str(base))
    before = ct.load(adapter).embed(texts(4), pooling="mean")
    ct.train(adapter, labelled, tmp_path / "trained", pooling="mean", **(TUNED if way == "tuned" else {}))
    shutil.rmtree(tmp_path / "places")
    moved = shutil.move(tmp_path / "trained", tmp_path / "elsewhere")
    model = ct.load(moved)
    assert model.logits(texts(4)).shape == (4, 2)
    assert np.allclose(model.embed(texts(4), pooling="mean"), before, atol=1e-6) == (way == "frozen")


def test_an_adapter_whose_base_has_a_readout_of_its_own_is_saved(labelled: Path, tmp_path: Path) -> None:
    """Its vectors were never those of the base's modules or head, whose files stay behind."""
    ct.train(tiny_bert(tmp_path / "bert"), labelled, tmp_path / "trained", pooling="cls")
    for base in (sentence_transformer(tmp_path / "st"), tmp_path / "trained"):
        adapter = write(tmp_path / f"on-{base.name}", low_rank(), base_model_name_or_path=str(base))
        model = ct.load(adapter)
        model.save(tmp_path / f"saved-{base.name}")
        again = ct.load(tmp_path / f"saved-{base.name}")
        np.testing.assert_allclose(again.embed(texts(4)), model.embed(texts(4)), atol=1e-6)


def test_labels_of_an_earlier_training_stay_behind(labelled: Path, tmp_path: Path) -> None:
    """Also where its head was ours alone, so that config.json names no classifier."""
    ct.train(tiny_bert(tmp_path / "bert"), labelled, tmp_path / "first", pooling="mean", **TUNED)
    assert "short" in (tmp_path / "first" / "config.json").read_text()
    labelled.write_text(labelled.read_text().replace(",short", ",few").replace(",long", ",many"))
    ct.train(tmp_path / "first", labelled, tmp_path / "second")
    assert "short" not in (tmp_path / "second" / "config.json").read_text()
    assert ct.load(tmp_path / "second").labels == ("few", "many")


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_in_16_bits_with_a_number_that_never_varies(head: str, labelled: Path, tmp_path: Path) -> None:
    """The class token before the first block is the same for every text."""
    out = tmp_path / "trained"
    ct.train(tiny_bert(tmp_path / "bert"), labelled, out, pooling="cls@0+mean", head=head, half=True)
    assert np.isfinite(ct.load(out).logits(texts(4))).all()
    assert max(float(tensor.abs().max()) for tensor in load_file(out / "classtoken.safetensors").values()) < 1e4


def test_16_bits_are_the_whole_encoder_and_not_the_head(squares: Path, tmp_path: Path) -> None:
    ct.train(tiny_vit(tmp_path / "vit"), squares, tmp_path / "trained", pooling="mean", half=True)
    assert {t.dtype for t in load_file(tmp_path / "trained/model.safetensors").values()} == {torch.float16}
    assert {t.dtype for t in load_file(tmp_path / "trained/classtoken.safetensors").values()} == {torch.float32}


def test_an_index_says_how_large_its_files_are_now(labelled: Path, tmp_path: Path) -> None:
    """16 bits are half as large, and a classifier that is left out is gone."""
    base = tiny_bert(tmp_path / "bert", head=True)
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    files = {name: f"model-{n % 2 + 1:05}-of-00002.safetensors" for n, name in enumerate(sorted(weights))}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, base / file)
    total = sum(tensor.nbytes for tensor in weights.values())
    index = {"metadata": {"total_size": total, "total_parameters": total // 4}, "weight_map": files}
    (base / INDEX).write_text(json.dumps(index))
    for half in (False, True):
        out = tmp_path / f"trained-{half}"
        ct.train(base, labelled, out, pooling="mean", half=half)
        told = json.loads((out / INDEX).read_text())
        held = {name: t for file in set(told["weight_map"].values()) for name, t in load_file(out / file).items()}
        assert told["weight_map"].keys() == held.keys() < weights.keys()
        assert told["metadata"] == {"total_size": sum(tensor.nbytes for tensor in held.values())}
        assert {tensor.dtype for tensor in held.values()} == {torch.float16 if half else torch.float32}


@pytest.mark.parametrize("side", ["text", "image"])
def test_of_one_side_of_two(side: str, labelled: Path, squares: Path, tmp_path: Path) -> None:
    """What was learned of one side says nothing of the other, whose vectors may have the same size."""
    base, source = tiny_clip(tmp_path / "clip"), labelled if side == "text" else squares
    for n in (1, 2):  # once more on what was trained
        ct.train(base, source, tmp_path / f"trained-{n}", pooling="mean", modality=side)
        base = tmp_path / f"trained-{n}"
        model = ct.load(base)
        model.save(tmp_path / f"saved-{n}")
        for one in (model, ct.load(tmp_path / f"saved-{n}")):
            assert one.modalities == (side,)
            items = texts(3) if side == "text" else pictures(3)
            wanted = ct.load(tmp_path / "clip").embed(items, modality=side, pooling="mean")
            np.testing.assert_allclose(one.embed(items), wanted, atol=1e-6)
            assert one.logits(items).shape == (3, 2 if side == "text" else 3)
    settings = (base / "classtoken.json").read_text()
    (base / "classtoken.json").write_text(settings.replace(f'"modality": "{side}"', '"modality": "sound"'))
    with pytest.raises(ModelError, match="is for modality 'sound', and the model there reads image and text"):
        ct.load(base)


def test_what_16_bits_do_not_reach_is_kept() -> None:
    large, small, counts = torch.tensor([7e4, 1.0]), torch.tensor([6e4, 1.0]), torch.tensor([1])
    assert torch.equal(halved(large), large)
    assert halved(large).dtype == torch.float32
    assert halved(small).dtype == torch.float16
    assert halved(counts) is counts


def test_a_column_that_varies_by_rounding_alone_is_not_stretched() -> None:
    rng = np.random.default_rng(0)
    columns = np.stack([rng.normal(size=50), np.full(50, 0.3) + rng.normal(0, 1e-8, 50), np.zeros(50)], axis=1)
    found = deviations(columns)
    assert found[0] == columns[:, 0].std()
    assert found[1:].tolist() == [1.0, 1.0]
