"""timm, open_clip and DINOv3's torchvision processor, from files made once by tools/golden_preprocessing.py."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classtoken.tokens.pixels import prepare
from classtoken.tokens.recipe import ImageRecipe
from classtoken.tokens.recipe_files import hugging_face_recipe, open_clip_recipe, timm_recipe

FILE = Path(__file__).parent / "golden" / "preprocessing.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


def recipe_of(case: dict) -> ImageRecipe:
    if case["kind"] == "timm":
        return timm_recipe(case["settings"])
    if case["kind"] == "open_clip":
        return open_clip_recipe({"preprocess_cfg": case["settings"]})
    return hugging_face_recipe(case["settings"], None, "preprocessor_config.json")


@pytest.mark.parametrize("kind", ["timm", "open_clip", "transformers"])
def test_equal_to_what_they_made(kind: str, golden: dict[str, np.ndarray]) -> None:
    cases = json.loads(str(golden["about"]))["cases"]
    seen = 0
    for number, case in enumerate(cases):
        if case["kind"] != kind:
            continue
        image = Image.fromarray(golden[f"image{case['image']}"])
        ours = prepare(image, recipe_of(case)).values
        np.testing.assert_allclose(ours, golden[f"case{number}"], atol=1e-6, rtol=0, err_msg=str(case))
        seen += 1
    assert seen >= 4


def test_the_golden_file_says_what_made_it(golden: dict[str, np.ndarray]) -> None:
    versions = json.loads(str(golden["about"]))["versions"]
    assert set(versions) == {"timm", "open_clip_torch", "torchvision", "torch", "transformers", "pillow"}
