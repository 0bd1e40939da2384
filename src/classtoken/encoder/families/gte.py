"""GTE: BERT with rotary positions and a gated feed-forward (Zhang et al. 2024)."""

from classtoken.encoder.families.bert import BERT_POOLER, activation
from classtoken.encoder.families.nomic import MODULES
from classtoken.encoder.families.rotary import base_of, is_plain, longest_of
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, complete
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import BlockShape, PositionShape, Shape, TextStem
from classtoken.values import InputDefaults

GTE_DEFAULTS = {
    "vocab_size": 250048,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-12,
}


def gte_shape(config: Config) -> Shape:
    """Post-norm blocks; positions are rotary only; of the feed-forward only what leads out has a bias."""
    kinds = config.get("type_vocab_size")
    config = complete(config, GTE_DEFAULTS)
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=TextStem(vocabulary=config["vocab_size"], kinds=config["type_vocab_size"] if kinds is None else kinds),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config["layer_norm_eps"],
            order="post",
            final_norm=False,
            activation=activation(config["hidden_act"]),
            gated=True,
            biases=frozenset({"query", "key", "value", "output", "down"}),
        ),
        position=PositionShape(rotary=(base_of(config, "rope_theta", 160_000.0),) * config["num_hidden_layers"]),
    )


def gte_readout(config: Config) -> AuthorsReadout:
    """The class token, in training and in use."""
    return AuthorsReadout(
        spec="cls",
        reason="the contrastive training compared the [CLS] states, at unit length",
        source="Zhang et al. 2024 (mGTE), section 3.2",
        alternatives={},
        unit_length=True,
    )


GTE = Family(
    name="gte",
    types=("gte",),
    modality="text",
    shape=gte_shape,
    reads=is_plain,
    names=(
        Rename("embeddings.word_embeddings.weight", "stem.token.weight"),
        Rename("embeddings.token_type_embeddings.weight", "stem.kind.weight"),
        Rename("embeddings.LayerNorm.{p}", "stem.norm.{p}"),
        *blocks(
            "encoder.layer.{i}.",
            {
                "attention.qkv_proj": ("attention.query", "attention.key", "attention.value"),
                "attention.o_proj": "attention.output",
                "attn_ln": "attention_norm",
                "mlp.up_gate_proj": ("feedforward.up", "feedforward.gate"),
                "mlp.down_proj": "feedforward.down",
                "mlp_ln": "feedforward_norm",
            },
        ),
        *MODULES,
    ),
    prefixes=("gte.", "new."),
    ignored=(r"lm_head\..*",),
    pooler=BERT_POOLER,
    head=HeadRow(
        reads="pooler", names=(Rename("classifier.{p}", "output.{p}"),), architectures=("ForSequenceClassification",)
    ),
    inputs=lambda config: InputDefaults(longest=longest_of(config)),
    readout=gte_readout,
    used_by=("alibaba-nlp-community/gte-multilingual-base (cls)",),
    paper="Zhang et al. 2024",
)
