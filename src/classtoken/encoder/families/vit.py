"""ViT and its kin: a class token first, learned positions, pre-norm."""

from classtoken.encoder.families.bert import activation
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, PoolerRow
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import BlockShape, ImageStem, Shape

EMBEDDINGS = (
    Rename("embeddings.cls_token", "stem.class_token", dims=3),
    Rename("embeddings.position_embeddings", "stem.position", dims=3),
    Rename("embeddings.patch_embeddings.projection.{p}", "stem.patch.{p}"),
)
BLOCKS = blocks(
    "encoder.layer.{i}.",
    {
        "attention.attention.query": "attention.query",
        "attention.attention.key": "attention.key",
        "attention.attention.value": "attention.value",
        "attention.output.dense": "attention.output",
        "layernorm_before": "attention_norm",
        "layernorm_after": "feedforward_norm",
        "intermediate.dense": "feedforward.up",
        "output.dense": "feedforward.down",
    },
)
FINAL_NORM = (Rename("layernorm.{p}", "final_norm.{p}"),)


def pair(size: int | list[int] | tuple[int, int]) -> tuple[int, int]:
    """Height and width from one number or two."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def vit_shape(config: Config, *, class_tokens: int = 1) -> Shape:
    """Shape of ViT-like configs."""
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=ImageStem(
            patch=config["patch_size"],
            image=pair(config["image_size"]),
            channels=config.get("num_channels", 3),
            class_tokens=class_tokens,
        ),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config.get("layer_norm_eps", 1e-12),
            activation=activation(config["hidden_act"]),
        ),
    )


def class_token(config: Config) -> AuthorsReadout:
    """The class token after the final norm."""
    return AuthorsReadout(
        spec="cls",
        reason="the classifier was trained on the class token's state after the final norm",
        source="Dosovitskiy et al. 2021, section 3.1; ViTForImageClassification",
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
    pooler=PoolerRow(kind="tanh", names=(Rename("pooler.dense.{p}", "dense.{p}"),)),
    head=HeadRow(
        kind="linear", names=(Rename("classifier.{p}", "output.{p}"),), architectures=("ForImageClassification",)
    ),
    readout=class_token,
    used_by=("google/vit-base-patch16-224", "facebook/deit-tiny-patch16-224"),
    paper="Dosovitskiy et al. 2021",
    notes=(
        "pooler_output is tanh(W LN(class token) + b), not the class token; "
        "most fine-tuned checkpoints lack its weights",
    ),
)
