"""T5's encoder: RMS norms, relative buckets, no biases, scores that are not scaled (Raffel et al. 2020)."""

from classtoken.encoder.families.bert import activation
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, Note, complete
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import NO_BIASES, BlockShape, PositionShape, Shape, TextStem
from classtoken.errors import UnsupportedModel

T5_DEFAULTS = {
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "relu",
}
MT5_DEFAULTS = {
    **T5_DEFAULTS,
    "vocab_size": 250112,
    "d_ff": 1024,
    "num_layers": 8,
    "num_heads": 6,
    "feed_forward_proj": "gated-gelu",
}


def t5_shape(config: Config) -> Shape:
    """The encoder's half; `feed_forward_proj` says gate and activation (its gated gelu is the tanh one).

    `dense_act_fn` and `is_gated_act`, which transformers derives from it and writes beside it, win where they differ.
    """
    config = complete(config, MT5_DEFAULTS if config.get("model_type") == "mt5" else T5_DEFAULTS)
    if config.get("is_decoder"):
        raise UnsupportedModel("is_decoder is set: T5's encoder is read here, not its decoder.")
    gate, _, name = config["feed_forward_proj"].rpartition("-")
    usual = "gelu_new" if (gate, name) == ("gated", "gelu") else name
    gated = config.get("is_gated_act")
    return Shape(
        hidden_size=config["d_model"],
        depth=config["num_layers"],
        stem=TextStem(vocabulary=config["vocab_size"], norm=False),
        block=BlockShape(
            heads=config["num_heads"],
            head_size=config["d_kv"],
            feedforward_size=config["d_ff"],
            norm="rms",
            norm_eps=config["layer_norm_epsilon"],
            activation=activation(config.get("dense_act_fn") or usual),
            gated=gate == "gated" if gated is None else bool(gated),
            biases=NO_BIASES,
            scaled=False,
        ),
        position=PositionShape(
            buckets=config["relative_attention_num_buckets"], bucket_reach=config["relative_attention_max_distance"]
        ),
    )


T5_READOUT = AuthorsReadout(
    spec="mean",
    reason="there is no class token; the published Sentence-T5 models take the mean of the encoder's states",
    source="Ni et al. 2022 (Sentence-T5)",
    alternatives={},
)

FEED_FORWARD = "encoder.block.{i}.layer.1.DenseReluDense."
GATED = (
    Rename(FEED_FORWARD + "wi_0.{p}", "blocks.{i}.feedforward.gate.{p}"),
    Rename(FEED_FORWARD + "wi_1.{p}", "blocks.{i}.feedforward.up.{p}", beside="blocks.{i}.feedforward.gate.{p}"),
)

T5 = Family(
    name="t5",
    types=("t5", "mt5"),
    prefixes=("transformer.",),
    modality="text",
    shape=t5_shape,
    names=(
        Rename("shared.weight", "stem.token.weight"),
        Rename("encoder.embed_tokens.weight", "stem.token.weight"),
        Rename("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "buckets.weight"),
        *GATED,
        *blocks(
            "encoder.block.{i}.layer.",
            {
                "0.SelfAttention.q": "attention.query",
                "0.SelfAttention.k": "attention.key",
                "0.SelfAttention.v": "attention.value",
                "0.SelfAttention.o": "attention.output",
                "0.layer_norm": "attention_norm",
                "1.layer_norm": "feedforward_norm",
                "1.DenseReluDense.wi": "feedforward.up",
                "1.DenseReluDense.wo": "feedforward.down",
            },
        ),
        Rename("encoder.final_layer_norm.weight", "final_norm.weight"),
    ),
    ignored=(r"decoder\..*", r"lm_head\..*", r"classification_head\..*"),
    tokens="n word piece + 1 end, no class token",
    harmless=frozenset(
        ["dense_act_fn", "is_gated_act", "is_decoder", "n_positions", "num_decoder_layers", "scale_decoder_outputs"]
    ),
    readout=T5_READOUT,
    used_by=("google-t5/t5-base", "google/flan-t5-base", "google/mt5-base", "sentence-t5-base (mean, Dense)"),
    paper="Raffel et al. 2020",
    notes=(Note("only the encoder is read, a decoder in the checkpoint is passed over", of="none"),),
)
