"""An `ImageRecipe` -> preprocessor_config.json, so that other libraries prepare images in the same way."""

from typing import Any

from PIL import Image

from classtoken.errors import OptionError
from classtoken.tokens.recipe import ImageRecipe


def hugging_face_settings(recipe: ImageRecipe) -> dict[str, Any]:
    """What to write into preprocessor_config.json; reading it gives the same recipe, in transformers as here.

    Raises `OptionError` for what no processor of transformers does: fitting an image into a frame, covering a target
    that is not square, and torchvision's rounding of the crop. Copy the file that such a recipe came from.
    """
    square = recipe.size[0] == recipe.size[1]
    shifted = recipe.rounding == "torchvision" and recipe.resize == "short side" and recipe.crop is not None
    if recipe.resize == "fit" or (recipe.resize == "short side" and not square) or shifted:
        raise OptionError(
            f"no preprocessor_config.json can say this: {recipe.describe()}. Copy the file that it was read from."
        )
    settings: dict[str, Any] = {
        "image_processor_type": f"{_processor(recipe)}ImageProcessor",
        "do_convert_rgb": True,
        "do_resize": recipe.resize != "none",
        "resample": int(Image.Resampling[recipe.interpolation.upper()]),
        "do_center_crop": recipe.crop is not None,
        "do_rescale": recipe.rescale is not None,
        "do_normalize": recipe.mean is not None,
    }
    if recipe.resize == "squash":
        settings["size"] = {"height": recipe.size[0], "width": recipe.size[1]}
    if recipe.resize == "short side":
        longest = {"longest_edge": recipe.longest} if recipe.longest else {}
        settings["size"] = {"shortest_edge": recipe.size[0], **longest}
    if recipe.resize == "patches":
        settings |= {"patch_size": recipe.patch, "max_num_patches": recipe.most_patches}
    if recipe.crop is not None:
        settings["crop_size"] = {"height": recipe.crop[0], "width": recipe.crop[1]}
    if recipe.rescale is not None:
        settings["rescale_factor"] = recipe.rescale
    if recipe.mean is not None and recipe.std is not None:
        settings |= {"image_mean": list(recipe.mean), "image_std": list(recipe.std)}
    return settings


def _processor(recipe: ImageRecipe) -> str:
    """The class of transformers that does just these steps."""
    if recipe.rescale_first:
        return "DINOv3ViT"
    if recipe.resize == "patches":
        return "Siglip2"
    if recipe.resize == "short side":
        return "CLIP"
    return "DeiT" if recipe.crop else "ViT"
