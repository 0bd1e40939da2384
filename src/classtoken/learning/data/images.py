"""Records with images become `Pictures`: decoded, brought to one size, kept as bytes."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from classtoken.errors import BadRecord
from classtoken.tokens.decode import decode
from classtoken.tokens.pixels import prepare
from classtoken.tokens.recipe import ImageRecipe
from classtoken.values import Record, Refused


def raw(recipe: ImageRecipe) -> ImageRecipe:
    """The same resize and crop, but bytes come out: augmentations work on those."""
    return replace(recipe, rescale=None, mean=None, std=None, rescale_first=False)


def load_images(records: Iterable[Record], recipe: ImageRecipe) -> tuple[torch.Tensor, list[Record], list[Refused]]:
    """Pictures (N, 3, height, width) as bytes, the records that they are of, and those that could not be read."""
    pictures: list[np.ndarray] = []
    kept: list[Record] = []
    refused: list[Refused] = []
    bytes_only = raw(recipe)
    for record in records:
        try:
            if record.image is None:
                raise BadRecord(f"{record.id}: there is no image in this record.")
            image = decode(record.image, name=record.id)
            pictures.append(prepare(image, bytes_only, name=record.id).values.astype(np.uint8))
            kept.append(replace(record, image=None))  # the pixels are all that is needed of it
        except BadRecord as error:
            refused.append(Refused(record.id, str(error).removeprefix(f"{record.id}: ")))
    if not pictures:
        return torch.zeros(0, 3, 1, 1, dtype=torch.uint8), kept, refused
    return torch.from_numpy(np.stack(pictures)), kept, refused
