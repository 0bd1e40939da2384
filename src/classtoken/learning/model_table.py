"""A recipe's table `model`: which encoder it describes, and what is refused before any tensor is made."""

import math
from collections.abc import Mapping
from typing import Any

from classtoken.encoder.shape import ALL_BIASES, ImageStem, Shape, shape_from_dict
from classtoken.errors import ModelError, OptionError


def shape_of_model(model: Mapping[str, Any], where: str = "model") -> Shape:
    """A table `model` as a shape: one class token unless it says otherwise, and one number for a square image.

    Raises `OptionError` that names the field for what does not fit, or what cannot be trained from scratch.
    """
    stem = model.get("stem")
    if isinstance(stem, Mapping):
        pictures = stem.get("kind", "image" if "patch" in stem else "text") == "image"
        side = stem.get("image")
        square = {"image": [side, side]} if isinstance(side, int) and not isinstance(side, bool) else {}
        model = {**model, "stem": {**({"class_tokens": 1} if pictures else {}), **stem, **square}}
    try:
        shape = shape_from_dict(model, where)
    except ModelError as error:
        line = str(error)
        raise OptionError(line if line.startswith(where) else f"{where}: {line}") from None
    if isinstance(shape.stem, ImageStem):
        _check_pictures(shape.stem, f"{where}.stem")
    _check_blocks(shape, where)
    return shape


def _check_pictures(stem: ImageStem, where: str) -> None:
    for side in stem.image:
        if side % stem.patch:
            raise OptionError(f"{where}.image must be whole patches of {stem.patch} pixels, not {list(stem.image)}.")
    if stem.channels != 3:
        raise OptionError(f"{where}.channels must be 3, not {stem.channels}: pictures are read as red, green and blue.")
    if stem.cut_patches:
        raise OptionError(f"{where}.cut_patches is for published checkpoints; leave it out.")
    strides = math.prod(stride for _, stride in stem.convolutions)
    if stem.patch % strides:
        raise OptionError(
            f"{where}.convolutions have strides of {strides} together, which must divide the patch of {stem.patch}."
        )


def _check_blocks(shape: Shape, where: str) -> None:
    block, position = shape.block, shape.position
    if block.key_value_heads is not None and block.heads % block.key_value_heads:
        raise OptionError(
            f"{where}.block.key_value_heads must divide the {block.heads} heads, not be {block.key_value_heads}."
        )
    strange = sorted(block.biases - ALL_BIASES)
    if strange:
        raise OptionError(f"{where}.block.biases may hold {', '.join(sorted(ALL_BIASES))}, not {', '.join(strange)}.")
    least = 4
    if position.buckets and (position.buckets < least or position.buckets % 2):
        raise OptionError(
            f"{where}.position.buckets must be even and {least} or more, half of them for each direction, or 0 for "
            f"none, not {position.buckets}."
        )
    if position.buckets and position.bucket_reach <= position.buckets // 4:
        raise OptionError(
            f"{where}.position.bucket_reach must be above {position.buckets // 4}, what {position.buckets} buckets "
            f"tell apart exactly, not {position.bucket_reach}."
        )
    if any(position.rotary) and shape.head_size % (4 if position.rotary_grid else 2):
        raise OptionError(
            f"{where}.position.rotary turns pairs of numbers: the head size of {shape.head_size} must be a multiple of "
            f"{4 if position.rotary_grid else 2}."
        )
