"""The text sides of CLIP and SigLIP: two towers that meet in one space (Radford et al. 2021; Zhai et al. 2023)."""

from dataclasses import replace

from classtoken.encoder.families.bert import BASE_SIZE, activation
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, Note, PoolerRow, ProjectionRow, complete
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import BlockShape, Shape, TextStem
from classtoken.values import InputDefaults

CLIP_TEXT_DEFAULTS = {
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "eos_token_id": 49407,
}
SIGLIP_TEXT_DEFAULTS = {
    **BASE_SIZE,
    "vocab_size": 32000,
    "max_position_embeddings": 64,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
#: The blocks of all towers of CLIP, SigLIP and SigLIP 2, text and vision.
TOWER_BLOCKS = blocks(
    "encoder.layers.{i}.",
    {
        "self_attn.q_proj": "attention.query",
        "self_attn.k_proj": "attention.key",
        "self_attn.v_proj": "attention.value",
        "self_attn.out_proj": "attention.output",
        "layer_norm1": "attention_norm",
        "layer_norm2": "feedforward_norm",
        "mlp.fc1": "feedforward.up",
        "mlp.fc2": "feedforward.down",
    },
)
TEXT_NAMES = (
    Rename("embeddings.token_embedding.weight", "stem.token.weight"),
    Rename("embeddings.position_embedding.weight", "stem.position.weight"),
    *TOWER_BLOCKS,
    Rename("final_layer_norm.{p}", "final_norm.{p}"),
)


def tower_shape(config: Config, *, causal: bool) -> Shape:
    """A pre-norm text tower with learned positions and no norm in front."""
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=TextStem(vocabulary=config["vocab_size"], positions=config["max_position_embeddings"], norm=False),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config["layer_norm_eps"],
            activation=activation(config["hidden_act"]),
            causal=causal,
        ),
    )


def clip_text_shape(config: Config) -> Shape:
    """Causal."""
    return tower_shape(complete(config, CLIP_TEXT_DEFAULTS), causal=True)


def siglip_text_shape(config: Config) -> Shape:
    """Bidirectional."""
    return tower_shape(complete(config, SIGLIP_TEXT_DEFAULTS), causal=False)


CLIP_TEXT_READOUT = AuthorsReadout(
    spec="pooler",
    reason="the contrastive loss compared the end token's state after the final norm, projected, at unit length",
    source="Radford et al. 2021, section 2.4 and figure 3",
    alternatives={},
    unit_length=True,
)


def clip_text_inputs(config: Config) -> InputDefaults:
    """The first end token is pooled; older configs, with eos_token_id 2, mean the highest id of a row."""
    end_id = int(complete(config, CLIP_TEXT_DEFAULTS)["eos_token_id"])
    return InputDefaults(end="highest") if end_id == 2 else InputDefaults(end="first", end_id=end_id)


SIGLIP_TEXT_READOUT = AuthorsReadout(
    spec="pooler",
    reason="the sigmoid loss compared the last of 64 positions, padding included, through a dense layer",
    source="Zhai et al. 2023; big_vision's text transformer (pool_type last)",
    alternatives={},
    unit_length=True,
)

CLIP_TEXT = Family(
    name="clip_text",
    types=("clip_text_model",),
    modality="text",
    shape=clip_text_shape,
    names=TEXT_NAMES,
    prefixes=("text_model.",),
    ignored=(r"embeddings\.position_ids",),
    config_key="text_config",
    pooler=PoolerRow(kind="state", token="end", optional=False),
    projection=ProjectionRow(names=(Rename("text_projection.weight", "projection.weight"),)),
    readout=CLIP_TEXT_READOUT,
    inputs=clip_text_inputs,
    tokens="start + n word piece + 1 end (causal)",
    used_by=("openai/clip-vit-base-patch32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
    paper="Radford et al. 2021",
    notes=(
        "causal: the first token has read nothing, the end token has read the whole text",
        Note(
            "its eos_token_id 2 finds the end token as the highest id; another token where some were added to the "
            "vocabulary",
            when=lambda config: config.get("eos_token_id") == 2,
        ),
    ),
)

SIGLIP_INPUTS = InputDefaults(
    tokenizer="SiglipTokenizer",
    pads_attended=True,
    tokenizer_notes={
        "GemmaTokenizer": "SigLIP 2 was trained on lower-case text and this folder's tokenizer does not lower it: "
        "write it so"
    },
)

SIGLIP_TEXT = Family(
    name="siglip_text",
    types=("siglip_text_model",),
    modality="text",
    shape=siglip_text_shape,
    names=TEXT_NAMES,
    prefixes=("text_model.",),
    ignored=(r"embeddings\.position_ids",),
    config_key="text_config",
    pooler=PoolerRow(kind="dense", token="last", names=(Rename("head.{p}", "dense.{p}"),), optional=False),
    readout=SIGLIP_TEXT_READOUT,
    inputs=SIGLIP_INPUTS,
    tokens="n word piece, padded to 64; the padding is read",
    used_by=("google/siglip-base-patch16-224", "google/siglip2-base-patch16-224"),
    paper="Zhai et al. 2023",
    notes=(
        "texts must be padded to the full length (64), and the padding is read like any token: padding to the longest "
        "text of a batch changes the vector",
    ),
)
SIGLIP2_TEXT = replace(
    SIGLIP_TEXT,
    name="siglip2_text",
    types=("siglip2_text_model",),
    inputs=replace(
        SIGLIP_INPUTS, tokenizer="Siglip2Tokenizer", tokenizer_fixed=True, lower_case=True, tokenizer_notes={}
    ),
    tokens="n word piece in lower case, padded to 64; the padding is read",
    used_by=("google/siglip2-base-patch16-naflex", "google/siglip2-so400m-patch16-naflex"),
    paper="Tschannen et al. 2025",
)
METACLIP2_TEXT = replace(
    CLIP_TEXT,
    name="metaclip_2_text",
    types=("metaclip_2_text_model",),
    inputs=lambda config: InputDefaults(end="first", end_id=int(complete(config, CLIP_TEXT_DEFAULTS)["eos_token_id"])),
    used_by=("facebook/metaclip-2-worldwide-huge-quickgelu",),
    paper="Chuang et al. 2025",
    notes=("causal: the end token has read the whole text; it is the first eos, of whatever id",),
)
