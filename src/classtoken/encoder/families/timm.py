"""timm's names for ViT, DeiT, DeiT III, DINOv2, SigLIP and CLIP trunks.

Their config is what `timm_config.py` measured.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from classtoken.encoder.families.bert import activation
from classtoken.encoder.families.dino import DINO_READOUT
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, Note, PoolerRow
from classtoken.encoder.families.timm_config import HARMLESS
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import BlockShape, ImageStem, Shape
from classtoken.errors import UnsupportedModel

QKV = ("attention.query", "attention.key", "attention.value")
INNER: dict[str, str | tuple[str, ...]] = {
    "norm1": "attention_norm",
    "attn.qkv": QKV,
    "attn.proj": "attention.output",
    "norm2": "feedforward_norm",
}
STEM = (
    Rename("cls_token", "stem.class_token", dims=3),
    Rename("dist_token", "stem.distillation", dims=3),
    Rename("reg_token", "stem.registers", dims=3),
    Rename("pos_embed", "stem.position", dims=3),
    Rename("patch_embed.proj.{p}", "stem.patch.{p}"),
    Rename("norm_pre.{p}", "stem.norm.{p}"),
    Rename("norm.{p}", "final_norm.{p}"),
    Rename("blocks.{i}.ls1.gamma", "blocks.{i}.attention_scale.weight"),
    Rename("blocks.{i}.ls2.gamma", "blocks.{i}.feedforward_scale.weight"),
)
NAMES = (*STEM, *blocks("blocks.{i}.", {**INNER, "mlp.fc1": "feedforward.up", "mlp.fc2": "feedforward.down"}))
GATED = (
    *STEM,
    *blocks(
        "blocks.{i}.",
        {**INNER, "mlp.fc1": ("feedforward.gate", "feedforward.up"), "mlp.fc2": "feedforward.down"},
    ),
)
MAP = (
    Rename("attn_pool.latent", "map.probe", dims=3),
    Rename("attn_pool.q.{p}", "map.query.{p}"),
    Rename("attn_pool.kv.{p}", ("map.key.{p}", "map.value.{p}")),
    Rename("attn_pool.proj.{p}", "map.output.{p}"),
    Rename("attn_pool.norm.{p}", "map.norm.{p}"),
    Rename("attn_pool.mlp.fc1.{p}", "map.up.{p}"),
    Rename("attn_pool.mlp.fc2.{p}", "map.down.{p}"),
)


def timm_shape(config: Config) -> Shape:
    """Shape out of what `timm_config` measured."""
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["depth"],
        stem=ImageStem(
            patch=config["patch"],
            image=config["image"],
            channels=config["channels"],
            patch_bias=config["patch_bias"],
            class_tokens=config["class_tokens"],
            distillation_tokens=config["distillation_tokens"],
            registers=config["registers"],
            positions=config["positions"],
            positioned=config["positioned"],
            resize="bicubic_antialias",
            norm=config["pre_norm"],
        ),
        block=BlockShape(
            heads=config["heads"],
            feedforward_size=config["feedforward_size"],
            norm_eps=config["norm_eps"],
            final_norm=config["final_norm"],
            activation=activation(config["activation"]),
            gated=config["gated"],
            feedforward_norm=config["feedforward_norm"],
            biases=config["biases"],
            layer_scale=config["layer_scale"],
        ),
    )


REDUCES: Mapping[str, Literal["mean", "max", "mean_max", "cls"]] = {
    "avg": "mean",
    "max": "max",
    "avgmax": "mean_max",
    "token": "cls",
}


def timm_pooler(config: Config) -> PoolerRow:
    """timm's `forward_head(..., pre_logits=True)`, where it is more than one of the poolings by name."""
    pool, every = config["pool"], config["pool_every_token"]
    if pool == "map" and config["fc_norm"]:
        raise UnsupportedModel(
            "timm's global_pool 'map' with a norm behind it (fc_norm) is not computed here; compute this model's "
            "vectors with timm."
        )
    if pool == "map":
        act = activation(config["activation"])
        return PoolerRow(kind="map", names=MAP, activation=act, every_token=every, optional=False)
    if pool not in REDUCES or config["distillation_tokens"]:
        return PoolerRow(kind="none")
    normed = (Rename("fc_norm.{p}", "norm.{p}"),) if config["fc_norm"] else ()
    if normed or pool == "avgmax" or (every and pool != "token"):
        return PoolerRow(kind="pooled", names=normed, reduce=REDUCES[pool], every_token=every, optional=False)
    if pool == "token" and config["class_tokens"]:
        return PoolerRow(kind="state", token="cls", optional=False)
    return PoolerRow(kind="none")


def timm_spec(config: Config) -> str:
    """The pooling that feeds timm's classifier. Raises `UnsupportedModel` for one that is not computed here."""
    if config["distillation_tokens"]:
        return "cls_dist"
    pool = config["pool"]
    if pool != "map" and pool not in REDUCES:
        raise UnsupportedModel(
            f"timm's global_pool '{pool}' is not computed here; {', '.join(('map', *REDUCES))} are. Write one "
            "of them into config.json of a copy of the folder."
        )
    if timm_pooler(config).kind in ("map", "pooled"):
        return "pooler"
    return {"token": "cls", "avg": "mean", "max": "max"}[pool]


def timm_readout(config: Config) -> AuthorsReadout:
    """global_pool, as timm's `forward_head` has it."""
    return AuthorsReadout(
        spec=timm_spec(config),
        reason=f"timm's classifier and its num_classes=0 output read this (global_pool '{config['pool']}')",
        source="timm models/vision_transformer.py, VisionTransformer.forward_head",
        alternatives={"dense": "patch states"},
    )


def distilled_readout(config: Config) -> AuthorsReadout:
    """The mean of both tokens."""
    return replace(
        timm_readout(config),
        reason="timm's pre-logits are the mean of class and distillation token, its prediction that of two heads",
        source="Touvron et al. 2021; timm models/deit.py, VisionTransformerDistilled.forward_head",
        alternatives={"class token alone": "cls", "dense": "patch states"},
    )


LINEAR = HeadRow(reads=timm_spec, names=(Rename("head.{p}", "output.{p}"),))
PAIR = HeadRow(reads="cls+dist", names=(*LINEAR.names, Rename("head_dist.{p}", "distillation.{p}")))

TIMM_VIT = Family(
    name="timm vit",
    types=(),
    modality="image",
    architectures=(
        r"vit_[a-z]+_patch\d+_(plus_)?\d+(_miil)?",
        r"deit_[a-z]+_patch\d+_\d+",
        r"vit_[a-z]+_patch\d+_gap_\d+",
    ),
    shape=timm_shape,
    names=NAMES,
    prefixes=("timm_model.",),
    pooler=timm_pooler,
    head=LINEAR,
    readout=timm_readout,
    harmless=HARMLESS,
    used_by=("timm/vit_base_patch16_224.augreg_in21k_ft_in1k", "timm/deit_tiny_patch16_224.fb_in1k"),
    paper="Dosovitskiy et al. 2021; Touvron et al. 2021",
    notes=(
        Note(
            "the norm comes after the mean (fc_norm): the states are not normed", when=lambda config: config["fc_norm"]
        ),
    ),
)
TIMM_DEIT_DISTILLED = replace(
    TIMM_VIT,
    name="timm deit distilled",
    architectures=(r"deit_[a-z]+_distilled_patch\d+_\d+",),
    head=PAIR,
    readout=distilled_readout,
    used_by=("timm/deit_base_distilled_patch16_224.fb_in1k",),
    paper="Touvron et al. 2021",
    notes=("two tokens stand before the patches: class and distillation",),
)
TIMM_DEIT3 = replace(
    TIMM_VIT,
    name="timm deit3",
    architectures=(r"deit3_[a-z]+_patch\d+_\d+",),
    used_by=("timm/deit3_base_patch16_224.fb_in22k_ft_in1k",),
    paper="Touvron et al. 2022 (DeiT III)",
    notes=("keeps its class token, which has no position: positions are on the patches only",),
)
TIMM_DINOV2 = replace(
    TIMM_VIT,
    name="timm dinov2",
    architectures=(r"vit_(?!giant)[a-z]+_patch\d+(_reg\d)?_dinov2",),
    readout=DINO_READOUT,
    used_by=("timm/vit_small_patch14_dinov2.lvd142m", "timm/vit_base_patch14_reg4_dinov2.lvd142m"),
    paper="Oquab et al. 2023; Darcet et al. 2023",
    notes=(Note("timm's recipe gives 518 pixels, the Hugging Face folder's 224: the same weights give other vectors"),),
)
TIMM_DINOV2_GIANT = replace(
    TIMM_DINOV2,
    name="timm dinov2 giant",
    architectures=(r"vit_giant_patch\d+(_reg\d)?_dinov2",),
    names=GATED,
    used_by=("timm/vit_giant_patch14_dinov2.lvd142m",),
)
TIMM_SIGLIP = replace(
    TIMM_VIT,
    name="timm siglip",
    architectures=(r"vit_[a-z0-9]+_patch\d+_siglip(_gap)?_\d+",),
    used_by=("timm/ViT-B-16-SigLIP", "timm/vit_base_patch16_siglip_224.webli"),
    paper="Zhai et al. 2023",
    notes=(Note("another pool than map drops the attention pooling's weights in timm", of="none"),),
)
TIMM_CLIP = replace(
    TIMM_VIT,
    name="timm clip",
    architectures=(r"vit_[a-z0-9]+_patch\d+(_plus)?_clip(_quickgelu)?_\d+",),
    used_by=("timm/vit_base_patch16_clip_224.openai", "timm/vit_base_patch32_clip_224.laion2b_ft_in12k_in1k"),
    paper="Radford et al. 2021",
    notes=(Note("with 512 or 768 classes the classifier IS the projection into the joint space", of="classifier"),),
)
TIMM_VITS: tuple[Family, ...] = (
    TIMM_VIT,
    TIMM_DEIT_DISTILLED,
    TIMM_DEIT3,
    TIMM_DINOV2,
    TIMM_DINOV2_GIANT,
    TIMM_SIGLIP,
    TIMM_CLIP,
)
