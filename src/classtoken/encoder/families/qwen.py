"""Qwen 3 as a text embedder: causal, grouped keys, normalised query and key heads (Yang et al. 2025)."""

from collections.abc import Mapping

from classtoken.encoder.families.bert import TEXT_MEAN, activation
from classtoken.encoder.families.rotary import base_of, decoder_config, is_plain, longest_of, sliding_reach
from classtoken.encoder.families.row import AuthorsReadout, Config, Family
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import NO_BIASES, BlockShape, PositionShape, Shape, TextStem
from classtoken.errors import UnsupportedModel
from classtoken.values import InputDefaults

QWEN3_DEFAULTS = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "head_dim": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
}


def windows(config: Config) -> tuple[int, ...]:
    """Per block, how far back a token sees besides itself; none where windows are switched off, as published."""
    depth, full = config["num_hidden_layers"], config["max_window_layers"]
    kinds = config.get("layer_types") or ["sliding_attention" if i >= full else "full_attention" for i in range(depth)]
    unknown = sorted(set(kinds) - {"sliding_attention", "full_attention"})
    if unknown:
        raise UnsupportedModel(f"layer_types names '{unknown[0]}'; known are sliding_attention and full_attention.")
    if not config["use_sliding_window"]:
        return ()
    return tuple(
        sliding_reach(config, config["sliding_window"]) if kind == "sliding_attention" else 0 for kind in kinds
    )


def decoder_shape(
    config: Config, biases: frozenset[str], windows: tuple[int, ...] = (), *, head_norm: bool = False
) -> Shape:
    """Pre-norm decoder blocks with RMS norms, read as an encoder."""
    heads = config["num_attention_heads"]
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=TextStem(vocabulary=config["vocab_size"], norm=False),
        block=BlockShape(
            heads=heads,
            key_value_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            feedforward_size=config["intermediate_size"],
            norm="rms",
            norm_eps=config["rms_norm_eps"],
            activation=activation(config["hidden_act"]),
            gated=True,
            biases=biases,
            causal=bool(config["is_causal"]),
            windows=windows,
            head_norm=head_norm,
        ),
        position=PositionShape(rotary=(base_of(config, "rope_theta", 10_000.0),) * config["num_hidden_layers"]),
    )


def qwen3_shape(config: Config) -> Shape:
    """A decoder whose query and key heads are normalised."""
    config = decoder_config(config, QWEN3_DEFAULTS)
    biases = frozenset({"query", "key", "value", "output"}) if config["attention_bias"] else NO_BIASES
    return decoder_shape(config, biases, windows(config), head_norm=True)


def qwen3_readout(config: Config) -> AuthorsReadout:
    """The last token: under a causal mask it alone has read the whole text; the mean where every token has."""
    if config.get("is_causal") is False:
        return TEXT_MEAN
    return AuthorsReadout(
        spec="last",
        reason="under the causal mask only the last token has read the whole text",
        source="Zhang et al. 2025 (Qwen3 Embedding), section 2",
        alternatives={},
        unit_length=True,
    )


#: Names of a decoder's tensors; QWEN3 has two more.
DECODER = {
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.o_proj": "attention.output",
    "mlp.gate_proj": "feedforward.gate",
    "mlp.up_proj": "feedforward.up",
    "mlp.down_proj": "feedforward.down",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "feedforward_norm",
}
HEAD_NORMS = {"self_attn.q_norm": "attention.query_norm", "self_attn.k_norm": "attention.key_norm"}


def decoder_names(parts: Mapping[str, str]) -> tuple[Rename, ...]:
    """Names of the whole encoder, `parts` those of a block."""
    return (
        Rename("embed_tokens.weight", "stem.token.weight"),
        *blocks("layers.{i}.", dict(parts)),
        Rename("norm.weight", "final_norm.weight"),
    )


QWEN3 = Family(
    name="qwen3",
    types=("qwen3",),
    modality="text",
    shape=qwen3_shape,
    reads=is_plain,
    names=decoder_names({**DECODER, **HEAD_NORMS}),
    prefixes=("model.",),
    inputs=lambda config: InputDefaults(longest=longest_of(config)),
    tokens="n word piece + 1 end (causal)",
    readout=qwen3_readout,
    used_by=("Qwen/Qwen3-Embedding-0.6B (last, with a prompt for queries)",),
    paper="Yang et al. 2025",
    notes=(
        "causal: a class token put first would see nothing but itself, and a mean mixes states that have read little",
        "the tokenizer must put <|endoftext|> behind every text, which is the token that is read",
    ),
)
