"""Llama, Mistral and Qwen 2 as text embedders: causal decoders with grouped keys (Touvron et al. 2023)."""

from dataclasses import replace

from classtoken.encoder.families.bert import TEXT_MEAN, bidirectional
from classtoken.encoder.families.qwen import DECODER, QWEN3_DEFAULTS, decoder_names, decoder_shape, windows
from classtoken.encoder.families.rotary import ONLY_SOME, decoder_config, is_plain, longest_of, sliding_reach
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, complete
from classtoken.encoder.shape import NO_BIASES, Shape
from classtoken.errors import UnsupportedModel
from classtoken.model_folder import changed
from classtoken.values import InputDefaults

LLAMA_DEFAULTS = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "mlp_bias": False,
}
MISTRAL_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
}
QWEN2_DEFAULTS = {name: value for name, value in QWEN3_DEFAULTS.items() if name not in ("head_dim", "attention_bias")}


EUROBERT_DEFAULTS = {
    **LLAMA_DEFAULTS,
    "vocab_size": 128256,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 8192,
}


def eurobert_shape(config: Config) -> Shape:
    """Llama's blocks, in which every token reads every other. Refuses `is_causal`, with which transformers masks a text
    alone and not one that is padded."""
    if config.get("is_causal"):
        raise UnsupportedModel(f"EuroBERT with is_causal true {ONLY_SOME}: write false into config.json.")
    return bidirectional(llama_shape(complete(changed(config, {"is_causal": False}), EUROBERT_DEFAULTS)))


def llama_shape(config: Config) -> Shape:
    """Biases where the config asks for them."""
    config = decoder_config(config, LLAMA_DEFAULTS)
    attention = {"query", "key", "value", "output"} if config["attention_bias"] else set()
    return decoder_shape(config, frozenset(attention | ({"up", "down"} if config["mlp_bias"] else set())))


def mistral_shape(config: Config) -> Shape:
    """A window in every block, unless the config says null."""
    reach = config.get("sliding_window", 4096)
    config = decoder_config(config, MISTRAL_DEFAULTS)
    return decoder_shape(
        config, NO_BIASES, (sliding_reach(config, reach),) * config["num_hidden_layers"] if reach is not None else ()
    )


def qwen2_shape(config: Config) -> Shape:
    """Biases on query, key and value."""
    config = decoder_config(config, QWEN2_DEFAULTS)
    return decoder_shape(config, frozenset({"query", "key", "value"}), windows(config))


def decoder_readout(config: Config) -> AuthorsReadout:
    """No author of a bare language model published a vector: it must be asked for; the mean where no mask is causal."""
    if config.get("is_causal") is False:
        return TEXT_MEAN
    return AuthorsReadout(
        spec="last",
        reason="under the causal mask only the last token has read the whole text",
        source="Wang et al. 2024 (E5-Mistral), section 3",
        alternatives={},
        unsettled="a language model was not trained to give one vector",
    )


LLAMA = Family(
    name="llama",
    types=("llama",),
    modality="text",
    shape=llama_shape,
    reads=is_plain,
    names=decoder_names(DECODER),
    prefixes=("model.",),
    ignored=(r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq", r"lm_head\..*"),
    inputs=lambda config: InputDefaults(longest=longest_of(config)),
    harmless=frozenset({"pretraining_tp"}),
    tokens="start + n word piece (causal)",
    readout=decoder_readout,
    used_by=("embedding models with a modules.json (last)",),
    paper="Touvron et al. 2023",
    notes=("causal: a class token put first would see nothing but itself",),
)
MISTRAL = replace(
    LLAMA,
    name="mistral",
    types=("mistral",),
    shape=mistral_shape,
    inputs=lambda config: InputDefaults(
        tokenizer="TokenizersBackend", tokenizer_fixed=True, longest=longest_of(config)
    ),
    used_by=("intfloat/e5-mistral-7b-instruct (last)",),
    paper="Jiang et al. 2023",
)
QWEN2 = replace(
    LLAMA,
    name="qwen2",
    types=("qwen2",),
    shape=qwen2_shape,
    inputs=lambda config: InputDefaults(tokenizer="Qwen2Tokenizer", tokenizer_fixed=True, longest=longest_of(config)),
    tokens="n word piece (causal)",
    used_by=("Alibaba-NLP/gte-Qwen2-1.5B-instruct (last)",),
    paper="Yang et al. 2024",
)
EUROBERT = replace(
    LLAMA,
    name="eurobert",
    types=("eurobert",),
    shape=eurobert_shape,
    harmless=frozenset({"pretraining_tp", "classifier_pooling"}),
    tokens="start + n word piece + 1 end",
    readout=TEXT_MEAN,
    code=("EuroBertModel",),
    used_by=("EuroBERT/EuroBERT-210m", "EuroBERT/EuroBERT-610m"),
    paper="Boizard et al. 2025",
    notes=(),
)
