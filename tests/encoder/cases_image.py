"""Tiny reference models of the image families, at their native size and at others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import transformers as hf
from tests.encoder.parity import Case, Inputs
from torch import nn

from classtoken.encoder.families import FAMILIES
from classtoken.encoder.shape import ImageStem
from classtoken.tensors import Tokens

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
SMALL = {**SIZES, "intermediate_size": 48, "layer_norm_eps": 3e-3}  # an eps that is nobody's default
IMAGE = {"image_size": 16, "patch_size": 4}
VIT = {**SMALL, **IMAGE}
DINO = {**SIZES, "mlp_ratio": 2, "layer_norm_eps": 3e-3, **IMAGE}
LABELS = {"num_labels": 5}
OTHER = (24, 12)
"""height and width that no model here was made for"""


def stem_of(family: str, config: Any) -> ImageStem:
    """The image stem of a family for a reference's config."""
    row = next(f for f in FAMILIES if f.name == family)
    stem = row.shape(config.to_dict()).stem
    assert isinstance(stem, ImageStem)
    return stem


def pixels(family: str, size: tuple[int, int] = (16, 16), **more: Any) -> Callable[[Any], Inputs]:
    """A batch of random images, with the roles of the family's layout; `more` goes to the reference."""

    def make(config: Any) -> Inputs:
        config = getattr(config, "vision_config", config)
        grid = (size[0] // 4, size[1] // 4)
        roles = torch.tensor([int(role) for role in stem_of(family, config).layout(grid).roles()])
        values = torch.randn(2, config.num_channels, *size)
        return Inputs({"pixel_values": values, **more}, Tokens(roles.expand(2, -1), pixels=values, grid=grid))

    return make


def unmasked(config: Any) -> Inputs:
    """For ViT-MAE, whose reference takes the order in which patches are kept from `noise`."""
    inputs = pixels("vit_mae")(config)
    order = torch.arange(16, dtype=torch.float32).expand(2, -1)
    return replace(inputs, reference={**inputs.reference, "noise": order})


def pair(
    name: str,
    family: str,
    base: Callable[[Any], nn.Module],
    classifier: Callable[[Any], nn.Module],
    config: Callable[..., Any],
) -> tuple[Case, ...]:
    """The bare model, the same on images of another size, and the one with a classifier."""
    more = {} if family.startswith(("dino", "beit", "data2vec")) else {"interpolate_pos_encoding": True}
    return (
        Case(name, family, lambda: base(config()), pixels(family)),
        Case(f"{name} at another size", family, lambda: base(config()), pixels(family, OTHER, **more)),
        Case(f"{name} with a head", family, lambda: classifier(config(**LABELS)), pixels(family), logits=True),
    )


def vit(**more: Any) -> hf.ViTConfig:
    return hf.ViTConfig(**{**VIT, **more})


def deit(**more: Any) -> hf.DeiTConfig:
    return hf.DeiTConfig(**VIT, **more)


def mae(**more: Any) -> hf.ViTMAEConfig:
    decoder = {"decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    return hf.ViTMAEConfig(**VIT, mask_ratio=0.0, decoder_intermediate_size=24, **decoder, **more)


def msn(**more: Any) -> hf.ViTMSNConfig:
    return hf.ViTMSNConfig(**VIT, **more)


def ijepa(**more: Any) -> hf.IJepaConfig:
    return hf.IJepaConfig(**VIT, **more)


def beit(**more: Any) -> hf.BeitConfig:
    return hf.BeitConfig(**VIT, **{"use_relative_position_bias": True, **more})


def data2vec(**more: Any) -> hf.Data2VecVisionConfig:
    return hf.Data2VecVisionConfig(**VIT, **{"use_shared_relative_position_bias": True, **more})


def dinov2(**more: Any) -> hf.Dinov2Config:
    return hf.Dinov2Config(**DINO, **more)


def registers(**more: Any) -> hf.Dinov2WithRegistersConfig:
    return hf.Dinov2WithRegistersConfig(**DINO, num_register_tokens=3, **more)


def dinov3(**more: Any) -> hf.DINOv3ViTConfig:
    return hf.DINOv3ViTConfig(**VIT, **{"num_register_tokens": 3, "rope_theta": 40.0, **more})


def itself(model: nn.Module) -> nn.Module:
    """A model that is its own tower, where `base_model` would name a part of it."""
    return model


VIT_CASES = (
    *pair("vit", "vit", hf.ViTModel, hf.ViTForImageClassification, vit),
    Case("vit without biases", "vit", lambda: hf.ViTModel(vit(qkv_bias=False)), pixels("vit")),
    Case("vit of one channel", "vit", lambda: hf.ViTModel(vit(num_channels=1)), pixels("vit")),
    Case("vit that is not square", "vit", lambda: hf.ViTModel(vit(image_size=[8, 16])), pixels("vit", (8, 16))),
    Case("vit, masked modelling", "vit", lambda: hf.ViTForMaskedImageModeling(vit(encoder_stride=4)), pixels("vit")),
    *pair("deit", "deit", hf.DeiTModel, hf.DeiTForImageClassification, deit),
    Case(
        "deit with its teacher's head",
        "deit",
        lambda: hf.DeiTForImageClassificationWithTeacher(deit(**LABELS)),
        pixels("deit"),
        logits=True,
    ),
    Case("vit_mae", "vit_mae", lambda: hf.ViTMAEModel(mae()), unmasked),
    Case("vit_mae with its decoder", "vit_mae", lambda: hf.ViTMAEForPreTraining(mae()), unmasked),
    *pair("vit_msn", "vit_msn", hf.ViTMSNModel, hf.ViTMSNForImageClassification, msn)[:2],
    *pair("ijepa", "ijepa", lambda c: hf.IJepaModel(c, add_pooling_layer=False), hf.IJepaForImageClassification, ijepa),
)
BEIT_CASES = (
    *pair("beit", "beit", hf.BeitModel, hf.BeitForImageClassification, beit),
    Case(
        "beit of the class token, one table for all blocks",
        "beit",
        lambda: hf.BeitModel(
            beit(use_mean_pooling=False, use_relative_position_bias=False, use_shared_relative_position_bias=True)
        ),
        pixels("beit"),
    ),
    Case(
        "beit with absolute positions",
        "beit",
        lambda: hf.BeitModel(beit(use_relative_position_bias=False, use_absolute_position_embeddings=True)),
        pixels("beit", OTHER),
    ),
    Case(
        "beit without layer scale",
        "beit",
        lambda: hf.BeitModel(beit(layer_scale_init_value=0.0, use_relative_position_bias=False)),
        pixels("beit"),
    ),
    Case(
        "beit, masked modelling",
        "beit",
        lambda: hf.BeitForMaskedImageModeling(
            beit(use_mask_token=True, use_relative_position_bias=False, use_shared_relative_position_bias=True)
        ),
        pixels("beit"),
    ),
    *pair(
        "data2vec-vision",
        "data2vec-vision",
        lambda c: hf.Data2VecVisionModel(c, add_pooling_layer=True),
        hf.Data2VecVisionForImageClassification,
        data2vec,
    ),
    Case(
        "data2vec-vision, a table a block",
        "data2vec-vision",
        lambda: hf.Data2VecVisionModel(
            data2vec(use_relative_position_bias=True, use_shared_relative_position_bias=False)
        ),
        pixels("data2vec-vision"),
    ),
)
DINO_CASES = (
    *pair("dinov2", "dinov2", hf.Dinov2Model, hf.Dinov2ForImageClassification, dinov2),
    Case("dinov2 giant", "dinov2", lambda: hf.Dinov2Model(dinov2(use_swiglu_ffn=True)), pixels("dinov2")),
    *pair(
        "dinov2 with registers",
        "dinov2_with_registers",
        hf.Dinov2WithRegistersModel,
        hf.Dinov2WithRegistersForImageClassification,
        registers,
    ),
    Case(
        "dinov2 with registers, giant",
        "dinov2_with_registers",
        lambda: hf.Dinov2WithRegistersModel(registers(use_swiglu_ffn=True)),
        pixels("dinov2_with_registers"),
    ),
    Case("dinov3", "dinov3_vit", lambda: hf.DINOv3ViTModel(dinov3()), pixels("dinov3_vit"), itself),
    Case(
        "dinov3 at another size", "dinov3_vit", lambda: hf.DINOv3ViTModel(dinov3()), pixels("dinov3_vit", OTHER), itself
    ),
    Case(
        "dinov3, gated, with all biases",
        "dinov3_vit",
        lambda: hf.DINOv3ViTModel(dinov3(use_gated_mlp=True, hidden_act="silu", key_bias=True)),
        pixels("dinov3_vit"),
        itself,
    ),
    Case(
        "dinov3 without registers and biases",
        "dinov3_vit",
        lambda: hf.DINOv3ViTModel(
            dinov3(num_register_tokens=1, query_bias=False, value_bias=False, proj_bias=False, mlp_bias=False)
        ),
        pixels("dinov3_vit"),
        itself,
    ),
)
IMAGE_CASES: tuple[Case, ...] = VIT_CASES + BEIT_CASES + DINO_CASES
