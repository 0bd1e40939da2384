"""ViT and models like it: learned positions, pre-norm; with a class token (ViT, DeiT, MAE, MSN) or without (I-JEPA)."""

from dataclasses import replace
from typing import Any

from classtoken.encoder.families.bert import BASE_SIZE, activation, block_config
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, Note, PoolerRow, complete
from classtoken.encoder.names import Rename, also, blocks
from classtoken.encoder.shape import ALL_BIASES, BlockShape, ImageStem, Shape
from classtoken.errors import ModelError
from classtoken.tensors import ACTIVATIONS
from classtoken.values import InputDefaults

#: What ViT's config and others like it assume when the file leaves it out.
VIT_DEFAULTS = {
    **BASE_SIZE,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "qkv_bias": True,
}
EMBEDDINGS = (
    Rename("embeddings.cls_token", "stem.class_token", dims=3),
    Rename("embeddings.position_embeddings", "stem.position", dims=3),
    Rename("embeddings.patch_embeddings.projection.{p}", "stem.patch.{p}"),
)
ATTENTION = {
    "attention.attention.query": "attention.query",
    "attention.attention.key": "attention.key",
    "attention.attention.value": "attention.value",
    "attention.output.dense": "attention.output",
}
#: Parts of names in files -> in transformers' modules.
ATTENTION_SPELLED = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
}
SPELLED = {
    **ATTENTION_SPELLED,
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "encoder.layer.": "layers.",
}
BLOCKS = also(
    blocks(
        "encoder.layer.{i}.",
        {
            **ATTENTION,
            "layernorm_before": "attention_norm",
            "layernorm_after": "feedforward_norm",
            "intermediate.dense": "feedforward.up",
            "output.dense": "feedforward.down",
        },
    ),
    SPELLED,
)
FINAL_NORM = (Rename("layernorm.{p}", "final_norm.{p}"),)
CLASSIFIER = (Rename("classifier.{p}", "output.{p}"),)
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def pair(size: int | list[int] | tuple[int, int]) -> tuple[int, int]:
    """Height and width from one number or two."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def square(size: int | list[int] | tuple[int, int]) -> int:
    """The side of a patch. Raises `ModelError` for one that is not square."""
    height, width = pair(size)
    if height != width:
        raise ModelError(
            f"patches of {height}x{width} pixels are not square, and only square ones are read here (patch_size). "
            "Take a checkpoint with square patches."
        )
    return height


def qkv_biases(config: Config) -> frozenset[str]:
    """All biases, but those of query, key and value where `qkv_bias` is off."""
    return ALL_BIASES if config["qkv_bias"] else ALL_BIASES - {"query", "key", "value"}


def vit_block(config: Config) -> BlockShape:
    """The block of ViT-like configs."""
    return BlockShape(
        heads=config["num_attention_heads"],
        feedforward_size=config["intermediate_size"],
        norm_eps=config["layer_norm_eps"],
        activation=activation(config["hidden_act"]),
        biases=qkv_biases(config),
    )


def vit_stem(config: Config) -> ImageStem:
    """The stem of ViT-like configs: a class token, learned positions for every token."""
    return ImageStem(
        patch=square(config["patch_size"]),
        image=pair(config["image_size"]),
        channels=config["num_channels"],
        class_tokens=1,
    )


def vit_shape(config: Config) -> Shape:
    """A class token, learned positions, pre-norm."""
    config = complete(config, VIT_DEFAULTS)
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=vit_stem(config),
        block=vit_block(config),
    )


def vit_config(shape: Shape) -> dict[str, Any] | None:
    """The config that `vit_shape` makes this shape of; None where there is none."""
    stem = shape.stem
    if not isinstance(stem, ImageStem):
        return None
    config = {
        "model_type": "vit",
        "architectures": ["ViTForImageClassification"],
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.depth,
        "image_size": stem.image[0] if stem.image[0] == stem.image[1] else list(stem.image),
        "patch_size": stem.patch,
        "num_channels": stem.channels,
        **block_config(shape.block),
    }
    return config if vit_shape(config) == shape else None


def deit_shape(config: Config) -> Shape:
    """ViT with a distillation token; both have a position."""
    return replace_stem(vit_shape(config), distillation_tokens=1)


def mae_shape(config: Config) -> Shape:
    """ViT with fixed positions, which the file holds too."""
    return replace_stem(vit_shape(config), positions="sinusoidal")


def msn_shape(config: Config) -> Shape:
    """ViT whose norms assume another epsilon."""
    return vit_shape(complete(config, {"layer_norm_eps": 1e-6}))


def ijepa_shape(config: Config) -> Shape:
    """ViT without a class token."""
    return replace_stem(vit_shape(config), class_tokens=0)


def replace_stem(shape: Shape, **changes: object) -> Shape:
    """The same shape with another image stem."""
    assert isinstance(shape.stem, ImageStem)
    return replace(shape, stem=replace(shape.stem, **changes))  # type: ignore[arg-type]


def tanh_pooler(config: Config) -> PoolerRow:
    """tanh(W class token + b), or another function where the config names one."""
    name = config.get("pooler_act") or "tanh"
    act = name if name in ACTIVATIONS else activation(name)
    return PoolerRow(kind="tanh", names=(Rename("pooler.dense.{p}", "dense.{p}"),), activation=act)


CLASS_TOKEN = AuthorsReadout(
    spec="cls",
    reason="the classifier was trained on the class token's state after the final norm",
    source="Dosovitskiy et al. 2021, section 3.1; ViTForImageClassification",
    alternatives={"dense": "patch states"},
)


def deit_readout(config: Config) -> AuthorsReadout:
    """Both tokens for a distilled pair of heads, the class token otherwise."""
    if any(str(name).endswith("WithTeacher") for name in config.get("architectures") or ()):
        return AuthorsReadout(
            spec="cls_dist",
            reason="the prediction is the mean of a head on the class token and one on the distillation token",
            source="Touvron et al. 2021, section 4; DeiTForImageClassificationWithTeacher",
            alternatives={"class token alone": "cls", "teacher's side": "dist", "dense": "patch states"},
        )
    return AuthorsReadout(
        spec="cls",
        reason="the classifier was trained on the class token's state after the final norm",
        source="Touvron et al. 2021, section 4; DeiTForImageClassification",
        alternatives={"both tokens": "cls_dist", "dense": "patch states"},
    )


MAE_READOUT = AuthorsReadout(
    spec="cls",
    reason="linear probing reads the class token; it was never trained by a loss of its own, so the mean of the "
    "patches is a fair rival",
    source="He et al. 2021, section A.1 (linear probing)",
    alternatives={"fine-tuning": "mean", "dense": "patch states"},
)

MSN_READOUT = AuthorsReadout(
    spec="cls",
    reason="the class token is what the loss matches to prototypes, and what few-shot evaluation reads",
    source="Assran et al. 2022 (MSN), section 3",
    alternatives={"dense": "patch states"},
)

IJEPA_READOUT = AuthorsReadout(
    spec="mean",
    reason="there is no class token; evaluation averages the patches after the final norm",
    source="Assran et al. 2023 (I-JEPA), section A; IJepaForImageClassification",
    alternatives={"dense": "patch states"},
)

VIT = Family(
    name="vit",
    types=("vit",),
    modality="image",
    shape=vit_shape,
    names=EMBEDDINGS + BLOCKS + FINAL_NORM,
    prefixes=("vit.",),
    ignored=(r"embeddings\.mask_token", r"decoder\..*"),
    pooler=tanh_pooler,
    head=HeadRow(reads="cls", names=CLASSIFIER, architectures=("ForImageClassification",)),
    readout=CLASS_TOKEN,
    inputs=InputDefaults(image={"image_processor_type": "ViTImageProcessor"}),
    config=vit_config,
    used_by=("google/vit-base-patch16-224", "facebook/deit-tiny-patch16-224", "facebook/dino-vits16"),
    paper="Dosovitskiy et al. 2021",
    notes=(
        Note("pooler_output is tanh(W LN(class token) + b), not the class token", of="pooler"),
        Note("most fine-tuned checkpoints lack the pooler's weights", of="none"),
    ),
)
DEIT = Family(
    name="deit",
    types=("deit",),
    modality="image",
    shape=deit_shape,
    names=(Rename("embeddings.distillation_token", "stem.distillation", dims=3), *EMBEDDINGS, *BLOCKS, *FINAL_NORM),
    prefixes=("deit.",),
    ignored=(r"embeddings\.mask_token", r"decoder\..*"),
    pooler=tanh_pooler,
    head=HeadRow(reads="cls", names=CLASSIFIER, architectures=("DeiTForImageClassification",)),
    other_heads=(
        HeadRow(
            reads="cls+dist",
            names=(
                Rename("cls_classifier.{p}", "output.{p}"),
                Rename("distillation_classifier.{p}", "distillation.{p}"),
            ),
            architectures=("ForImageClassificationWithTeacher",),
        ),
    ),
    readout=deit_readout,
    inputs=InputDefaults(image={"image_processor_type": "DeiTImageProcessor", **IMAGENET}),
    used_by=("facebook/deit-base-distilled-patch16-224", "facebook/deit-tiny-distilled-patch16-224"),
    paper="Touvron et al. 2021",
    notes=(
        "two tokens stand before the patches: class and distillation; a mean over [:, 1:] takes the second one along",
        Note("pooler_output is tanh(W LN(class token) + b)", of="pooler"),
        Note("checkpoints without distillation are published as model_type vit", of="none"),
    ),
)
VIT_MAE = Family(
    name="vit_mae",
    types=("vit_mae",),
    modality="image",
    shape=mae_shape,
    names=EMBEDDINGS + BLOCKS + FINAL_NORM,
    prefixes=("vit.",),
    ignored=(r"decoder\..*",),
    readout=MAE_READOUT,
    inputs=InputDefaults(image={"image_processor_type": "ViTImageProcessor", **IMAGENET}),
    used_by=("facebook/vit-mae-base", "facebook/vit-mae-large", "facebook/vit-mae-huge"),
    paper="He et al. 2021",
    notes=(
        "Hugging Face's ViTMAEModel drops 75 % of the patches at random, in eval() too; here nothing is masked and the "
        "patches stay in order",
        "the class token was only carried along in pre-training: it is a dummy until something is trained on it",
    ),
)
VIT_MSN = Family(
    name="vit_msn",
    types=("vit_msn",),
    modality="image",
    shape=msn_shape,
    names=EMBEDDINGS + BLOCKS + FINAL_NORM,
    prefixes=("vit.",),
    ignored=(r"embeddings\.mask_token",),
    head=HeadRow(reads="cls", names=CLASSIFIER, architectures=("ForImageClassification",)),
    readout=MSN_READOUT,
    inputs=InputDefaults(image={"image_processor_type": "ViTImageProcessor", **IMAGENET}),
    used_by=("facebook/vit-msn-small", "facebook/vit-msn-base"),
    paper="Assran et al. 2022",
)
IJEPA = Family(
    name="ijepa",
    types=("ijepa",),
    modality="image",
    shape=ijepa_shape,
    names=EMBEDDINGS[1:] + BLOCKS + FINAL_NORM,
    prefixes=("ijepa.",),
    ignored=(r"embeddings\.mask_token", r"pooler\..*"),
    head=HeadRow(reads="mean", names=CLASSIFIER, architectures=("ForImageClassification",)),
    harmless=frozenset(["pooler_act"]),
    readout=IJEPA_READOUT,
    inputs=InputDefaults(image={"image_processor_type": "ViTImageProcessor", **IMAGENET}),
    published={"patch_size": 14},
    used_by=("facebook/ijepa_vith14_1k", "facebook/ijepa_vitg16_22k"),
    paper="Assran et al. 2023",
    notes=(Note("there is no class token: position 0 is the first patch", of="none"),),
)
