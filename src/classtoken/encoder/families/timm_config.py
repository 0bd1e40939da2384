"""What timm's rows need to know of a checkpoint, measured in its weights.

timm's config.json names an architecture and little else, so sizes are read off the weights; what they cannot tell
(heads, activation, epsilon) follows from the architecture's name, as in timm 1.0's `vision_transformer.py` and
`deit.py`, unless `model_args` says it.
"""

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

from classtoken.encoder.families.row import Config
from classtoken.errors import UnsupportedModel, WeightsError
from classtoken.values import Role

Sizes = Mapping[str, tuple[int, ...]]
"""name of a tensor -> its shape"""
#: Where heads are not of 64 numbers.
HEADS = {1152: 16, 1280: 16, 1408: 16, 1664: 16}
#: SigLIP trunks with the tanh form of GELU.
TANH = re.compile(r"patch32_siglip|large_patch16_siglip(_gap)?_512|so400m_patch16_siglip|giantopt")


def is_timm(config: Config) -> bool:
    """Whether config.json is timm's, or transformers' wrapper around it."""
    return isinstance(config.get("architecture"), str)


def timm_config(config: Config, sizes: Sizes) -> dict[str, Any]:
    """Everything that the rows ask, out of timm's config and the weights' sizes (names without a prefix)."""
    arguments = config.get("model_args") or {}
    published = config.get("pretrained_cfg") or {}
    architecture = str(config["architecture"]).split(".")[0]
    try:
        hidden, channels, patch, _ = sizes["patch_embed.proj.weight"]
        first, normed = sizes["blocks.0.mlp.fc1.weight"][0], "norm.weight" in sizes
    except (KeyError, ValueError) as error:
        raise WeightsError(f"the weights of '{architecture}' lack {error}; is the file whole?") from error
    special = {
        "class_tokens": int("cls_token" in sizes),
        "distillation_tokens": int("dist_token" in sizes),
        "registers": sizes.get("reg_token", (1, 0, 0))[1],
    }
    asked = arguments.get("img_size") or published.get("input_size", (3, 224, 224))[1:]
    labels = config.get("label_names") or published.get("label_names") or ()
    return {
        "architecture": architecture,
        "hidden_size": hidden,
        "depth": len({name.split(".")[1] for name in sizes if name.startswith("blocks.")}),
        "heads": int(arguments.get("num_heads") or heads_of(architecture, hidden)),
        "feedforward_size": sizes["blocks.0.mlp.fc2.weight"][1],
        "gated": first != sizes["blocks.0.mlp.fc2.weight"][1],
        "patch": patch,
        "channels": channels,
        "patch_bias": "patch_embed.proj.bias" in sizes,
        **special,
        **_positions(sizes.get("pos_embed", (1, 0, 0))[1], asked, patch, special),
        "qkv_bias": "blocks.0.attn.qkv.bias" in sizes,
        "layer_scale": "blocks.0.ls1.gamma" in sizes,
        "pre_norm": "norm_pre.weight" in sizes,
        "final_norm": normed,
        "fc_norm": "fc_norm.weight" in sizes,
        "norm_eps": 1e-5 if "_clip_" in architecture else 1e-6,
        "activation": _activation(architecture, arguments.get("act_layer")),
        "pool": str(config.get("global_pool") or arguments.get("global_pool") or _usual_pool(architecture)),
        "distilled_head": "head_dist.weight" in sizes,
        "id2label": dict(enumerate(labels)) if isinstance(labels, list | tuple) else labels,
    }


def heads_of(architecture: str, hidden: int) -> int:
    """Heads of a timm architecture: of 64 numbers each, but for the largest models."""
    if architecture == "vit_base_patch16_gap_224" or (hidden == 1536 and "giantopt" in architecture):
        return 16
    return HEADS.get(hidden, hidden // 64)


def _activation(architecture: str, asked: object) -> str:
    if isinstance(asked, str) and asked:
        return asked
    if "quickgelu" in architecture:
        return "quick_gelu"
    if re.search(r"giant_.*dinov2", architecture):
        return "silu"
    return "gelu_tanh" if TANH.search(architecture) else "gelu"


def _usual_pool(architecture: str) -> str:
    if "gap" in architecture:
        return "avg"
    return "map" if "siglip" in architecture else "token"


def _positions(count: int, asked: Any, patch: int, special: Mapping[str, int]) -> dict[str, Any]:
    """The image size for which there are positions, and the roles that have one."""
    heads = special["class_tokens"] + special["distillation_tokens"]
    every = {
        0: frozenset({Role.CONTENT}),
        heads + special["registers"]: frozenset({Role.CLASS, Role.DISTILLATION, Role.REGISTER, Role.CONTENT}),
        heads: frozenset({Role.CLASS, Role.DISTILLATION, Role.CONTENT}),
    }
    height, width = (asked, asked) if isinstance(asked, int) else (int(asked[0]), int(asked[1]))
    patches = (height // patch) * (width // patch)
    if count - patches in every:
        return {"image": (height, width), "positioned": every[count - patches]}
    for more, roles in sorted(every.items()):
        side = isqrt(max(0, count - more))
        if side and side * side == count - more:
            return {"image": (side * patch, side * patch), "positioned": roles}
    raise UnsupportedModel(f"pos_embed has {count} positions, which fit no square of patches beside {dict(special)}.")
