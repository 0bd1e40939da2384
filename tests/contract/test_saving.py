"""A model that is saved gives the same vectors when it is opened again, whatever `load` was given."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.folders import SENTENCES, coloured_squares, pictures, sentence_transformer, tiny_bert, tiny_clip, tiny_vit

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


def test_a_side_of_images_has_no_longest_text(tmp_path: Path) -> None:
    model = ct.load(tiny_clip(tmp_path / "clip"), max_length=5).side("image")
    again = ct.load(model.save(tmp_path / "saved"))
    np.testing.assert_allclose(again.embed(pictures(), modality="image"), model.embed(pictures()), atol=1e-6)


@pytest.mark.parametrize(
    "asked",
    [
        {"pooling": "cls"},
        {"pooling": "first"},
        {"pooling": "max", "normalize": True},
        {"normalize": True},
        {"pooling": "cls@1"},
    ],
)
def test_sentence_transformers_gives_the_saved_vectors(
    asked: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It had read the folder by the modules of the original. What it has no name for it does not find either."""
    from sentence_transformers import SentenceTransformer

    bases = [
        sentence_transformer(tmp_path / "st", prompts=True, pooled=False, unit=False),
        tiny_bert(tmp_path / "bert"),
    ]
    bases += [sentence_transformer(tmp_path / "dense", dense=16)] if "pooling" in asked else []
    for base in bases[:1] if asked.get("pooling") == "first" else bases:
        settings = base / "config_sentence_transformers.json"
        if base.name == "dense":
            settings.write_text(settings.read_text().replace("{", '{"truncate_dim": 7,', 1))
        model = ct.load(base, **asked)
        saved = model.save(tmp_path / f"{base.name}-saved")
        vectors, prompt = model.embed(SENTENCES), {"prompt_name": "query"} if base.name == "st" else {}
        assert np.array_equal(ct.load(saved).embed(SENTENCES), vectors)
        if asked["pooling" if "pooling" in asked else "normalize"] == "cls@1":
            assert (saved / "modules.json").exists() == (base.name == "st")  # by which prompts are left out
        elif base.name == "st" and asked.get("pooling") == "cls":
            assert "cannot say 'cls'" in caplog.text  # its `cls` is the first token behind the prompt
        else:
            theirs = SentenceTransformer(str(saved), device="cpu").encode(SENTENCES, **prompt)
            np.testing.assert_allclose(theirs, vectors, atol=1e-5)


def test_what_sentence_transformers_reads_otherwise_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base = sentence_transformer(tmp_path / "st", pooled=False)
    ct.load(base, pooling="cls@1").save(tmp_path / "saved")
    assert "by its modules.json, which cannot say 'cls@1': it gives other vectors there" in caplog.text
    caplog.clear()
    ct.load(base, pooling="max").save(tmp_path / "max")
    assert not caplog.text


def test_a_training_is_no_part_of_its_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A training into the saved folder was said to be finished. What a model has learned from goes with it."""
    squares = coloured_squares(tmp_path / "in", 6)
    ct.train(tiny_vit(tmp_path / "vit"), squares, tmp_path / "out")
    saved = ct.load(tmp_path / "out").save(tmp_path / "saved")
    there = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert {name for name in there if name.startswith(("_meta", "features"))} == {"_meta/learned.npy"}
    before, after = (ct.predict(str(path), squares, path.with_suffix(".said")) for path in (tmp_path / "out", saved))
    assert before.judged_seen == after.judged_seen == 18
    ct.load(tmp_path / "out", pooling="cls", normalize=True).save(tmp_path / "cls")
    assert not caplog.text
    ct.load(tmp_path / "out", pooling="mean").save(tmp_path / "mean")
    assert "reads 'cls': a folder has one pooling, and" in caplog.text


def test_links_and_other_forms_of_the_weights(tmp_path: Path) -> None:
    """A module that is a link was left empty, one to nowhere ended in an error of Python's; a graph stayed."""
    base = sentence_transformer(tmp_path / "st", dense=16)
    for name in ("1_Pooling", "2_Dense"):
        (base / name).rename(tmp_path / name)
        (base / name).symlink_to(tmp_path / name)
    (base / "nowhere").symlink_to("none")
    (base / "round").symlink_to(base)
    (base / "onnx").mkdir()
    (base / "onnx" / "model.onnx").write_text("of other weights")
    os.mkfifo(base / "pipe")
    model = ct.load(base)
    saved = model.save(tmp_path / "saved")
    assert np.array_equal(ct.load(saved).embed(SENTENCES), model.embed(SENTENCES))
    assert not {"nowhere", "round", "onnx", "pipe"} & {path.name for path in saved.rglob("*")}
