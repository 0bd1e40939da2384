"""open_clip's own layout of CLIP and SigLIP: `visual.transformer.resblocks...`, or a timm trunk for the image side."""

from dataclasses import replace
from typing import Any, Literal

from classtoken.encoder.families.clip import CLIP_TEXT_READOUT, SIGLIP_TEXT_READOUT
from classtoken.encoder.families.clip_vision import CLIP_READOUT
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, PoolerRow, ProjectionRow
from classtoken.encoder.families.timm import TIMM_SIGLIP, timm_spec
from classtoken.encoder.families.timm_eva import TIMM_PE
from classtoken.encoder.families.vit import square
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import BlockShape, ImageStem, Shape, TextStem
from classtoken.errors import UnsupportedModel
from classtoken.model_folder import changed
from classtoken.values import InputDefaults

QKV = ("query", "key", "value")
BLOCKS = (
    *(
        Rename(
            f"transformer.resblocks.{{i}}.attn.in_proj_{p}", tuple(f"blocks.{{i}}.attention.{part}.{p}" for part in QKV)
        )
        for p in ("weight", "bias")
    ),
    *blocks(
        "transformer.resblocks.{i}.",
        {
            "attn.out_proj": "attention.output",
            "ln_1": "attention_norm",
            "ln_2": "feedforward_norm",
            "mlp.c_fc": "feedforward.up",
            "mlp.c_proj": "feedforward.down",
        },
    ),
    Rename("transformer.resblocks.{i}.ls_1.gamma", "blocks.{i}.attention_scale.weight"),
    Rename("transformer.resblocks.{i}.ls_2.gamma", "blocks.{i}.feedforward_scale.weight"),
)
VISION_NAMES = (
    Rename("class_embedding", "stem.class_token", dims=1),
    Rename("positional_embedding", "stem.position"),
    Rename("conv1.weight", "stem.patch.weight"),
    Rename("ln_pre.{p}", "stem.norm.{p}"),
    *BLOCKS,
    Rename("ln_post.{p}", "final_norm.{p}"),
)
TEXT_NAMES = (
    Rename("token_embedding.weight", "stem.token.weight"),
    Rename("positional_embedding", "stem.position.weight"),
    *BLOCKS,
    Rename("ln_final.{p}", "final_norm.{p}"),
)
PROJECTION = ProjectionRow(names=(Rename("text_projection", "projection.weight", transposed=True),))
#: What a side may not have: nothing here computes it. name -> the only value that is read
PLAIN_VISION = {"attentional_pool": False, "pos_embed_type": "learnable"}
PLAIN_TEXT = {"hf_model_name": None, "embed_cls": False, "final_ln_after_pool": False}
PLAIN_BLOCKS = dict.fromkeys(
    ("qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"), False
)


#: Keys about training, and about where weights and tokenizer came from before they lay in this folder.
HARMLESS = frozenset(
    {
        *("timm_model_pretrained", "timm_drop", "timm_drop_path", "patch_dropout", "output_tokens"),
        *("hf_tokenizer_name", "hf_model_pretrained"),
    }
)


def is_open_clip(config: Config) -> bool:
    """Whether this is an open_clip_config.json."""
    return isinstance(config.get("model_cfg"), dict) and "vision_cfg" in config["model_cfg"]


def refuse_unless_plain(side: str, config: Config, plain: Config) -> None:
    """Raise `UnsupportedModel` when a side asks for what is not computed here."""
    for name, value in {**plain, **PLAIN_BLOCKS}.items():
        if config.get(name, value) != value:
            raise UnsupportedModel(
                f"open_clip's {side} with {name} {config[name]!r} is not supported, only {value!r} is. Use a Hugging "
                "Face conversion of it."
            )


def block_shape(config: Config, *, heads: int, causal: bool) -> BlockShape:
    """The block of either side."""
    tanh = (config.get("act_kwargs") or {}).get("approximate") == "tanh"
    return BlockShape(
        heads=heads,
        feedforward_size=int(config["width"] * config.get("mlp_ratio", 4.0)),
        norm_eps=(config.get("norm_kwargs") or {}).get("eps", 1e-5),
        activation="quick_gelu" if config["quick_gelu"] else "gelu_tanh" if tanh else "gelu",
        layer_scale=config.get("ls_init_value") is not None,
        causal=causal,
    )


def vision_shape(config: Config) -> Shape:
    """The image side of open_clip's own VisionTransformer."""
    refuse_unless_plain("image side", config, PLAIN_VISION)
    if not isinstance(config["layers"], int):
        raise UnsupportedModel("open_clip's ResNet image sides are not supported; they have no tokens.")
    pool = config.get("pool_type", "tok")
    if pool not in ("tok", "avg"):
        raise UnsupportedModel(f"open_clip's image side with pool_type '{pool}' is not computed here; tok and avg are.")
    size = config.get("image_size", 224)
    block = block_shape(config, heads=config["width"] // config.get("head_width", 64), causal=False)
    return Shape(
        hidden_size=config["width"],
        depth=config["layers"],
        stem=ImageStem(
            patch=square(config["patch_size"]),
            image=(size, size) if isinstance(size, int) else (int(size[0]), int(size[1])),
            patch_bias=False,
            class_tokens=1,
            resize="bicubic_antialias",
            norm=not config.get("no_ln_pre", False),
        ),
        block=replace(block, final_norm=not pooled_first(config)),
    )


def pooled_first(config: Config) -> bool:
    """Whether the mean of the patches is taken before the last norm (CLIPA); of one token it is the same."""
    return config.get("pool_type", "tok") == "avg" and bool(config.get("final_ln_after_pool", False))


def text_shape(config: Config) -> Shape:
    """The text side: causal for CLIP, bidirectional for SigLIP."""
    refuse_unless_plain("text side", config, PLAIN_TEXT)
    return Shape(
        hidden_size=config["width"],
        depth=config["layers"],
        stem=TextStem(vocabulary=config["vocab_size"], positions=config["context_length"], norm=False),
        block=block_shape(config, heads=config["heads"], causal=not config.get("no_causal_mask", False)),
    )


def last_pooler(config: Config) -> PoolerRow:
    """SigLIP's last position, through the projection where there is one, with a bias or without."""
    if config.get("proj_bias"):
        names = (Rename("text_projection.{p}", "dense.{p}"),)
        return PoolerRow(kind="dense", token="last", names=names, optional=False)
    if config.get("proj_type", "linear") == "linear":
        names = (Rename("text_projection", "dense.weight", transposed=True),)
        return PoolerRow(kind="dense", token="last", names=names, bias=False, optional=False)
    return PoolerRow(kind="state", token="last", optional=False)


def text_inputs(config: Config) -> InputDefaults:
    """The highest id closes a text (`pool_type` argmax); a side without a causal mask reads its padding, and so does
    `pool_type` last under any mask: its vector is the state of the last position, which most texts leave to padding.

    open_clip's own tokenizer fills a text up with zeros, and takes "<|endoftext|>" in a text for words; one of
    transformers fills it up with its padding token.
    """
    own = not config.get("hf_tokenizer_name")
    usual = InputDefaults(
        pad_id=0 if own else None,
        cleaning=cleaning(config, own),
        special_split=own,  # it knows its special tokens by other names
        separator_zeroed=not own and bool((config.get("tokenizer_kwargs") or {}).get("strip_sep_token")),
    )
    pool = config.get("pool_type") or "argmax"
    if pool == "last":
        return replace(usual, pads_attended=True)
    attended = config.get("no_causal_mask") is True and not config.get("use_pad_mask")
    usual = replace(usual, pads_attended=attended, pad_id=usual.pad_id if attended else None)
    if pool == "eos":
        return replace(usual, end="first", end_id=int(config.get("eos_id", 2)))
    return replace(usual, end="highest")


def cleaning(config: Config, own: bool) -> Literal["whitespace", "lower", "canonicalize"]:
    """What is done to a text before the tokenizer sees it: as the file says, else the habit of either tokenizer class
    (`own`: open_clip's). Raises `UnsupportedModel` for what is not done here.

    open_clip's own tokenizer on a text that keeps its case takes 'S for 's; no file of transformers does that.
    """
    match (config.get("tokenizer_kwargs") or {}).get("clean") or ("lower" if own else "whitespace"):
        case "lower":
            return "lower"
        case "canonicalize":
            return "canonicalize"
        case "whitespace" if not own:
            return "whitespace"
        case odd:
            allowed = "lower and canonicalize" if own else "whitespace, lower and canonicalize"
            whose = "open_clip's own tokenizer" if own else "a tokenizer of transformers"
            raise UnsupportedModel(
                f"open_clip's text side with clean {odd!r} is not computed; for {whose} {allowed} are."
            )


def trunk_readout(config: Config) -> AuthorsReadout:
    """A timm trunk's pooled output, then the projection into the joint space where there is one (SigLIP has none)."""
    return AuthorsReadout(
        spec=timm_spec(config),
        reason="the image's vector is the trunk's pooled output, projected where there is a projection, at unit length",
        source="open_clip timm_model.py, TimmModel.forward; CLIP.encode_image(normalize=True)",
        alternatives={"dense": "patch states"},
        unit_length=True,
    )


def mean_readout(spec: str) -> AuthorsReadout:
    """The mean of the patches, before or after the last norm."""
    return AuthorsReadout(
        spec=spec,
        reason="the image's vector is the mean of the patches (pool_type avg), then the projection, at unit length",
        source="open_clip transformer.py, VisionTransformer._pool",
        alternatives={"dense": "patch states"},
        unit_length=True,
    )


def vision_readout(config: Config) -> AuthorsReadout:
    """The class token, or the mean of the normed patches."""
    return mean_readout("mean") if config.get("pool_type", "tok") == "avg" else CLIP_READOUT


OPEN_CLIP_VISION = Family(
    name="open_clip vision",
    types=(),
    modality="image",
    shape=vision_shape,
    names=VISION_NAMES,
    prefixes=("visual.",),
    pooler=PoolerRow(kind="state", token="cls", optional=False),
    projection=ProjectionRow(names=(Rename("proj", "projection.weight", transposed=True),)),
    readout=vision_readout,
    used_by=("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K"),
    paper="Radford et al. 2021; Cherti et al. 2023",
)
OPEN_CLIP_MEAN_VISION = replace(
    OPEN_CLIP_VISION,
    name="open_clip vision, mean",
    names=tuple(rule for rule in VISION_NAMES if not rule.theirs.startswith("ln_post")),
    pooler=PoolerRow(kind="pooled", names=(Rename("ln_post.{p}", "norm.{p}"),), optional=False),
    readout=mean_readout("pooler"),
    used_by=("UCSC-VLAA/ViT-L-14-CLIPA-datacomp1B",),
    paper="Li et al. 2023 (CLIPA)",
    notes=("the norm comes after the mean: the states are not normed",),
)
OPEN_CLIP_TEXT = Family(
    name="open_clip text",
    types=(),
    modality="text",
    shape=text_shape,
    names=TEXT_NAMES,
    prefixes=("text.",),
    ignored=(r"visual\..*", r"logit_(scale|bias)", r"attn_mask"),
    harmless=HARMLESS,
    pooler=PoolerRow(kind="state", token="end", optional=False),
    projection=PROJECTION,
    readout=CLIP_TEXT_READOUT,
    inputs=text_inputs,
    used_by=OPEN_CLIP_VISION.used_by,
    paper="Radford et al. 2021",
    notes=("causal: the end token has read the whole text; it is found as the highest id",),
)
OPEN_CLIP_SIGLIP_TEXT = replace(
    OPEN_CLIP_TEXT,
    name="open_clip siglip text",
    pooler=last_pooler,
    projection=None,
    readout=SIGLIP_TEXT_READOUT,
    used_by=("timm/ViT-B-16-SigLIP", "timm/ViT-SO400M-14-SigLIP-384"),
    paper="Zhai et al. 2023",
    notes=("texts are padded to the full length, and the padding is read like any token",),
)
OPEN_CLIP_SIGLIP_VISION = replace(
    TIMM_SIGLIP,
    name="open_clip siglip vision",
    architectures=(),
    prefixes=("visual.trunk.",),
    head=None,
    readout=trunk_readout,
    used_by=OPEN_CLIP_SIGLIP_TEXT.used_by,
)
OPEN_CLIP_PE_VISION = replace(
    TIMM_PE,
    name="open_clip perception encoder vision",
    architectures=(),
    prefixes=("visual.trunk.",),
    head=None,
    projection=ProjectionRow(names=(Rename("head.{p}", "projection.{p}"),)),
    readout=trunk_readout,
    used_by=("timm/PE-Core-B-16", "timm/PE-Core-L-14-336"),
)
OPEN_CLIP: tuple[Family, ...] = (
    OPEN_CLIP_VISION,
    OPEN_CLIP_MEAN_VISION,
    OPEN_CLIP_TEXT,
    OPEN_CLIP_SIGLIP_VISION,
    OPEN_CLIP_SIGLIP_TEXT,
    OPEN_CLIP_PE_VISION,
)


def text_side(model: Config) -> tuple[Family, dict[str, Any]]:
    """The row and the config of the text side."""
    config = changed(model["text_cfg"], {"context_length": 77, "vocab_size": 49408}, under=True)
    config["quick_gelu"] = bool(model.get("quick_gelu", False))
    pool = config.get("pool_type", "argmax")
    if pool not in ("argmax", "eos", "last"):
        raise UnsupportedModel(
            f"open_clip's text side with pool_type '{pool}' is not supported; argmax, eos, last are."
        )
    kinds = ("linear", "none") if pool == "last" else ("linear",)
    if config.get("proj_type", "linear") not in kinds:
        raise UnsupportedModel(
            f"open_clip's text side with pool_type '{pool}' and proj_type '{config['proj_type']}' is not computed; "
            f"known are {' and '.join(kinds)}."
        )
    if pool != "last" and config.get("proj_bias"):
        raise UnsupportedModel(
            f"open_clip's text side with pool_type '{pool}' and a bias in its projection (proj_bias) is not computed; "
            "without one it is, and with one for pool_type 'last'."
        )
    return (OPEN_CLIP_SIGLIP_TEXT if pool == "last" else OPEN_CLIP_TEXT), config


def image_side(model: Config) -> tuple[Family, dict[str, Any]]:
    """The row and the config of the image side; the config of a timm trunk is measured later."""
    config = changed(model["vision_cfg"], {"quick_gelu": bool(model.get("quick_gelu", False))})
    name = config.get("timm_model_name")
    if not name:
        return (OPEN_CLIP_MEAN_VISION if pooled_first(config) else OPEN_CLIP_VISION), config
    pool, projected = config.get("timm_pool"), config.get("timm_proj") or ""
    rows = {"none": OPEN_CLIP_SIGLIP_VISION, "": OPEN_CLIP_SIGLIP_VISION} if "siglip" in name else {}
    if "_pe_core_" in name:
        rows = {"": OPEN_CLIP_PE_VISION}
    if projected not in rows or pool != "map":
        raise UnsupportedModel(
            f"open_clip's image side of timm's '{name}' with pool '{pool}' and projection '{projected}' is not "
            "computed here; of timm's trunks, SigLIP's and the Perception Encoder's core models are."
        )
    size = config.get("image_size", 224)
    arguments = {"img_size": [size, size] if isinstance(size, int) else list(size)}
    return rows[projected], {"architecture": name, "global_pool": "map", "model_args": arguments}
