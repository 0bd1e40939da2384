"""Tiny reference models of the image families."""

import torch
import transformers as hf
from tests.encoder.parity import Case, Inputs

from classtoken.encoder.families import FAMILIES
from classtoken.tensors import Tokens

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
IMAGE = {"image_size": 16, "patch_size": 4}


def pixels(family: str):  # type: ignore[no-untyped-def]
    """A batch of random images at the native size, with the roles of the family's layout."""

    def make(config) -> Inputs:  # type: ignore[no-untyped-def]
        config = getattr(config, "vision_config", config)
        row = next(f for f in FAMILIES if f.name == family)
        roles = torch.tensor([int(role) for role in row.shape(config.to_dict()).layout.roles()])
        values = torch.randn(2, config.num_channels, 16, 16)
        return Inputs({"pixel_values": values}, Tokens(roles.expand(2, -1), pixels=values))

    return make


IMAGE_CASES: tuple[Case, ...] = (
    Case("vit", "vit", lambda: hf.ViTModel(hf.ViTConfig(**SMALL, **IMAGE)), pixels("vit")),
    Case(
        "vit with a head",
        "vit",
        lambda: hf.ViTForImageClassification(hf.ViTConfig(**SMALL, **IMAGE, num_labels=5)),
        pixels("vit"),
        logits=True,
    ),
)
