"""What timm's rows need to know of a checkpoint, measured in its weights.

timm's config.json names an architecture and little else, so sizes are read off the weights; what they cannot tell
(heads, activation, epsilon) follows from the architecture's name, as in timm 1.0's `vision_transformer.py` and
`deit.py`, unless `model_args` says it.
"""

import re
from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

from classtoken.encoder.families.row import Config
from classtoken.errors import UnsupportedModel, WeightsError
from classtoken.values import Role

Sizes = Mapping[str, tuple[int, ...]]
"""name of a tensor -> its shape"""
#: Where heads are not of 64 numbers, or a size is split otherwise in one line of models than in the rest: the first
#: pattern that is in the architecture's name and has its hidden size -> how many heads.
HEADS: tuple[tuple[str, Mapping[int, int]], ...] = (
    ("_dinov3", {1280: 20, 4096: 32}),
    ("giantopt|_pe_", {1536: 16}),
    ("^vit_base_patch16_gap_224$", {768: 16}),
    ("", {1152: 16, 1280: 16, 1408: 16, 1664: 16}),
)
#: SigLIP trunks with the tanh form of GELU.
TANH = re.compile(r"patch32_siglip|large_patch16_siglip(_gap)?_512|so400m_patch16_siglip|giantopt")


#: timm's Eva models, which pool by the mean unless they are told otherwise.
USUALLY_MEAN = re.compile(r"^eva|_dinov3|_pe_")
#: Trunks whose norms have an epsilon of 1e-5.
EPS_5 = re.compile(r"^vit_.*_clip_|_dinov3|_pe_(core|lang|spatial)_")
#: Biases of a block -> the tensors that hold them.
BIASES: Mapping[str, tuple[str, ...]] = {
    "query": ("attn.qkv.bias", "attn.q_bias", "attn.q_proj.bias"),
    "key": ("attn.qkv.bias", "attn.k_proj.bias"),
    "value": ("attn.qkv.bias", "attn.v_bias", "attn.v_proj.bias"),
    "output": ("attn.proj.bias",),
    "up": ("mlp.fc1.bias", "mlp.fc1_g.bias"),
    "down": ("mlp.fc2.bias",),
}
#: timm's words for how states become one vector; the first leaves them as they are.
POOLS = ("", "token", "avg", "avgmax", "max", "map")
#: Arguments of timm's models of which the weights give the same account.
MEASURED = (
    *("patch_size", "in_chans", "embed_dim", "depth", "mlp_ratio", "qkv_bias", "proj_bias", "init_values", "fc_norm"),
    *("class_token", "no_embed_class", "reg_tokens", "num_reg_tokens", "pre_norm", "final_norm", "num_classes"),
    *("qkv_fused", "swiglu_mlp", "swiglu_align_to", "scale_mlp", "use_abs_pos_emb", "use_fc_norm"),
    *("use_pre_transformer_norm", "use_post_transformer_norm", "attn_pool_mlp_ratio"),
)
#: Arguments that are a switch (a number of any size is on) -> tensors of which one is there exactly where it is on.
SWITCHED: Mapping[str, tuple[str, ...]] = {
    "class_token": ("cls_token",),
    "qkv_bias": tuple(f"blocks.0.{name}" for name in BIASES["query"]),
    "qkv_fused": ("blocks.0.attn.qkv.weight",),
    "proj_bias": ("blocks.0.attn.proj.bias",),
    "init_values": ("blocks.0.ls1.gamma", "blocks.0.gamma_1"),
    "scale_mlp": ("blocks.0.mlp.norm.weight",),
    "pre_norm": ("norm_pre.weight",),
    "use_pre_transformer_norm": ("norm_pre.weight",),
    "final_norm": ("norm.weight", "fc_norm.weight"),
    "use_post_transformer_norm": ("norm.weight",),
    "fc_norm": ("fc_norm.weight",),
    "use_fc_norm": ("fc_norm.weight",),
    "use_abs_pos_emb": ("pos_embed",),
}
#: Arguments that move nothing where nothing is trained, or where an image has the size that its recipe gives it.
HARMLESS = frozenset(
    {
        *("dynamic_img_size", "dynamic_img_pad", "strict_img_size", "weight_init", "fix_init", "head_init_scale"),
        *("drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"),
    }
)


def is_timm(config: Config) -> bool:
    """Whether config.json is timm's, or transformers' wrapper around it."""
    return isinstance(config.get("architecture"), str)


def timm_config(config: Config, sizes: Sizes) -> dict[str, Any]:
    """Everything that the rows ask, out of timm's config and the weights' sizes (names without a prefix)."""
    arguments = config.get("model_args") or {}
    published = config.get("pretrained_cfg") or {}
    architecture = str(config["architecture"]).split(".")[0]
    for name in MEASURED:
        arguments.get(name)  # what it says the weights say too
    try:
        hidden, channels, patch, _ = sizes["patch_embed.proj.weight"]
        inner, normed = sizes["blocks.0.mlp.fc2.weight"][1], "norm.weight" in sizes
    except (KeyError, ValueError) as error:
        raise WeightsError(f"the weights of '{architecture}' lack {error}; is the file whole?") from error
    special = {
        "class_tokens": int("cls_token" in sizes),
        "distillation_tokens": int("dist_token" in sizes),
        "registers": sizes.get("reg_token", (1, 0, 0))[1],
    }
    asked = arguments.get("img_size") or published.get("input_size", (3, 224, 224))[1:]
    # what the model was made with; what it had when it was saved; what its published weights were made with
    pools = [place.get("global_pool") for place in (arguments, config, published)]
    _refuse_unknown(architecture, pools)
    depth = len({name.split(".")[1] for name in sizes if name.startswith("blocks.")})
    placed = _positions(sizes["pos_embed"][1] if "pos_embed" in sizes else None, asked, patch, special)
    measured = {"patch_size": patch, "in_chans": channels, "embed_dim": hidden, "depth": depth}
    measured |= dict.fromkeys(("reg_tokens", "num_reg_tokens"), special["registers"])
    measured |= {name: any(one in sizes for one in there) for name, there in SWITCHED.items()}
    if placed["positioned"]:
        measured["no_embed_class"] = Role.CLASS not in placed["positioned"]
    _refuse_contradictions(arguments, measured)
    _refuse_another_mlp(arguments, hidden, sizes)
    labels = config.get("label_names") or published.get("label_names") or ()
    return {
        "architecture": architecture,
        "hidden_size": hidden,
        "depth": depth,
        "heads": int(arguments.get("num_heads") or heads_of(architecture, hidden)),
        "feedforward_size": inner,
        "gated": sizes.get("blocks.0.mlp.fc1.weight", (0,))[0] != inner,
        "feedforward_norm": "blocks.0.mlp.norm.weight" in sizes,
        "patch": patch,
        "channels": channels,
        "patch_bias": "patch_embed.proj.bias" in sizes,
        **special,
        **placed,
        "biases": frozenset(part for part, names in BIASES.items() if any(f"blocks.0.{n}" in sizes for n in names)),
        "layer_scale": "blocks.0.ls1.gamma" in sizes or "blocks.0.gamma_1" in sizes,
        "pre_norm": "norm_pre.weight" in sizes,
        "final_norm": normed,
        "fc_norm": "fc_norm.weight" in sizes,
        "norm_eps": 1e-5 if re.search(EPS_5, architecture) else 1e-6,
        "activation": _activation(architecture, arguments.get("act_layer")),
        "pool": str(next((pool for pool in pools if pool is not None), _usual_pool(architecture))),
        "pool_by_timm": "_dinov3" in architecture and not arguments.get("global_pool") and "head.weight" not in sizes,
        "pool_every_token": bool(arguments.get("pool_include_prefix")),
        "distilled_head": "head_dist.weight" in sizes,
        "id2label": dict(enumerate(labels)) if isinstance(labels, list | tuple) else labels,
    }


def _refuse_unknown(architecture: str, pools: Sequence[Any]) -> None:
    unknown = [pool for pool in pools if pool is not None and pool not in POOLS]
    if unknown:
        raise UnsupportedModel(
            f"config.json of timm's '{architecture}' has global_pool {unknown[0]!r}; known are {', '.join(POOLS[1:])}."
        )


def _refuse_contradictions(arguments: Mapping[str, Any], measured: Mapping[str, int]) -> None:
    """Raise `WeightsError` where the arguments say another size than the weights have, or another switch."""
    for name, size in measured.items():
        said = arguments.get(name)
        if isinstance(said, int | float) and (bool(said) if isinstance(size, bool) else said) != size:
            raise WeightsError(
                f"config.json says {name} {said} (model_args), and the weights say {size}. Is it the file of these "
                "weights?"
            )


def _refuse_another_mlp(arguments: Mapping[str, Any], hidden: int, sizes: Sizes) -> None:
    """Raise `WeightsError` where no layer of the feedforward part has the width that mlp_ratio says, nor the attention
    pool's what attn_pool_mlp_ratio says.

    A gated one has it in front of its gate or behind it, and rounded up to a multiple of swiglu_align_to.
    """
    multiple = int(arguments.get("swiglu_align_to") or 1)
    for name, place in (("mlp_ratio", "blocks.0"), ("attn_pool_mlp_ratio", "attn_pool")):
        ratio = arguments.get(name)
        parts = ("fc1.weight", "fc1_g.weight", "fc2.weight")
        found = ((part, sizes.get(f"{place}.mlp.{part}")) for part in parts)
        widths = {size[part == "fc2.weight"] for part, size in found if size}
        if not isinstance(ratio, int | float) or not widths:
            continue
        said = int(hidden * ratio)
        if said not in widths and said + -said % multiple not in widths:
            raise WeightsError(
                f"config.json says {name} {ratio} (model_args), {said} numbers, and the weights say "
                f"{' and '.join(map(str, sorted(widths)))}. Is it the file of these weights?"
            )


def heads_of(architecture: str, hidden: int) -> int:
    """Heads of a timm architecture: of 64 numbers each, but for the largest models."""
    for pattern, sizes in HEADS:
        if hidden in sizes and re.search(pattern, architecture):
            return sizes[hidden]
    return hidden // 64


def _activation(architecture: str, asked: object) -> str:
    if isinstance(asked, str) and asked:
        return asked
    if "quickgelu" in architecture:
        return "quick_gelu"
    if re.search(r"giant_.*dinov2|^eva02|_plus_.*_dinov3|_7b_", architecture):
        return "silu"
    return "gelu_tanh" if TANH.search(architecture) else "gelu"


def _usual_pool(architecture: str) -> str:
    if "_gap_" not in architecture and ("siglip" in architecture or "_pe_core_" in architecture):
        return "map"
    if "_gap_" in architecture or (USUALLY_MEAN.search(architecture) and "_clip_" not in architecture):
        return "avg"
    return "token"


def _positions(count: int | None, asked: Any, patch: int, special: Mapping[str, int]) -> dict[str, Any]:
    """The image size for which there are positions, and the roles that have one."""
    heads = special["class_tokens"] + special["distillation_tokens"]
    every = {
        0: frozenset({Role.CONTENT}),
        heads + special["registers"]: frozenset({Role.CLASS, Role.DISTILLATION, Role.REGISTER, Role.CONTENT}),
        heads: frozenset({Role.CLASS, Role.DISTILLATION, Role.CONTENT}),
    }
    height, width = (asked, asked) if isinstance(asked, int) else (int(asked[0]), int(asked[1]))
    patches = (height // patch) * (width // patch)
    if count is None:
        return {"image": (height, width), "positions": "none", "positioned": frozenset()}
    if count - patches in every:
        return {"image": (height, width), "positions": "learned", "positioned": every[count - patches]}
    for more, roles in sorted(every.items()):
        side = isqrt(max(0, count - more))
        if side and side * side == count - more:
            return {"image": (side * patch, side * patch), "positions": "learned", "positioned": roles}
    raise UnsupportedModel(f"pos_embed has {count} positions, which fit no square of patches beside {dict(special)}.")
