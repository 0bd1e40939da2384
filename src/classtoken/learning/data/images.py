"""Records with images become `Pictures`: decoded, brought to one size, kept as bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch

from classtoken.errors import BadRecord, OptionError
from classtoken.inputs import each
from classtoken.tokens.decode import decode
from classtoken.tokens.pixels import prepare
from classtoken.tokens.recipe import ImageRecipe
from classtoken.values import Record, Rejected


def raw(recipe: ImageRecipe) -> ImageRecipe:
    """The same resize and crop, but bytes come out: augmentations work on those."""
    return replace(recipe, rescale=None, mean=None, std=None, rescale_first=False)


def kept_at(recipe: ImageRecipe, side: int) -> ImageRecipe:
    """The recipe by which pictures are kept for training: at `side` pixels (0: at their full size), the same part of
    them. Raises `OptionError` where the encoder does not read squares."""
    if not side:
        return recipe
    if recipe.output is None or recipe.output[0] != recipe.output[1]:
        raise OptionError(f"[augment] side = {side} is for models that read square images: {recipe.describe()}.")
    return recipe.at(side)


def load_images(records: Iterable[Record], recipe: ImageRecipe) -> tuple[torch.Tensor, list[Record], list[Rejected]]:
    """Pictures (N, 3, height, width) as bytes, the records that they are of, and those that could not be read."""
    read: list[Record] = []
    rejected: dict[int, Rejected] = {}
    bytes_only = raw(recipe)

    def numbered() -> Iterator[tuple[int, Record]]:
        for record in records:
            read.append(replace(record, image=None))  # the pixels are all that is needed of it
            yield len(read) - 1, record

    def picture(record: Record) -> np.ndarray:
        if record.image is None:
            raise BadRecord("there is no image in this record")
        return prepare(decode(record.image), bytes_only).values.astype(np.uint8)

    pictures = dict(each(picture, numbered(), rejected.__setitem__))
    kept = [read[place] for place in pictures]
    if not pictures:
        return torch.zeros(0, 3, 1, 1, dtype=torch.uint8), kept, list(rejected.values())
    return torch.from_numpy(np.stack(list(pictures.values()))), kept, list(rejected.values())
