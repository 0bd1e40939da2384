"""One upright RGB image and a recipe -> the numbers that enter the encoder; numpy and Pillow, no torch.

The order and the arithmetic are those of the reference (transformers' Pillow processors; timm and open_clip on top of
torchvision), so that the result is equal to the bit. Values are 8 bits wide until the end, so rescaling and normalising
are one table look-up per colour.
"""

from functools import lru_cache
from math import ceil, isqrt
from typing import NamedTuple

import numpy as np
from PIL import Image

from classtoken.errors import BadRecord
from classtoken.tokens.recipe import ImageRecipe, Size

MOST_RESIZED_PIXELS = 64_000_000
"""A sliver of 2x100000 whose short side grows to 224 would take gigabytes."""


class Pixels(NamedTuple):
    """What an encoder reads: (channels, height, width) float32, or (P, patch * patch * 3) with its grid (SigLIP 2)."""

    values: np.ndarray
    grid: tuple[int, int] | None = None


def prepare(image: Image.Image, recipe: ImageRecipe, *, name: str = "image") -> Pixels:
    """Resize, crop, rescale and normalise one 8-bit RGB image. Raises `BadRecord` for slivers of absurd shape."""
    height, width = resized_size((image.height, image.width), recipe)
    if height * width > MOST_RESIZED_PIXELS:
        raise BadRecord(
            f"{image.width}x{image.height} would be resized to {width}x{height}, which is too large; "
            "crop it to a shape less long and thin",
            name,
        )
    if recipe.channels == 1:  # the same value three times, until the numbers are made
        image = image.convert("L").convert("RGB")
    if recipe.rescale_first:
        return Pixels(_resize_in_floating_point(np.asarray(image), (height, width), recipe))
    if recipe.resize != "none":  # also when the size stays: Pillow then gives a copy
        image = image.resize((width, height), Image.Resampling[recipe.interpolation.upper()])
    pixels_HWC = np.asarray(image)
    if recipe.crop is not None:
        pixels_HWC = centre_crop(pixels_HWC, recipe.crop, recipe)
    values = _normalised(pixels_HWC, recipe)
    return _patches(values, recipe.patch) if recipe.resize == "patches" and recipe.patch else Pixels(values)


def resized_size(size: Size, recipe: ImageRecipe) -> Size:
    """Height and width after the resize.

    The long side is cut down to a whole pixel, int(short' * long / short), as torchvision and transformers do; sizes
    for which the two sides differ are rounded (timm's ResizeKeepRatio).
    """
    height, width = size
    if recipe.resize == "none":
        return size
    if recipe.resize == "squash":
        return recipe.size
    if recipe.resize == "patches" and recipe.patch and recipe.most_patches:
        return size_for_patches(size, recipe.patch, recipe.most_patches)
    if recipe.resize == "short side" and recipe.size[0] == recipe.size[1]:
        return _short_side(size, recipe.size[0], recipe.longest)
    ratios = (height / recipe.size[0], width / recipe.size[1])
    ratio = max(ratios) if recipe.resize == "fit" else min(ratios)
    return (max(1, round(height / ratio)), max(1, round(width / ratio)))


def _short_side(size: Size, side: int, longest: int | None) -> Size:
    height, width = size
    short, long = min(size), max(size)
    if longest is None:
        new_long = int(side * long / short)
    else:
        exact: float = side
        if long / short * side > longest:
            exact = longest * short / long
            side = round(exact)
        new_long = long if short == side else int(exact * long / short)
    return (new_long, side) if width <= height else (side, new_long)


def size_for_patches(size: Size, patch: int, most: int) -> Size:
    """The largest size in whole patches that keeps the shape and has at most `most` patches.

    Found by halving the interval of the scale until it is narrower than 1e-5, as the reference does: another search
    would end at another size for some images (SigLIP 2, arXiv 2502.14786, section 2.4.2).
    """

    def sides(scale: float) -> Size:
        height, width = (max(patch, ceil(side * scale / patch) * patch) for side in size)
        return height, width

    low, high = 1e-6, 100.0
    while high - low >= 1e-5:
        middle = (low + high) / 2
        height, width = sides(middle)
        if (height // patch) * (width // patch) <= most:
            low = middle
        else:
            high = middle
    return sides(low)


def centre_crop(pixels_HWC: np.ndarray, crop: Size, recipe: ImageRecipe) -> np.ndarray:
    """The middle of the image; where the crop is larger than the image, a border of `fill` around it."""
    height, width = pixels_HWC.shape[:2]
    if crop[0] > height or crop[1] > width:
        pixels_HWC = _with_border(pixels_HWC, crop, recipe)
        height, width = pixels_HWC.shape[:2]
    if recipe.rounding == "transformers":
        top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    else:
        top, left = round((height - crop[0]) / 2), round((width - crop[1]) / 2)
    return pixels_HWC[top : top + crop[0], left : left + crop[1]]


def _with_border(pixels_HWC: np.ndarray, crop: Size, recipe: ImageRecipe) -> np.ndarray:
    """An odd border is one pixel wider at the top left for transformers, at the bottom right for torchvision."""
    height, width = pixels_HWC.shape[:2]
    full = (max(crop[0], height), max(crop[1], width))
    odd = 1 if recipe.rounding == "transformers" else 0
    top, left = (full[0] - height + odd) // 2, (full[1] - width + odd) // 2
    framed = np.empty((*full, 3), dtype=pixels_HWC.dtype)
    framed[:] = recipe.fill
    framed[top : top + height, left : left + width] = pixels_HWC
    return framed


@lru_cache(maxsize=64)
def _table(recipe: ImageRecipe) -> np.ndarray:
    """(3, 256): what becomes of each 8-bit value of each colour. Rescaled in double, normalised in single precision."""
    values = np.arange(256, dtype=np.float64)
    single = (values if recipe.rescale is None else values * recipe.rescale).astype(np.float32)
    table_CV = np.tile(single, (3, 1))
    if recipe.mean is not None and recipe.std is not None:
        mean, std = (np.array(three, dtype=np.float32)[:, None] for three in (recipe.mean, recipe.std))
        table_CV = (table_CV - mean) / std
    table_CV.setflags(write=False)
    return table_CV


def _normalised(pixels_HWC: np.ndarray, recipe: ImageRecipe) -> np.ndarray:
    out_CHW = np.empty((recipe.channels, *pixels_HWC.shape[:2]), dtype=np.float32)
    for colour, table in enumerate(_table(recipe)[: recipe.channels]):
        np.take(table, pixels_HWC[..., colour], out=out_CHW[colour])
    return out_CHW


def _patches(values_CHW: np.ndarray, patch: int) -> Pixels:
    """(3, H, W) -> (P, patch * patch * 3), row by row, the colour last."""
    rows, columns = values_CHW.shape[1] // patch, values_CHW.shape[2] // patch
    cut = values_CHW.reshape(3, rows, patch, columns, patch).transpose(1, 3, 2, 4, 0)
    return Pixels(np.ascontiguousarray(cut).reshape(rows * columns, -1), (rows, columns))


def from_patches(patches_PV: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """A picture (3, height, width) out of its patches, row by row; what stands behind them is padding."""
    rows, columns = grid
    patch = isqrt(patches_PV.shape[-1] // 3)
    cut = patches_PV[: rows * columns].reshape(rows, columns, patch, patch, 3)
    return cut.transpose(4, 0, 2, 1, 3).reshape(3, rows * patch, columns * patch)


def _resize_in_floating_point(pixels_HWC: np.ndarray, size: Size, recipe: ImageRecipe) -> np.ndarray:
    """Rescale, then resize with antialiasing, then normalise: DINOv3's order.

    Its published processor exists only on torchvision, which hands the resize to torch; so does this, to the bit.
    """
    import torch
    from torch.nn.functional import interpolate

    values = torch.from_numpy(np.array(pixels_HWC)).permute(2, 0, 1).contiguous() * (recipe.rescale or 1.0)
    if recipe.resize != "none":
        values = interpolate(
            values[None].float(), size, mode=recipe.interpolation, antialias=True, align_corners=False
        )[0]
    pixels = values.float().numpy()
    if recipe.crop is not None:
        pixels = centre_crop(pixels.transpose(1, 2, 0), recipe.crop, recipe).transpose(2, 0, 1)
    if recipe.mean is not None and recipe.std is not None:
        mean, std = (np.array(three, dtype=np.float32)[:, None, None] for three in (recipe.mean, recipe.std))
        pixels = (pixels - mean) / std
    return np.ascontiguousarray(pixels[: recipe.channels], dtype=np.float32)
