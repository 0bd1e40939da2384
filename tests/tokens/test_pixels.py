"""Preprocessing equal to the references': transformers' Pillow processors, torchvision's arithmetic for the rest."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from classtoken.errors import BadRecord
from classtoken.tokens.decode import decode
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.pixels import centre_crop, prepare, resized_size, size_for_patches
from classtoken.tokens.recipe import IMAGENET_MEAN, IMAGENET_STD, ImageRecipe
from classtoken.tokens.recipe_files import hugging_face_recipe, read_recipe
from classtoken.values import Layout, Role

SIZES = [(480, 640), (640, 480), (224, 224), (100, 37), (37, 333), (225, 301), (256, 256), (1, 7)]
VIT = Layout(((Role.CLASS, 1), (Role.CONTENT, 196)), (14, 14))

PROCESSORS = [
    ViTImageProcessorPil(),
    ViTImageProcessorPil(size={"height": 96, "width": 160}, resample=3, image_mean=[0.1, 0.2, 0.3]),
    ViTImageProcessorPil(do_normalize=False),
    ViTImageProcessorPil(do_rescale=False, resample=0),
    ViTImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 100}),
    ViTImageProcessorPil(do_resize=False, do_center_crop=True, crop_size=65),
    DeiTImageProcessorPil(),
    DeiTImageProcessorPil(size=288, crop_size={"height": 383, "width": 129}),
    BeitImageProcessorPil(),
    BeitImageProcessorPil(do_center_crop=True, size=256),
    BitImageProcessorPil(size={"shortest_edge": 256}, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD),
    CLIPImageProcessorPil(),
    CLIPImageProcessorPil(size=336, crop_size=336, resample=1),
    SiglipImageProcessorPil(),
    SiglipImageProcessorPil(size=90),
    ConvNextImageProcessorPil(size={"shortest_edge": 224}),
    ConvNextImageProcessorPil(),
]


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    """Smooth colours with noise on top, so that every interpolation shows."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 50
    waves = np.stack([np.sin(x + seed), np.cos(y * 1.3), np.sin(x * y)], -1) * 90 + 128
    return Image.fromarray((waves + rng.normal(0, 30, waves.shape)).clip(0, 255).astype(np.uint8))


def settings_of(processor: object) -> dict:
    return json.loads(processor.to_json_string())  # type: ignore[attr-defined]


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda p: type(p).__name__[:-17])
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_equal_to_the_bit_to_transformers(processor, size: tuple[int, int]) -> None:
    image = picture(*size)
    recipe = hugging_face_recipe(settings_of(processor), None, "preprocessor_config.json")
    theirs = np.asarray(processor(image).pixel_values[0])
    ours = prepare(image, recipe).values
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("size", [*SIZES, (17, 900)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("most", [256, 100])
def test_patches_of_any_grid_equal_siglip2(size: tuple[int, int], most: int) -> None:
    image = picture(*size)
    processor = Siglip2ImageProcessorPil(max_num_patches=most)
    theirs = processor(image)
    recipe = hugging_face_recipe(settings_of(processor), None, "preprocessor_config.json")
    layout = Layout(((Role.CONTENT, 256),), (16, 16))
    tokens = ImagePreprocessor(recipe, layout, 16)([image])
    np.testing.assert_array_equal(tokens.pixels[0].numpy(), theirs.pixel_values[0])
    np.testing.assert_array_equal(tokens.mask_BL[0].numpy(), np.asarray(theirs.pixel_attention_mask[0]).astype(bool))
    assert tokens.grids == (tuple(int(n) for n in theirs.spatial_shapes[0]),)
    height, width = size_for_patches(size, 16, most)
    assert (height // 16) * (width // 16) <= most


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_dinov3_rescales_before_it_resizes(size: tuple[int, int]) -> None:
    """Its processor needs torchvision; the same steps in torch, as that processor hands them on."""
    recipe = hugging_face_recipe({"image_processor_type": "DINOv3ViTImageProcessorFast"}, None, "f")
    image = picture(*size)
    values = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1) * (1 / 255)
    resized = torch.nn.functional.interpolate(values[None], (224, 224), mode="bilinear", antialias=True)
    expected = (resized[0] - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]
    np.testing.assert_allclose(prepare(image, recipe).values, expected.numpy(), atol=1e-6, rtol=0)
    in_eight_bits = prepare(image, ImageRecipe(resize="squash", interpolation="bilinear", mean=None, std=None)).values
    if size != (224, 224):  # the order of the steps can be told
        assert np.abs(in_eight_bits - resized[0].numpy()).max() > 1e-4


def test_real_photographs_through_a_real_folder(shared: Path) -> None:
    folder = shared / "models" / "deit-tiny-patch16-224"
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    preprocessor = ImagePreprocessor.from_folder(folder, VIT)
    paths = sorted((shared / "data" / "imagenet-samples").glob("*.jpg"))[:24]
    theirs = np.stack(processor([Image.open(path).convert("RGB") for path in paths]).pixel_values)
    tokens = preprocessor(paths)
    np.testing.assert_array_equal(tokens.pixels.numpy(), theirs)
    assert tokens.roles_BL.shape == (len(paths), 197)
    assert tokens.grid == (14, 14)
    assert "squash" in preprocessor.advice()[0]
    assert preprocessor.describe().startswith("resize 256x256 (squashed), bicubic, centre crop 224x224, x/255, mean")


def test_the_first_resize_is_of_the_short_side_for_the_original_recipe(shared: Path) -> None:
    recipe = read_recipe(shared / "models" / "deit-tiny-patch16-224").short_side()
    assert resized_size((300, 600), recipe) == (256, 512)
    assert recipe.crop == (224, 224)


def test_crops_round_as_either_house_does() -> None:
    """An odd rest: floor(3 / 2) = 1 for transformers, round(1.5) = 2 for torchvision; both agree on even rests."""
    pixels = np.arange(7 * 9, dtype=np.uint8).reshape(7, 9, 1).repeat(3, 2)
    assert centre_crop(pixels, (4, 5), ImageRecipe())[0, 0, 0] == 1 * 9 + 2
    assert centre_crop(pixels, (4, 5), ImageRecipe(rounding="torchvision"))[0, 0, 0] == 2 * 9 + 2
    # a border of 3: two above for transformers, one above for torchvision
    ours = centre_crop(pixels + 1, (10, 9), ImageRecipe())
    theirs = centre_crop(pixels + 1, (10, 9), ImageRecipe(rounding="torchvision", fill=(7, 7, 7)))
    assert [int(row[0, 0]) for row in ours[:3]] == [0, 0, 1]
    assert [int(row[0, 0]) for row in theirs[:3]] == [7, 1, 10]


def test_sizes_that_fit_and_cover() -> None:
    assert resized_size((100, 200), ImageRecipe(resize="fit", size=(64, 64))) == (32, 64)
    assert resized_size((100, 200), ImageRecipe(resize="short side", size=(64, 64))) == (64, 128)
    assert resized_size((100, 200), ImageRecipe(resize="short side", size=(64, 200))) == (100, 200)
    assert resized_size((1, 900), ImageRecipe(resize="fit", size=(64, 64))) == (1, 64)


def test_a_sliver_is_a_bad_record_not_a_memory_bomb() -> None:
    sliver = decode(np.zeros((2, 100_000), np.uint8))
    with pytest.raises(BadRecord, match=r"sliver\.png: 100000x2 would be resized to 11200000x224"):
        prepare(sliver, ImageRecipe(resize="short side", crop=(224, 224)), name="sliver.png")


def test_images_are_prepared_without_torch() -> None:
    """Worker processes that only decode and resize must not pay for importing torch."""
    script = (
        "import sys, numpy;"
        "from classtoken.tokens import decode, pixels, recipe, recipe_files, text_recipe, wordpieces;"
        "recipe = recipe.ImageRecipe(resize='squash');"
        "out = pixels.prepare(decode.decode(numpy.zeros((9, 9), 'uint8')), recipe);"
        "assert out.values.shape == (3, 224, 224); assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
