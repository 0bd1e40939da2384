"""Batches of images and the roles of their tokens: any layout, any grid."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classtoken.errors import BadRecord, ModelError
from classtoken.tokens.image import ImagePreprocessor, patch_size
from classtoken.tokens.recipe import ImageRecipe
from classtoken.tokens.roles import at_grid, image_roles, patch_roles
from classtoken.values import Layout, Role

C, D, R, P, PAD = Role.CLASS, Role.DISTILLATION, Role.REGISTER, Role.CONTENT, Role.PAD
FIRST = Layout(((C, 1), (D, 1), (R, 2), (P, 4)), (2, 2))
LAST = Layout(((R, 2), (P, 4), (C, 1)), (2, 2))


def pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("layout", "expected"), [(FIRST, [C, D, R, R, *[P] * 6]), (LAST, [R, R, *[P] * 6, C])], ids=["first", "last"]
)
def test_roles_of_another_grid(layout: Layout, expected: list[Role]) -> None:
    roles_BL = image_roles(layout, 3, (2, 3))
    assert roles_BL.tolist() == [[int(role) for role in expected]] * 3
    assert str(at_grid(layout, (2, 3))).endswith(f"= {len(expected)}")


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=5), st.sampled_from([FIRST, LAST])
)
def test_every_image_has_its_own_patches(grids: list[tuple[int, int]], layout: Layout) -> None:
    roles_BL = patch_roles(layout, grids, 16)
    assert roles_BL.shape == (len(grids), 16 + layout.length - 4)
    for roles, (rows, columns) in zip(roles_BL, grids, strict=True):
        assert (roles == P).sum() == rows * columns
        assert (roles == PAD).sum() == 16 - rows * columns
        for role in (C, D, R):
            assert (roles == role).sum() == layout.count(role)
        patches = roles[(roles == P) | (roles == PAD)]
        assert bool((patches[: rows * columns] == P).all())


def test_a_batch() -> None:
    recipe = ImageRecipe(resize="short side", size=(32, 32), crop=(32, 32))
    preprocessor = ImagePreprocessor(recipe, FIRST, 16)
    tokens = preprocessor([pixels(40, 60), pixels(32, 32)])
    assert tokens.pixels.shape == (2, 3, 32, 32)
    assert tokens.pixels.dtype == torch.float32
    assert (tokens.grid, tokens.roles_BL.shape, len(tokens)) == ((2, 2), (2, 8), 2)
    assert str(preprocessor.layout) == "1 class + 1 distillation + 2 register + 2x2 patch = 8"
    alone = preprocessor([pixels(32, 32)])
    torch.testing.assert_close(tokens.pixels[1:], alone.pixels, rtol=0, atol=0)
    empty = preprocessor([])
    assert (empty.pixels.shape, empty.roles_BL.shape) == ((0, 3, 32, 32), (0, 8))
    again = pickle.loads(pickle.dumps(preprocessor))
    torch.testing.assert_close(again([pixels(32, 32)]).pixels, alone.pixels, rtol=0, atol=0)


def test_another_size_than_the_positions_were_learned_for_is_said() -> None:
    larger = ImagePreprocessor(ImageRecipe(resize="squash", size=(64, 48)), FIRST, 16)
    assert larger.native_size == (32, 32)
    assert larger.layout.grid == (4, 3)
    assert larger([pixels(9, 9)]).roles_BL.shape == (1, 4 + 12)
    assert "64x48 images to a model whose positions were learned at 32x32" in larger.advice()[0]
    remainder = ImagePreprocessor(ImageRecipe(resize="squash", size=(37, 37)), FIRST, 16)
    assert remainder.advice() == ()  # the same 2x2 patches


def test_sizes_that_differ_in_a_batch_are_named() -> None:
    preprocessor = ImagePreprocessor(ImageRecipe(), FIRST, 16)
    assert preprocessor([pixels(32, 48)]).grid == (2, 3)
    with pytest.raises(ModelError, match=r"different sizes \(32x32, 32x48\), because the recipe fixes none"):
        preprocessor([pixels(32, 48), pixels(32, 32)])
    with pytest.raises(BadRecord, match="9x5 pixels are less than one patch of 16x16"):
        preprocessor([pixels(5, 9)])


def test_the_bad_image_is_named() -> None:
    preprocessor = ImagePreprocessor(ImageRecipe(resize="squash"), FIRST, 16)
    with pytest.raises(BadRecord, match=r"lost\.jpg: there is no such file"):
        preprocessor([pixels(5, 5), "lost.jpg"])
    with pytest.raises(BadRecord, match="photo 7: the file is empty"):
        preprocessor.prepare(b"", name="photo 7")


CONFIGS = [
    ("config", {"patch_size": 14}, 14),
    ("config", {"patch_size": [8, 8]}, 8),
    ("config", {"vision_config": {"patch_size": 32}}, 32),
    ("config", {"architecture": "vit_base_patch14_reg4_dinov2"}, 14),
    ("config", {"architecture": "vit_x", "model_args": {"patch_size": 12}}, 12),
    ("open_clip_config", {"model_cfg": {"vision_cfg": {"patch_size": 16}}}, 16),
    ("open_clip_config", {"model_cfg": {"vision_cfg": {"timm_model_name": "vit_base_patch16_siglip_224"}}}, 16),
]


@pytest.mark.parametrize(("name", "config", "expected"), CONFIGS)
def test_patch_size(name: str, config: dict, expected: int, tmp_path: Path) -> None:
    (tmp_path / f"{name}.json").write_text(json.dumps(config))
    assert patch_size(tmp_path) == expected


def test_what_cannot_be_an_image_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not say how large a patch is"):
        patch_size(tmp_path)
    with pytest.raises(ModelError, match="has no patch grid"):
        ImagePreprocessor(ImageRecipe(), Layout(((P, None),)), 16)
