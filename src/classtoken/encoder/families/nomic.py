"""Nomic BERT: BERT with rotary positions and a gated feed-forward without biases (Nussbaum et al. 2024)."""

from classtoken.encoder.families.bert import BASE_SIZE, BERT_POOLER, activation
from classtoken.encoder.families.rotary import base_of, longest_of
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, Note, complete, respelled
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import NO_BIASES, BlockShape, PositionShape, Shape, TextStem
from classtoken.errors import UnsupportedModel
from classtoken.values import InputDefaults

NOMIC_DEFAULTS = {
    **BASE_SIZE,
    "vocab_size": 30528,
    "hidden_act": "silu",
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
#: What transformers 5 calls the modules of a block, and so a file of a model's bare state.
MODULES = blocks(
    "layers.{i}.",
    {
        "self_attn.q_proj": "attention.query",
        "self_attn.k_proj": "attention.key",
        "self_attn.v_proj": "attention.value",
        "self_attn.o_proj": "attention.output",
        "post_attention_layernorm": "attention_norm",
        "post_mlp_layernorm": "feedforward_norm",
        "mlp.up_proj": "feedforward.up",
        "mlp.gate_proj": "feedforward.gate",
        "mlp.down_proj": "feedforward.down",
    },
)
#: names in the configs that the authors published -> Hugging Face's
SPELLING = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "activation_function": "hidden_act",
    "layer_norm_epsilon": "layer_norm_eps",
}
#: what those configs may also say, and the only value that is supported here
FIXED = {
    "prenorm": False,
    "use_rms_norm": False,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
    "parallel_block": False,
    "causal": False,
}


def nomic_shape(config: Config) -> Shape:
    """BERT's post-norm blocks; positions are rotary only."""
    other = [f"{key} {config[key]}" for key, value in FIXED.items() if config.get(key, value) != value]
    if other:
        raise UnsupportedModel(f"Nomic BERT with {', '.join(other)} is not supported.")
    config = complete(respelled(config, SPELLING), NOMIC_DEFAULTS)
    name = config["hidden_act"]
    base = base_of(config, "rotary_emb_base", 1000.0)
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=TextStem(vocabulary=config["vocab_size"], kinds=config["type_vocab_size"]),
        block=BlockShape(
            heads=config["num_attention_heads"],
            head_size=config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config["layer_norm_eps"],
            order="post",
            final_norm=False,
            activation=activation("silu" if name == "swiglu" else name),
            gated=True,
            biases=NO_BIASES,
        ),
        position=PositionShape(rotary=(base,) * config["num_hidden_layers"]),
    )


NOMIC_READOUT = AuthorsReadout(
    spec="mean",
    reason="the contrastive training pooled by the masked mean",
    source="Nussbaum et al. 2024",
    alternatives={"classification": "cls"},
)

NOMIC = Family(
    name="nomic_bert",
    types=("nomic_bert",),
    code=("NomicBertModel",),
    modality="text",
    shape=nomic_shape,
    names=(
        Rename("embeddings.word_embeddings.weight", "stem.token.weight"),
        Rename("embeddings.token_type_embeddings.weight", "stem.kind.weight"),
        Rename("emb_ln.{p}", "stem.norm.{p}"),
        *blocks(
            "encoder.layers.{i}.",
            {
                "attn.Wqkv": ("attention.query", "attention.key", "attention.value"),
                "attn.out_proj": "attention.output",
                "norm1": "attention_norm",
                "norm2": "feedforward_norm",
                "mlp.fc11": "feedforward.up",
                "mlp.fc12": "feedforward.gate",
                "mlp.fc2": "feedforward.down",
            },
        ),
        Rename("embeddings.LayerNorm.{p}", "stem.norm.{p}"),
        *MODULES,
    ),
    prefixes=("bert.", "nomic_bert."),
    ignored=(r"embeddings\.position_ids", r"cls\..*"),
    pooler=BERT_POOLER,
    head=HeadRow(
        reads="pooler", names=(Rename("classifier.{p}", "output.{p}"),), architectures=("ForSequenceClassification",)
    ),
    inputs=lambda config: InputDefaults(tokenizer="BertTokenizer", longest=longest_of(config)),
    readout=NOMIC_READOUT,
    used_by=("nomic-ai/nomic-embed-text-v1.5 (mean, with a prompt)",),
    paper="Nussbaum et al. 2024",
    notes=(
        "every text needs its prompt (search_document: , search_query: ...)",
        Note("the embedding models have no pooler weights", of="none"),
    ),
)
