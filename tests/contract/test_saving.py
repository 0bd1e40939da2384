"""A model that is saved gives the same vectors when it is opened again, whatever `load` was given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.folders import SENTENCES, pictures, sentence_transformer, tiny_bert, tiny_clip

import classtoken as ct
from classtoken.errors import OptionError


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_no_digits_are_lost_to_a_lower_precision(precision: Any, tmp_path: Path) -> None:
    base = tiny_bert(tmp_path / "bert")
    model = ct.load(base, precision=precision)
    saved = model.save(tmp_path / "saved")
    before, after = (load_file(folder / "model.safetensors") for folder in (base, saved))
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = ct.load(saved, precision=precision)
    assert np.array_equal(again.embed(SENTENCES), model.embed(SENTENCES))
    with torch.no_grad():
        model.encoder.blocks[0].attention.query.weight.mul_(2)
    changed = load_file(model.save(tmp_path / "changed") / "model.safetensors")
    moved = [name for name in before if not torch.equal(before[name], changed[name])]
    assert moved == ["encoder.layer.0.attention.self.query.weight"]


def test_the_longest_text(tmp_path: Path) -> None:
    """Other libraries cut there, too."""
    for base in (tiny_bert(tmp_path / "bert"), sentence_transformer(tmp_path / "st"), tiny_clip(tmp_path / "clip")):
        model = ct.load(base, max_length=5)
        again = ct.load(model.save(tmp_path / f"{base.name}-saved"))
        vectors = model.embed(SENTENCES, modality="text")
        assert np.abs(vectors - ct.load(base).embed(SENTENCES, modality="text")).max() > 1e-3
        np.testing.assert_allclose(again.embed(SENTENCES, modality="text"), vectors, atol=1e-6)
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(tmp_path / "st-saved"), device="cpu").encode(SENTENCES)
    np.testing.assert_allclose(theirs, ct.load(tmp_path / "st-saved").embed(SENTENCES), atol=1e-5)


@pytest.mark.parametrize("unit", [True, False])
def test_a_length_that_a_saved_pooling_cannot_say(unit: bool, tmp_path: Path) -> None:
    """Layers behind the pooling stay, where the length is what it was; another one is refused."""
    bases = [sentence_transformer(tmp_path / "dense", dense=16), tiny_clip(tmp_path / "clip")]
    for base, item in zip(bases, [SENTENCES, pictures()], strict=True):
        model, side = ct.load(base, normalize=unit), "image" if base.name == "clip" else "text"
        if unit:
            again = ct.load(model.save(tmp_path / f"{base.name}-saved"))
            np.testing.assert_allclose(again.embed(item, modality=side), model.embed(item, modality=side), atol=1e-6)
        else:
            with pytest.raises(OptionError, match=r"`normalize` False cannot be saved: .* load it with a `pooling`"):
                model.save(tmp_path / "saved")
            assert not (tmp_path / "saved").exists()
    model = ct.load(sentence_transformer(tmp_path / "mean"), normalize=unit)
    again = ct.load(model.save(tmp_path / "mean-saved"))
    np.testing.assert_allclose(again.embed(SENTENCES), model.embed(SENTENCES), atol=1e-6)
