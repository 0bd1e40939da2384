"""timm's names for DINOv3, the Perception Encoder, EVA and EVA02: encoders with rotary positions over the patch grid.

Their config is what `timm_config.py` measured. What neither config nor weights tell (the rotary angles) follows from
the architecture's name, as in timm 1.0's `eva.py`.
"""

import re
from dataclasses import replace

from classtoken.encoder.families.row import AuthorsReadout, Config, Note, PoolerRow
from classtoken.encoder.families.timm import QKV, STEM, TIMM_VIT, timm_pooler, timm_readout, timm_shape
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import CountedGrid, PositionShape, Shape

FUSED = (
    Rename("blocks.{i}.attn.qkv.{p}", tuple(f"blocks.{{i}}.{part}.{{p}}" for part in QKV)),
    Rename("blocks.{i}.attn.q_bias", "blocks.{i}.attention.query.bias"),
    Rename("blocks.{i}.attn.v_bias", "blocks.{i}.attention.value.bias"),
)
SPLIT = blocks(
    "blocks.{i}.",
    {"attn.q_proj": "attention.query", "attn.k_proj": "attention.key", "attn.v_proj": "attention.value"},
)
SHARED = (
    *(rule for rule in STEM if ".ls" not in rule.theirs),
    Rename("blocks.{i}.gamma_1", "blocks.{i}.attention_scale.weight"),
    Rename("blocks.{i}.gamma_2", "blocks.{i}.feedforward_scale.weight"),
    *blocks(
        "blocks.{i}.",
        {
            "norm1": "attention_norm",
            "attn.proj": "attention.output",
            "norm2": "feedforward_norm",
            "mlp.norm": "feedforward.norm",
            "mlp.fc2": "feedforward.down",
        },
    ),
)
PLAIN = blocks("blocks.{i}.", {"mlp.fc1": "feedforward.up"})
PACKED = blocks("blocks.{i}.", {"mlp.fc1": ("feedforward.gate", "feedforward.up")})
GATED = blocks("blocks.{i}.", {"mlp.fc1_g": "feedforward.gate", "mlp.fc1_x": "feedforward.up"})
#: The grid for which the Perception Encoder's positions were learned, by the image size in its name and its patch.
PE_GRIDS = {"core": {"patch16_384": 24, "patch16_224": 14, "patch14_336": 24, "patch14_448": 32}}


def dinov3_shape(config: Config) -> Shape:
    """No learned positions: rotary angles of patch centres in [-1, 1], as the Hugging Face row has them."""
    shape = timm_shape(config)
    return replace(shape, position=PositionShape(rotary=(100.0,) * shape.depth, rotary_grid=True))


def counted_shape(config: Config, counted: CountedGrid) -> Shape:
    """Rotary angles of counted patches, on neighbouring numbers of a head."""
    shape = timm_shape(config)
    rotary = PositionShape(rotary=(10_000.0,) * shape.depth, rotary_grid=True, counted=counted, rotary_pairs=True)
    return replace(shape, position=rotary)


def eva02_shape(config: Config) -> Shape:
    """EVA02 was trained at 16 x 16 patches; other grids are stretched to that."""
    return counted_shape(config, CountedGrid(reference=(16, 16)))


def pe_shape(config: Config) -> Shape:
    """The Perception Encoder counts columns first, from 1; its largest models from 0."""
    found = re.search(r"pe_(core|lang|spatial)_[a-z]+_(patch\d+_\d+)", config["architecture"])
    assert found is not None, "the row takes no other architecture"
    side = PE_GRIDS.get(found[1], {}).get(found[2], 32)
    first = 0.0 if "_gigantic_" in config["architecture"] else 1.0
    return counted_shape(config, CountedGrid(reference=(side, side), offset=first, columns_first=True))


def pe_pooler(config: Config) -> PoolerRow:
    """One query over every token, the class token among them; with 8 heads in the models that were trained with it."""
    row = timm_pooler(config)
    heads = 8 if "_core_" in config["architecture"] else row.heads
    return replace(row, every_token=True, heads=heads) if row.kind == "map" else row


def eva_pooler(config: Config) -> PoolerRow:
    """As timm's `forward_head` has it; an attention pool reads every token."""
    row = timm_pooler(config)
    return replace(row, every_token=True) if row.kind == "map" else row


def dinov3_readout(config: Config) -> AuthorsReadout:
    """The class token, which timm's default of global_pool ('avg') passes over, unless a pool was set by hand."""
    given = timm_readout(config)
    if not config["pool_by_timm"]:
        return given
    return AuthorsReadout(
        spec="cls",
        reason="the class token is what DINOv3's authors evaluate; timm's default for this architecture is the mean",
        source="Simeoni et al. 2025; timm models/eva.py: pass global_pool='token' (matches upstream DINOv3)",
        alternatives={"timm's num_classes=0 output": given.spec, "dense": "patch states"},
    )


TIMM_DINOV3 = replace(
    TIMM_VIT,
    name="timm dinov3",
    architectures=(r"vit_(tiny|small|base|large)_patch\d+_dinov3(_qkvb)?",),
    shape=dinov3_shape,
    names=(*SHARED, *FUSED, *PLAIN),
    pooler=eva_pooler,
    readout=dinov3_readout,
    used_by=("timm/vit_small_patch16_dinov3.lvd1689m", "timm/vit_base_patch16_dinov3.lvd1689m"),
    paper="Simeoni et al. 2025 (DINOv3)",
    notes=("timm's num_classes=0 output is the mean of the patches unless global_pool='token' is given",),
)
TIMM_DINOV3_GATED = replace(
    TIMM_DINOV3,
    name="timm dinov3 plus",
    architectures=(r"vit_(small_plus|huge_plus|7b)_patch\d+_dinov3(_qkvb)?",),
    names=(*SHARED, *FUSED, *GATED),
    used_by=("timm/vit_huge_plus_patch16_dinov3.lvd1689m",),
)
TIMM_PE = replace(
    TIMM_VIT,
    name="timm perception encoder",
    architectures=(r"vit_pe_(core|lang|spatial)_[a-z]+_patch\d+_\d+",),
    shape=pe_shape,
    names=(*SHARED, FUSED[0], *PLAIN),
    pooler=pe_pooler,
    used_by=("timm/vit_pe_core_base_patch16_224.fb", "timm/vit_pe_spatial_base_patch16_512.fb"),
    paper="Bolya et al. 2025 (Perception Encoder)",
    notes=(Note("the attention pool reads every token, the class token among them", of="pooler"),),
)
TIMM_EVA = replace(
    TIMM_VIT,
    name="timm eva",
    architectures=(r"eva_giant_patch\d+(_clip)?_\d+",),
    names=(*SHARED, *FUSED, *PLAIN),
    pooler=eva_pooler,
    used_by=("timm/eva_giant_patch14_224.clip_ft_in1k",),
    paper="Fang et al. 2022 (EVA)",
    notes=(),
)
TIMM_EVA02_SMALL = replace(
    TIMM_EVA,
    name="timm eva02 small",
    architectures=(r"eva02_(tiny|small)_patch\d+_\d+",),
    shape=eva02_shape,
    names=(*SHARED, *FUSED, *PACKED),
    used_by=("timm/eva02_tiny_patch14_224.mim_in22k", "timm/eva02_small_patch14_336.mim_in22k_ft_in1k"),
    paper="Fang et al. 2023 (EVA-02)",
)
TIMM_EVA02 = replace(
    TIMM_EVA02_SMALL,
    name="timm eva02",
    architectures=(r"eva02_(base|large)_patch\d+_\d+",),
    names=(*SHARED, *SPLIT, *GATED),
    used_by=("timm/eva02_base_patch14_448.mim_in22k_ft_in22k_in1k", "timm/eva02_large_patch14_224.mim_m38m"),
)
TIMM_EVAS = (TIMM_DINOV3, TIMM_DINOV3_GATED, TIMM_PE, TIMM_EVA, TIMM_EVA02_SMALL, TIMM_EVA02)
