"""BEiT and data2vec-vision: relative position tables over the patch grid, layer scale, keys without a bias."""

from dataclasses import replace

from classtoken.encoder.families.bert import activation
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, Note, PoolerRow, complete
from classtoken.encoder.families.vit import (
    BLOCKS,
    CLASSIFIER,
    EMBEDDINGS,
    FINAL_NORM,
    IMAGENET,
    SPELLED,
    VIT_DEFAULTS,
    pair,
    square,
)
from classtoken.encoder.names import Rename, also
from classtoken.encoder.shape import ALL_BIASES, BlockShape, ImageStem, PositionShape, Shape
from classtoken.errors import UnsupportedModel
from classtoken.values import InputDefaults, Role

BEIT_DEFAULTS = {
    **VIT_DEFAULTS,
    "use_mean_pooling": True,
    "use_absolute_position_embeddings": False,
    "use_relative_position_bias": False,
    "use_shared_relative_position_bias": False,
    "layer_scale_init_value": 0.1,
}
TABLE = "relative_position_bias.relative_position_bias_table"
SHARED = "shared_position_bias.relative_position_bias_table"
NAMES = (
    *EMBEDDINGS,
    *BLOCKS,
    *also(
        (
            Rename("encoder.layer.{i}.lambda_1", "blocks.{i}.attention_scale.weight"),
            Rename("encoder.layer.{i}.lambda_2", "blocks.{i}.feedforward_scale.weight"),
            Rename("encoder.layer.{i}.attention.attention." + TABLE, "tables.{i}.weight"),
            Rename("encoder." + TABLE, "table.weight"),
        ),
        {"attention.attention." + TABLE: TABLE, "encoder." + TABLE: SHARED} | SPELLED,
    ),
    *FINAL_NORM,
)


def beit_shape(config: Config) -> Shape:
    """Shape of BEiT configs. In mean mode there is no final norm: the pooler norms the mean instead."""
    config = complete(config, BEIT_DEFAULTS)
    own, shared = config["use_relative_position_bias"], config["use_shared_relative_position_bias"]
    if own and shared:
        raise UnsupportedModel("a BEiT with relative position tables both per block and shared is not supported.")
    absolute = bool(config["use_absolute_position_embeddings"])
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=ImageStem(
            patch=square(config["patch_size"]),
            image=pair(config["image_size"]),
            channels=config["num_channels"],
            class_tokens=1,
            positions="learned" if absolute else "none",
            positioned=frozenset({Role.CLASS, Role.CONTENT}) if absolute else frozenset(),
        ),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config["layer_norm_eps"],
            final_norm=not config["use_mean_pooling"],
            activation=activation(config["hidden_act"]),
            biases=ALL_BIASES - {"key"},
            layer_scale=config["layer_scale_init_value"] > 0,
        ),
        position=PositionShape(tables="block" if own else "shared" if shared else "none"),
    )


def beit_pooler(config: Config) -> PoolerRow:
    """LN(mean of the patches), or the class token's state."""
    if config.get("use_mean_pooling", True):
        return PoolerRow(kind="pooled", names=(Rename("pooler.layernorm.{p}", "norm.{p}"),))
    return PoolerRow(kind="state", token="cls", optional=False)


def beit_readout(config: Config) -> AuthorsReadout:
    """What the classifier was trained on, by config."""
    if config.get("use_mean_pooling", True):
        return AuthorsReadout(
            spec="pooler",
            reason="the classifier reads the norm of the mean of the patches; the states themselves are not normed",
            source="Bao et al. 2021 (BEiT), section 2.6; BeitPooler with use_mean_pooling",
            alternatives={"without the norm": "mean", "dense": "patch states"},
        )
    return AuthorsReadout(
        spec="cls",
        reason="use_mean_pooling is off: the pooled output is the class token's state after the final norm",
        source="Bao et al. 2021 (BEiT); BeitPooler without use_mean_pooling",
        alternatives={"mean of the patches": "mean", "dense": "patch states"},
    )


def data2vec_readout(config: Config) -> AuthorsReadout:
    """As BEiT; the paper's own name."""
    return replace(beit_readout(config), source="Baevski et al. 2022 (data2vec), section 4.1; Data2VecVisionPooler")


HEAD = HeadRow(reads="pooler", names=CLASSIFIER, architectures=("ForImageClassification",))
IGNORED = (
    r"embeddings\.mask_token",
    r".*relative_position_index",
    r"(decode_head|auxiliary_head|fpn\d|lm_head)\..*",
)
BEIT_IMAGES = {
    "image_processor_type": "BeitImageProcessor",
    "size": {"height": 224, "width": 224},
    "do_center_crop": False,
}

BEIT = Family(
    name="beit",
    types=("beit",),
    modality="image",
    shape=beit_shape,
    names=NAMES,
    prefixes=("beit.",),
    ignored=IGNORED,
    pooler=beit_pooler,
    head=HEAD,
    harmless=frozenset({"vocab_size"}),
    readout=beit_readout,
    inputs=InputDefaults(image=BEIT_IMAGES),
    published={"use_mean_pooling": True},
    used_by=("microsoft/beit-base-patch16-224", "microsoft/beit-base-patch16-224-pt22k"),
    paper="Bao et al. 2021",
    notes=(
        Note(
            "with mean pooling last_hidden_state is NOT normed: the norm comes after the mean, in the pooler",
            of="pooler",
        ),
        Note("checkpoints of masked pre-training lack the pooler's norm", of="none"),
    ),
)
DATA2VEC_VISION = Family(
    name="data2vec-vision",
    types=("data2vec-vision",),
    modality="image",
    shape=beit_shape,
    names=NAMES,
    prefixes=("data2vec_vision.",),
    ignored=IGNORED,
    pooler=beit_pooler,
    head=HEAD,
    readout=data2vec_readout,
    inputs=InputDefaults(image={**BEIT_IMAGES, **IMAGENET}),
    used_by=("facebook/data2vec-vision-base-ft1k", "facebook/data2vec-vision-base"),
    paper="Baevski et al. 2022",
    notes=("with mean pooling last_hidden_state is NOT normed: the norm comes after the mean, in the pooler",),
)
