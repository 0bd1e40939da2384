"""What is written for other libraries reads back as the same recipe, here and in transformers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoImageProcessor

from classtoken.errors import OptionError
from classtoken.tokens.pixels import prepare
from classtoken.tokens.recipe import IMAGENET_MEAN, IMAGENET_STD, ImageRecipe
from classtoken.tokens.recipe_files import read_recipe
from classtoken.tokens.recipe_settings import hugging_face_settings

RECIPES = [
    ImageRecipe(resize="squash", size=(32, 48), interpolation="bilinear"),
    ImageRecipe(resize="squash", size=(64, 64), crop=(48, 40), mean=IMAGENET_MEAN, std=IMAGENET_STD),
    ImageRecipe(resize="short side", size=(40, 40), crop=(32, 32), interpolation="lanczos"),
    ImageRecipe(resize="short side", size=(40, 40), longest=60),
    ImageRecipe(resize="none", rescale=None, mean=None, std=None),
    ImageRecipe(resize="patches", patch=16, most_patches=30, interpolation="bilinear"),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.resize)
def test_there_and_back(recipe: ImageRecipe, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(hugging_face_settings(recipe)))
    assert replace(read_recipe(tmp_path), size=recipe.size, source="default") == recipe
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 75, 3), dtype=np.uint8))
    theirs = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")(image)["pixel_values"][0]
    ours = prepare(image, recipe).values
    np.testing.assert_array_equal(ours, np.asarray(theirs)[: len(ours)])


def test_floating_point_recipes_read_back(tmp_path: Path) -> None:
    recipe = ImageRecipe(resize="squash", rescale_first=True, interpolation="bilinear")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(hugging_face_settings(recipe)))
    assert replace(read_recipe(tmp_path), source="default") == recipe


@pytest.mark.parametrize(
    "recipe",
    [
        ImageRecipe(resize="fit"),
        ImageRecipe(resize="short side", size=(8, 9)),
        ImageRecipe(resize="short side", crop=(200, 200), rounding="torchvision"),
    ],
)
def test_what_no_file_can_say(recipe: ImageRecipe) -> None:
    with pytest.raises(OptionError, match=r"no preprocessor_config\.json can say this: resize .*Copy the file"):
        hugging_face_settings(recipe)
