"""DINOv2, DINOv2 with registers, DINOv3: self-supervised on the class token, layer scale."""

from classtoken.encoder.families.bert import activation
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, Note, PoolerRow, complete
from classtoken.encoder.families.vit import (
    ATTENTION,
    ATTENTION_SPELLED,
    CLASSIFIER,
    EMBEDDINGS,
    FINAL_NORM,
    IMAGENET,
    pair,
    qkv_biases,
    square,
)
from classtoken.encoder.names import Rename, also, blocks
from classtoken.encoder.shape import ALL_BIASES, BlockShape, ImageStem, PositionShape, Resize, Shape
from classtoken.values import InputDefaults, Role

DINOV2_DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 14,
    "num_channels": 3,
    "qkv_bias": True,
    "use_swiglu_ffn": False,
    "num_register_tokens": 4,
}
DINOV3_DEFAULTS = {
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "intermediate_size": 1536,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "rope_theta": 100.0,
    "query_bias": True,
    "key_bias": False,
    "value_bias": True,
    "proj_bias": True,
    "mlp_bias": True,
    "use_gated_mlp": False,
    "num_register_tokens": 0,
}
REGISTERS = Rename("embeddings.register_tokens", "stem.registers", dims=3)
NORMS = {"norm1": "attention_norm", "norm2": "feedforward_norm"}


def scales(prefix: str) -> tuple[Rename, ...]:
    """Rules for the two layer scales of a block."""
    return (
        Rename(f"{prefix}layer_scale1.lambda1", "blocks.{i}.attention_scale.weight"),
        Rename(f"{prefix}layer_scale2.lambda1", "blocks.{i}.feedforward_scale.weight"),
    )


GATED_SPELLED = {"gate_proj": "feedforward.gate", "up_proj": "feedforward.up", "down_proj": "feedforward.down"}
GATE = "blocks.{i}.feedforward.gate.{p}"
DINOV2_NAMES = (
    *EMBEDDINGS,
    Rename("encoder.layer.{i}.mlp.weights_in.{p}", (GATE, "blocks.{i}.feedforward.up.{p}")),
    Rename("encoder.layer.{i}.mlp.weights_out.{p}", "blocks.{i}.feedforward.down.{p}", beside=GATE),
    *also(
        blocks(
            "encoder.layer.{i}.", {**ATTENTION, **NORMS, "mlp.fc1": "feedforward.up", "mlp.fc2": "feedforward.down"}
        ),
        ATTENTION_SPELLED,
    ),
    *blocks("encoder.layer.{i}.mlp.", GATED_SPELLED),
    *scales("encoder.layer.{i}."),
    *FINAL_NORM,
)
DINOV3_NAMES = (
    EMBEDDINGS[0],
    REGISTERS,
    Rename("embeddings.patch_embeddings.{p}", "stem.patch.{p}"),
    *also(
        (
            *blocks(
                "layer.{i}.",
                {
                    "attention.q_proj": "attention.query",
                    "attention.k_proj": "attention.key",
                    "attention.v_proj": "attention.value",
                    "attention.o_proj": "attention.output",
                    **NORMS,
                    **{f"mlp.{part}": ours for part, ours in GATED_SPELLED.items()},
                },
            ),
            *scales("layer.{i}."),
        ),
        {"layer.": "model.layer."},
    ),
    Rename("norm.{p}", "final_norm.{p}"),
)


def swiglu_size(config: Config) -> int:
    """F of the gated feed-forward: two thirds of the plain one, rounded up to a multiple of 8."""
    plain = int(config["hidden_size"] * config["mlp_ratio"])
    return (int(plain * 2 / 3) + 7) // 8 * 8


def dinov2_shape(config: Config, *, resize: Resize = "bicubic", registers: int = 0) -> Shape:
    """Shape of DINOv2 configs; the giant has a gated feed-forward."""
    config = complete(config, DINOV2_DEFAULTS)
    gated = bool(config["use_swiglu_ffn"])
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=ImageStem(
            patch=square(config["patch_size"]),
            image=pair(config["image_size"]),
            channels=config["num_channels"],
            class_tokens=1,
            registers=registers,
            resize=resize,
        ),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=swiglu_size(config) if gated else int(config["hidden_size"] * config["mlp_ratio"]),
            norm_eps=config["layer_norm_eps"],
            activation="silu" if gated else activation(config["hidden_act"]),
            gated=gated,
            biases=qkv_biases(config),
            layer_scale=True,
        ),
    )


def registers_shape(config: Config) -> Shape:
    """DINOv2 with registers; positions are resized with antialiasing here, and without in plain DINOv2."""
    config = complete(config, {**DINOV2_DEFAULTS, "patch_size": 16})
    return dinov2_shape(config, resize="bicubic_antialias", registers=config["num_register_tokens"])


def dinov3_shape(config: Config) -> Shape:
    """Rotary angles from a patch's place in the image; no position embedding at all."""
    config = complete(config, DINOV3_DEFAULTS)
    biases = {name for name in ("query", "key", "value") if config[f"{name}_bias"]}
    biases |= {"output"} if config["proj_bias"] else set()
    biases |= {"up", "down"} if config["mlp_bias"] else set()
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=ImageStem(
            patch=square(config["patch_size"]),
            image=pair(config["image_size"]),
            channels=config["num_channels"],
            class_tokens=1,
            registers=config["num_register_tokens"],
            positions="none",
            positioned=frozenset[Role](),
        ),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config["layer_norm_eps"],
            activation=activation(config["hidden_act"]),
            gated=bool(config["use_gated_mlp"]),
            biases=ALL_BIASES & biases,
            layer_scale=True,
        ),
        position=PositionShape(rotary=(float(config["rope_theta"]),) * config["num_hidden_layers"], rotary_grid=True),
    )


DINO_READOUT = AuthorsReadout(
    spec="cls",
    reason="the image-level loss is on the class token; nearest neighbours are searched with it at unit length",
    source="Oquab et al. 2023 (DINOv2), sections 4 and 7.1; dinov2/eval/linear.py, dinov2/eval/knn.py",
    alternatives={"classification": "cls+mean", "retrieval": "cls at unit length", "dense": "patch states"},
)

DINOV3_READOUT = AuthorsReadout(
    spec="cls",
    reason="the image-level loss is on the class token, and pooler_output is its state",
    source="Siméoni et al. 2025 (DINOv3), section 6; DINOv3ViTModel",
    alternatives={"classification": "cls", "dense": "patch states"},
)

LINEAR = HeadRow(reads="cls+mean", names=CLASSIFIER, architectures=("ForImageClassification",))
STATE = PoolerRow(kind="state", token="cls", optional=False)
DINOV2_IMAGES = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "resample": 3,
    **IMAGENET,
}

#: Of feature pyramids, and what layer scales began at.
UNUSED = frozenset({"apply_layernorm", "layerscale_value"})

DINOV2 = Family(
    name="dinov2",
    types=("dinov2",),
    modality="image",
    shape=dinov2_shape,
    names=DINOV2_NAMES,
    prefixes=("dinov2.",),
    ignored=(r"embeddings\.mask_token",),
    pooler=STATE,
    head=LINEAR,
    harmless=UNUSED | {"hidden_act"},
    readout=DINO_READOUT,
    inputs=InputDefaults(image=DINOV2_IMAGES),
    published={"image_size": 518, "patch_size": 14},
    used_by=("facebook/dinov2-small", "facebook/dinov2-base", "facebook/dinov2-giant"),
    paper="Oquab et al. 2023",
    notes=(
        "positions were learned at 518 pixels; the published preprocessor gives 224, timm's gives 518",
        Note("its linear classifier reads the class token and the mean of the patches side by side", of="classifier"),
    ),
)
DINOV2_REGISTERS = Family(
    name="dinov2_with_registers",
    types=("dinov2_with_registers",),
    modality="image",
    shape=registers_shape,
    names=(REGISTERS, *DINOV2_NAMES),
    prefixes=("dinov2_with_registers.",),
    ignored=(r"embeddings\.mask_token",),
    pooler=STATE,
    head=LINEAR,
    harmless=UNUSED | {"hidden_act"},
    readout=DINO_READOUT,
    inputs=InputDefaults(image=DINOV2_IMAGES),
    published={"image_size": 518, "patch_size": 14, "num_register_tokens": 4},
    used_by=("facebook/dinov2-with-registers-small", "facebook/dinov2-with-registers-base"),
    paper="Darcet et al. 2023",
    notes=("registers stand between the class token and the patches; a mean over [:, 1:] takes them along",),
)
DINOV3 = Family(
    name="dinov3_vit",
    types=("dinov3_vit",),
    modality="image",
    shape=dinov3_shape,
    names=DINOV3_NAMES,
    prefixes=("dinov3_vit.",),
    ignored=(r"embeddings\.mask_token", r"rope_embeddings\..*"),
    pooler=STATE,
    harmless=frozenset(
        ["apply_layernorm", "layerscale_value", "pos_embed_rescale", "pos_embed_shift", "pos_embed_jitter"]
    ),
    readout=DINOV3_READOUT,
    inputs=InputDefaults(
        image={"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 224, "width": 224}}
    ),
    published={"num_register_tokens": 4},
    used_by=("facebook/dinov3-vits16-pretrain-lvd1689m", "facebook/dinov3-vitb16-pretrain-lvd1689m"),
    paper="Siméoni et al. 2025",
    notes=(Note("timm publishes the same weights with the mean of the patches as default", of="none"),),
)
