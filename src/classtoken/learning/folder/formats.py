"""Which library's format an encoder fits: a plain ViT or BERT is written so that transformers opens it too."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from classtoken.encoder.checkpoint import reference_names
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families.row import Family
from classtoken.encoder.families.table import FAMILIES
from classtoken.encoder.names import to_theirs
from classtoken.encoder.position import resize_grid
from classtoken.encoder.shape import ImageStem, Shape
from classtoken.encoder.towers import OWN_TYPE


def published_form(shape: Shape) -> tuple[Family, dict[str, Any]] | None:
    """The family and config under which another library builds the very same encoder; None where there is none."""
    forms = ((family, family.config(shape)) for family in FAMILIES if family.config is not None)
    return next(((family, config) for family, config in forms if config is not None), None)


def files_of(encoder: Encoder, labels: Sequence[str], several: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json and the encoder's tensors by their names on disk."""
    names: dict[str, Any] = {
        "id2label": {str(i): name for i, name in enumerate(labels)},
        "label2id": {name: i for i, name in enumerate(labels)},
        "problem_type": "multi_label_classification" if several else "single_label_classification",
    }
    form = published_form(encoder.shape)
    if form is None:
        config = {"model_type": OWN_TYPE, "architectures": ["Encoder"], "shape": encoder.shape.to_dict(), **names}
        return config, dict(encoder.state_dict())
    family, config = form
    prefix = family.prefixes[0] if labels and family.prefixes and _linear_on_cls(family, config) else ""
    return {**config, **names}, reference_names(encoder, family, prefix)


def at_size(
    encoder: Encoder, family: Family, config: Mapping[str, Any], grid: tuple[int, int] | None
) -> tuple[Encoder, Mapping[str, Any]]:
    """An encoder, and its config, whose learned positions are those of the patch grid that it was trained further on.

    They were interpolated to it at every step. Kept for it they need not be any more, and libraries that take images of
    the config's size alone read the folder. Both as they are where the config cannot say so.
    """
    stem = encoder.shape.stem
    if grid is None or not isinstance(stem, ImageStem) or stem.positions != "learned" or stem.grid == grid:
        return encoder, config
    image = (grid[0] * stem.patch, grid[1] * stem.patch)
    shape, fitting = replace(encoder.shape, stem=replace(stem, image=image)), {**config, "image_size": image[0]}
    if image[0] != image[1] or family.shape(fitting) != shape:
        return encoder, config
    weights = encoder.state_dict()
    position = weights["stem.position"]
    special = len(position) - stem.grid[0] * stem.grid[1]
    patches = resize_grid(position[special:], stem.grid, grid, stem.resize)
    fitted = Encoder(shape)
    fitted.load_state_dict({**weights, "stem.position": torch.cat((position[:special], patches))})
    return fitted, fitting


def classifier_names(encoder: Encoder, head: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A linear head on the class token by the published classifier's names; empty where none reads it so."""
    form = published_form(encoder.shape)
    if form is None or not _linear_on_cls(*form) or set(head) != {"output.weight", "output.bias"}:
        return {}
    assert form[0].head is not None
    return to_theirs(head, form[0].head.names)[0]


def _linear_on_cls(family: Family, config: Mapping[str, Any]) -> bool:
    """The family's classifier is one matrix on the class token: a head trained here can be written as it."""
    return family.head is not None and family.head.linear and family.head.pooling(config) == "cls"
