"""Masks beside pictures: upright, without alpha, of the same part."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from tests.folders import tiny_vit

import classtoken as ct
from classtoken.errors import OptionError
from classtoken.study.truth import mask_shares
from classtoken.tokens.masks import read_mask
from classtoken.values import Record

OBJECT = np.zeros((40, 60), dtype=np.uint8)
OBJECT[:20, :30] = 255


def record(folder: Path, mask: Image.Image, size: tuple[int, int] = (60, 40), orientation: int = 1) -> Record:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", size, "red").save(folder / "a.jpg", exif=exif)
    mask.save(folder / "a.png")
    return Record("a", image=folder / "a.jpg", meta={"mask": str(folder / "a.png")})


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGB", "RGBA", "I;16"])
def test_what_is_seen_is_the_object_whatever_it_is_kept_as(mode: str, tmp_path: Path) -> None:
    """An opaque alpha channel made the whole picture the object."""
    mask = Image.fromarray(OBJECT.astype(np.uint16) if mode == "I;16" else OBJECT)
    values = read_mask(record(tmp_path, mask if mode == "I;16" else mask.convert(mode)))
    there = values > 0 if values.ndim == 2 else (values > 0).any(-1)
    assert (there == (OBJECT > 0)).all()


def test_a_mask_with_alpha_gives_the_shares_of_one_without(tmp_path: Path) -> None:
    embedder = ct.load(tiny_vit(tmp_path / "vit"))
    prepare, grid = embedder.tower().prepare, embedder.layout.grid
    plain, alpha = (
        mask_shares(record(tmp_path, Image.fromarray(OBJECT).convert(mode)), grid, prepare) for mode in ("L", "RGBA")
    )
    assert plain is not None
    assert alpha is not None
    assert 0 < plain.mean() < 1
    assert (plain == alpha).all()


def test_masks_are_of_pictures_as_they_are_seen(tmp_path: Path) -> None:
    turned = record(tmp_path, Image.fromarray(OBJECT), size=(40, 60), orientation=6)  # 60x40 upright
    assert read_mask(turned).shape == (40, 60)
    assert read_mask(record(tmp_path, Image.fromarray(OBJECT[::4, ::4]))).shape == (10, 15)
    wrong = record(tmp_path, Image.fromarray(OBJECT), orientation=6)
    with pytest.raises(OptionError, match=r"has 60x40 pixels, and its picture, upright, 40x60"):
        read_mask(wrong)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(OptionError, match=r"a\.png' cannot be read .* take it out of `masks`"):
        read_mask(wrong)
