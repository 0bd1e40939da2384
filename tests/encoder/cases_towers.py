"""Tiny reference models of the image sides of CLIP, SigLIP and SigLIP 2, alone and beside their text sides."""

from typing import Any

import torch
import transformers as hf
from tests.encoder.cases_image import LABELS, OTHER, SMALL, VIT, pixels
from tests.encoder.cases_text import chinese_clip
from tests.encoder.parity import Case, Inputs
from torch import nn

from classtoken.tensors import Tokens
from classtoken.values import Role

NAFLEX = {**SMALL, "patch_size": 4, "num_patches": 16}
TEXT = {**SMALL, "vocab_size": 50, "max_position_embeddings": 12}
PROJECTED = {"projection_dim": 24}


def cut_patches(config: Any) -> Inputs:
    """For SigLIP 2: patches of images of several shapes, the rows filled up behind them."""
    config = getattr(config, "vision_config", config)
    grids, most = ((4, 4), (2, 6), (3, 3)), 16
    values = torch.randn(3, most, config.num_channels * 16)
    counts = torch.tensor([rows * columns for rows, columns in grids])
    there = torch.arange(most) < counts[:, None]
    reference = {
        "pixel_values": values,
        "pixel_attention_mask": there.long(),
        "spatial_shapes": torch.tensor(grids),
    }
    roles = torch.where(there, int(Role.CONTENT), int(Role.PAD))
    return Inputs(reference, Tokens(roles, pixels=values, grids=grids))


def clip_vision(**more: Any) -> hf.CLIPVisionConfig:
    return hf.CLIPVisionConfig(**VIT, **PROJECTED, **more)


def clip(**more: Any) -> hf.CLIPConfig:
    return hf.CLIPConfig(vision_config={**VIT}, text_config={**TEXT}, **PROJECTED, **more)


def siglip_vision(**more: Any) -> hf.SiglipVisionConfig:
    return hf.SiglipVisionConfig(**VIT, **more)


def siglip(**more: Any) -> hf.SiglipConfig:
    return hf.SiglipConfig(vision_config={**VIT}, text_config={**TEXT}, **more)


def siglip2(**more: Any) -> hf.Siglip2Config:
    return hf.Siglip2Config(vision_config={**NAFLEX}, text_config={**TEXT}, **more)


def vision_tower(model: Any) -> nn.Module:
    """The image side of a model of two towers."""
    return model.vision_model


TOWER_CASES: tuple[Case, ...] = (
    Case(
        "metaclip 2 vision",
        "metaclip_2_vision",
        lambda: hf.MetaClip2VisionModel(hf.MetaClip2VisionConfig(**clip_vision().to_dict())),
        pixels("clip_vision"),
    ),
    Case(
        "chinese clip, image side",
        "chinese_clip_vision",
        lambda: hf.ChineseCLIPModel(chinese_clip()),
        pixels("chinese_clip_vision"),
        tower=vision_tower,
    ),
    Case("clip vision", "clip_vision", lambda: hf.CLIPVisionModel(clip_vision()), pixels("clip_vision")),
    Case(
        "clip vision at another size",
        "clip_vision",
        lambda: hf.CLIPVisionModel(clip_vision()),
        pixels("clip_vision", OTHER, interpolate_pos_encoding=True),
    ),
    Case(
        "clip vision with projection",
        "clip_vision",
        lambda: hf.CLIPVisionModelWithProjection(clip_vision()),
        pixels("clip_vision"),
        tower=vision_tower,
    ),
    Case(
        "clip vision with a head",
        "clip_vision",
        lambda: hf.CLIPForImageClassification(clip(**LABELS)),
        pixels("clip_vision"),
        tower=vision_tower,
        logits=True,
    ),
    Case("clip, image side", "clip_vision", lambda: hf.CLIPModel(clip()), pixels("clip_vision"), tower=vision_tower),
    Case("siglip vision", "siglip_vision", lambda: hf.SiglipVisionModel(siglip_vision()), pixels("siglip_vision")),
    Case(
        "siglip vision at another size",
        "siglip_vision",
        lambda: hf.SiglipVisionModel(siglip_vision()),
        pixels("siglip_vision", OTHER, interpolate_pos_encoding=True),
    ),
    Case(
        "siglip vision without its pooling",
        "siglip_vision",
        lambda: hf.SiglipVisionModel(siglip_vision(vision_use_head=False)),
        pixels("siglip_vision"),
    ),
    Case(
        "siglip vision with a head",
        "siglip_vision",
        lambda: hf.SiglipForImageClassification(siglip(**LABELS)),
        pixels("siglip_vision"),
        tower=vision_tower,
        logits=True,
    ),
    Case(
        "siglip, image side", "siglip_vision", lambda: hf.SiglipModel(siglip()), pixels("siglip_vision"), vision_tower
    ),
    Case(
        "siglip2 vision",
        "siglip2_vision",
        lambda: hf.Siglip2VisionModel(hf.Siglip2VisionConfig(**NAFLEX)),
        cut_patches,
    ),
    Case(
        "siglip2 vision with a head",
        "siglip2_vision",
        lambda: hf.Siglip2ForImageClassification(siglip2(**LABELS)),
        cut_patches,
        tower=vision_tower,
        logits=True,
    ),
    Case("siglip2, image side", "siglip2_vision", lambda: hf.Siglip2Model(siglip2()), cut_patches, vision_tower),
)
