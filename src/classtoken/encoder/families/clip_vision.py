"""The image towers of CLIP and SigLIP."""

from dataclasses import replace

from classtoken.encoder.families.bert import BASE_SIZE, BERT, activation, bert_shape, bidirectional
from classtoken.encoder.families.clip import CLIP_TEXT, METACLIP2_TEXT, SIGLIP2_TEXT, SIGLIP_TEXT, TOWER_BLOCKS
from classtoken.encoder.families.row import (
    AuthorsReadout,
    Config,
    Family,
    FamilyPair,
    HeadRow,
    Note,
    PoolerRow,
    ProjectionRow,
    complete,
)
from classtoken.encoder.families.vit import CLASSIFIER, pair, square
from classtoken.encoder.names import Rename
from classtoken.encoder.shape import BlockShape, ImageStem, Shape
from classtoken.errors import UnsupportedModel
from classtoken.values import InputDefaults, Role

CLIP_VISION_DEFAULTS = {
    **BASE_SIZE,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
SIGLIP_VISION_DEFAULTS = {
    **CLIP_VISION_DEFAULTS,
    "patch_size": 16,
    "num_patches": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
PATCHES = (
    Rename("embeddings.patch_embedding.{p}", "stem.patch.{p}"),
    Rename("embeddings.position_embedding.weight", "stem.position"),
)
FINAL_NORM = (Rename("post_layernorm.{p}", "final_norm.{p}"),)
MAP = (
    Rename("head.probe", "map.probe", dims=3),
    *(
        Rename(f"head.attention.in_proj_{p}", tuple(f"map.{part}.{p}" for part in ("query", "key", "value")))
        for p in ("weight", "bias")
    ),
    Rename("head.attention.out_proj.{p}", "map.output.{p}"),
    Rename("head.layernorm.{p}", "map.norm.{p}"),
    Rename("head.mlp.fc1.{p}", "map.up.{p}"),
    Rename("head.mlp.fc2.{p}", "map.down.{p}"),
)


def tower_block(config: Config) -> BlockShape:
    """The block of a CLIP-like tower."""
    return BlockShape(
        heads=config["num_attention_heads"],
        feedforward_size=config["intermediate_size"],
        norm_eps=config["layer_norm_eps"],
        activation=activation(config["hidden_act"]),
    )


def clip_shape(config: Config) -> Shape:
    """A class token, a norm before the first block, patches without a bias."""
    config = complete(config, CLIP_VISION_DEFAULTS)
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=ImageStem(
            patch=square(config["patch_size"]),
            image=pair(config["image_size"]),
            channels=config["num_channels"],
            patch_bias=False,
            class_tokens=1,
            norm=True,
        ),
        block=tower_block(config),
    )


def siglip_shape(config: Config) -> Shape:
    """Patches only."""
    config = complete(config, SIGLIP_VISION_DEFAULTS)
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=ImageStem(
            patch=square(config["patch_size"]),
            image=pair(config["image_size"]),
            channels=config["num_channels"],
            positioned=frozenset({Role.CONTENT}),
        ),
        block=tower_block(config),
    )


def siglip2_shape(config: Config) -> Shape:
    """Patches that come cut, in the image's own shape; positions are brought to each image's grid."""
    config = complete(config, SIGLIP_VISION_DEFAULTS)
    side = round(config["num_patches"] ** 0.5)
    if side * side != config["num_patches"]:
        raise UnsupportedModel(
            f"num_patches {config['num_patches']} is no square; a SigLIP 2 has a square of positions."
        )
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=ImageStem(
            patch=square(config["patch_size"]),
            image=(side * config["patch_size"], side * config["patch_size"]),
            channels=config["num_channels"],
            cut_patches=True,
            positioned=frozenset({Role.CONTENT}),
            resize="bilinear_antialias",
        ),
        block=tower_block(config),
    )


def siglip_pooler(config: Config) -> PoolerRow:
    """Multi-head attention pooling, where the config has a head."""
    if not config.get("vision_use_head", True):
        return PoolerRow(kind="none")
    act = complete(config, SIGLIP_VISION_DEFAULTS)["hidden_act"]
    return PoolerRow(kind="map", names=MAP, activation=activation(act), optional=False)


CLIP_READOUT = AuthorsReadout(
    spec="cls",
    reason="the image's vector is the class token after the last norm, then the projection, at unit length",
    source="Radford et al. 2021 (CLIP), section 2.4; CLIPModel.get_image_features",
    alternatives={
        "classification": "cls before the projection",
        "vision-language input": "the patch states after the block before the last",
    },
    unit_length=True,
)


def siglip_readout(config: Config) -> AuthorsReadout:
    """The attention-pooled vector; the mean where a checkpoint has no head."""
    if not config.get("vision_use_head", True):
        return AuthorsReadout(
            spec="mean",
            reason="this tower comes without its attention pooling (vision_use_head is off)",
            source="SiglipVisionModel",
            alternatives={"vision-language input": "patch states", "dense": "patch states"},
        )
    return AuthorsReadout(
        spec="pooler",
        reason="a learned query attends over the patches (MAP head); it is what the loss compares with texts",
        source="Zhai et al. 2023 (SigLIP), section 3; big_vision models/vit.py MAPHead",
        alternatives={"classification": "mean", "vision-language input": "patch states", "dense": "patch states"},
        unit_length=True,
    )


HEAD = HeadRow(reads="mean", names=CLASSIFIER, architectures=("ForImageClassification",))
SIGLIP_IMAGES = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 224, "width": 224}}

CLIP_VISION = Family(
    name="clip_vision",
    types=("clip_vision_model",),
    modality="image",
    shape=clip_shape,
    names=(
        Rename("embeddings.class_embedding", "stem.class_token", dims=1),
        *PATCHES,
        Rename("pre_layrnorm.{p}", "stem.norm.{p}"),
        *TOWER_BLOCKS,
        *FINAL_NORM,
    ),
    prefixes=("vision_model.",),
    ignored=(r"embeddings\.position_ids",),
    pooler=PoolerRow(kind="state", token="cls", optional=False),
    head=HeadRow(
        reads="mean@-1",
        names=CLASSIFIER,
        architectures=("ForImageClassification",),
    ),
    projection=ProjectionRow(names=(Rename("visual_projection.weight", "projection.weight"),)),
    config_key="vision_config",
    hidden_state="before_norm",
    readout=CLIP_READOUT,
    inputs=InputDefaults(image={"image_processor_type": "CLIPImageProcessor"}),
    used_by=("openai/clip-vit-base-patch32", "openai/clip-vit-large-patch14", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
    paper="Radford et al. 2021",
    notes=(
        "last_hidden_state is before the last norm, pooler_output is the class token after it: they are not equal",
        "get_image_features returns the PROJECTED vector, of another size than pooler_output",
    ),
)
SIGLIP_VISION = Family(
    name="siglip_vision",
    types=("siglip_vision_model",),
    modality="image",
    shape=siglip_shape,
    names=PATCHES + TOWER_BLOCKS + FINAL_NORM,
    prefixes=("vision_model.",),
    ignored=(r"embeddings\.position_ids",),
    pooler=siglip_pooler,
    head=HEAD,
    config_key="vision_config",
    readout=siglip_readout,
    inputs=InputDefaults(image=SIGLIP_IMAGES),
    used_by=("google/siglip-base-patch16-224", "google/siglip-so400m-patch14-384", "google/siglip2-base-patch16-224"),
    paper="Zhai et al. 2023",
    notes=(
        Note("there is no class token: position 0 is the first patch", of="none"),
        Note("Hugging Face's classifier reads the mean of the patches instead of the pooled vector", of="classifier"),
    ),
)
SIGLIP2_VISION = Family(
    name="siglip2_vision",
    types=("siglip2_vision_model",),
    modality="image",
    shape=siglip2_shape,
    names=PATCHES + TOWER_BLOCKS + FINAL_NORM,
    prefixes=("vision_model.",),
    pooler=siglip_pooler,
    head=HEAD,
    config_key="vision_config",
    readout=siglip_readout,
    inputs=InputDefaults(image={"image_processor_type": "Siglip2ImageProcessor"}),
    used_by=("google/siglip2-base-patch16-naflex", "google/siglip2-so400m-patch16-naflex"),
    paper="Tschannen et al. 2025",
    notes=(
        "images keep their shape: every row has its own patch grid, and padding behind it",
        Note("checkpoints of fixed size are published as model_type siglip", of="none"),
    ),
)

METACLIP2_VISION = replace(
    CLIP_VISION,
    name="metaclip_2_vision",
    types=("metaclip_2_vision_model",),
    used_by=("facebook/metaclip-2-worldwide-huge-quickgelu",),
    paper="Chuang et al. 2025",
)
CHINESE_CLIP_VISION = replace(
    CLIP_VISION,
    name="chinese_clip_vision",
    types=("chinese_clip_vision_model",),
    head=None,
    inputs=InputDefaults(image={"image_processor_type": "ChineseCLIPImageProcessor"}),
    used_by=("OFA-Sys/chinese-clip-vit-base-patch16",),
    paper="Yang et al. 2022 (Chinese CLIP)",
    notes=(),
)
CHINESE_CLIP_TEXT = replace(
    BERT,
    name="chinese_clip_text",
    types=("chinese_clip_text_model",),
    prefixes=("text_model.",),
    config_key="text_config",
    reads=lambda config: True,
    shape=lambda config: bidirectional(bert_shape(config)),
    pooler=PoolerRow(kind="none"),
    head=None,
    config=None,
    projection=ProjectionRow(names=(Rename("text_projection.weight", "projection.weight"),)),
    readout=AuthorsReadout(
        spec="cls",
        reason="the contrastive loss compared [CLS] after the last block, projected, at unit length",
        source="Yang et al. 2022 (Chinese CLIP), section 2; ChineseCLIPModel.get_text_features",
        alternatives={},
        unit_length=True,
    ),
    used_by=CHINESE_CLIP_VISION.used_by,
    paper=CHINESE_CLIP_VISION.paper,
    notes=("a RoBERTa in Chinese with BERT's names; its pooler, where the file has one, is not read",),
)
CHINESE_CLIP = FamilyPair(types=("chinese_clip",), image=CHINESE_CLIP_VISION, text=CHINESE_CLIP_TEXT)
CLIP = FamilyPair(types=("clip",), image=CLIP_VISION, text=CLIP_TEXT)
SIGLIP = FamilyPair(types=("siglip",), image=SIGLIP_VISION, text=SIGLIP_TEXT)
SIGLIP2 = FamilyPair(types=("siglip2",), image=SIGLIP2_VISION, text=SIGLIP2_TEXT)
METACLIP2 = FamilyPair(types=("metaclip_2",), image=METACLIP2_VISION, text=METACLIP2_TEXT)
