"""A processor class that is not known here: its pixels are compared with transformers' own before the first vector."""

import json
from pathlib import Path

import numpy as np
import pytest
import transformers
from tests import folders

import classtoken as ct
from classtoken.results.inspect import Verdict

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def with_processor(folder: Path, name: str, **settings: object) -> Path:
    """A tiny ViT whose preprocessor file was written by another class of transformers."""
    folders.tiny_vit(folder)
    getattr(transformers, name)(**settings).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("LevitImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
        ("PerceiverImageProcessor", {"size": {"height": 32, "width": 32}, "crop_size": {"height": 40, "width": 40}}),
    ],
)
def test_one_that_does_something_else_is_refused(tmp_path: Path, name: str, settings: dict[str, object]) -> None:
    folder = with_processor(tmp_path / "model", name, **settings)
    with pytest.raises(ct.errors.ContractError, match=rf"{name}.*pixels of 2 pictures differ"):
        ct.load(folder)


@pytest.mark.parametrize("name", ["PvtImageProcessor", "SegformerImageProcessor"])
def test_one_that_does_the_four_plain_steps_is_read_and_that_is_proved(tmp_path: Path, name: str) -> None:
    side = {"height": 32, "width": 32}
    folder = with_processor(tmp_path / "model", name, size=side, crop_size=side)
    theirs = transformers.AutoImageProcessor.from_pretrained(folder)(PICTURE, return_tensors="pt")["pixel_values"]
    ours = ct.load(folder).tokens([PICTURE]).pixels
    assert float((ours - theirs).abs().max()) < 1e-4
    claims = [claim for claim in ct.inspect(folder).claims if name in claim.value]
    assert [claim.verdict for claim in claims] == [Verdict.PROVED]


def test_one_that_nobody_has_is_refused_unless_it_is_accepted(tmp_path: Path) -> None:
    folder = folders.tiny_vit(tmp_path / "model")
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "image_processor_type": "SomeImageProcessor"}))
    with pytest.raises(ct.errors.ContractError, match=r"SomeImageProcessor.*no reference here"):
        ct.load(folder)
    assert ct.load(folder, accept="image_processor_type").embed([PICTURE]).shape == (1, 32)


@pytest.mark.parametrize("said", ["bicubic", "bilinear", None])
def test_words_for_how_to_resample_are_what_transformers_makes_of_them(tmp_path: Path, said: str | None) -> None:
    side = {"height": 32, "width": 32}
    folder = with_processor(tmp_path / "model", "CLIPImageProcessor", size={"shortest_edge": 36}, crop_size=side)
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "resample": said}))
    if said != "bilinear":
        with pytest.raises(ct.errors.ModelError, match="write Pillow's number"):
            ct.load(folder)
        return
    theirs = transformers.AutoImageProcessor.from_pretrained(folder)(PICTURE, return_tensors="pt")["pixel_values"]
    assert float((ct.load(folder).tokens([PICTURE]).pixels - theirs).abs().max()) < 1e-4
