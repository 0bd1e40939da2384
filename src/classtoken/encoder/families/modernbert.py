"""ModernBERT: rotary positions, local windows in most blocks, gated feed-forward, pre-norm (Warner et al. 2024)."""

from classtoken.encoder.families.bert import TEXT_MEAN, activation
from classtoken.encoder.families.rotary import base_of, longest_of, window
from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, Note, complete
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import BlockShape, PositionShape, Shape, TextStem
from classtoken.errors import UnsupportedModel
from classtoken.values import InputDefaults

MODERNBERT_DEFAULTS = {
    "vocab_size": 50368,
    "hidden_size": 768,
    "intermediate_size": 1152,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "hidden_activation": "gelu",
    "norm_eps": 1e-5,
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "local_attention": 128,
    "classifier_pooling": "cls",
    "classifier_activation": "gelu",
}
THETA = {"full_attention": ("global_rope_theta", 160_000.0), "sliding_attention": ("local_rope_theta", 10_000.0)}


def layer_types(config: Config) -> tuple[str, ...]:
    """What each block sees: its new spelling, or every n-th block global as older configs say."""
    if config.get("layer_types"):
        return tuple(config["layer_types"])
    every = config.get("global_attn_every_n_layers", 3)
    return tuple("sliding_attention" if i % every else "full_attention" for i in range(config["num_hidden_layers"]))


def modernbert_shape(config: Config) -> Shape:
    """Blocks by their layer type: its own window and its own rotary base."""
    config = complete(config, MODERNBERT_DEFAULTS)
    kinds = layer_types(config)
    biases = {"query", "key", "value", "output"} if config["attention_bias"] else set()
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=TextStem(vocabulary=config["vocab_size"]),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config["norm_eps"],
            norm_bias=config["norm_bias"],
            first_norm=False,
            activation=activation(config["hidden_activation"]),
            gated=True,
            biases=frozenset(biases | ({"up", "down"} if config["mlp_bias"] else set())),
            windows=tuple(
                window(config["local_attention"] // 2) if kind == "sliding_attention" else 0 for kind in kinds
            ),
        ),
        position=PositionShape(rotary=tuple(base_of(config, *THETA[kind], kind=kind) for kind in kinds)),
    )


def classifier_pooling(config: Config) -> str:
    """The pooling in front of the classifier. Refuses an activation that no published checkpoint has."""
    config = complete(config, MODERNBERT_DEFAULTS)
    if config["classifier_activation"] != "gelu":
        raise UnsupportedModel(
            f"ModernBERT's classifier_activation '{config['classifier_activation']}' is not supported; 'gelu' is."
        )
    return str(config["classifier_pooling"])


def modernbert_readout(config: Config) -> AuthorsReadout:
    """The masked mean; for a classifier, the pooling that its config names."""
    mean = TEXT_MEAN
    return AuthorsReadout(
        spec=mean.spec,
        reason=mean.reason + "; a classifier reads what `classifier_pooling` of its config names",
        source=mean.source + "; ModernBertForSequenceClassification",
        alternatives={"classification": classifier_pooling(config)},
    )


MODERNBERT = Family(
    name="modernbert",
    types=("modernbert",),
    modality="text",
    shape=modernbert_shape,
    names=(
        Rename("embeddings.tok_embeddings.weight", "stem.token.weight"),
        Rename("embeddings.norm.{p}", "stem.norm.{p}"),
        *blocks(
            "layers.{i}.",
            {
                "attn.Wqkv": ("attention.query", "attention.key", "attention.value"),
                "attn.Wo": "attention.output",
                "attn_norm": "attention_norm",
                "mlp_norm": "feedforward_norm",
                "mlp.Wi": ("feedforward.gate", "feedforward.up"),
                "mlp.Wo": "feedforward.down",
            },
        ),
        Rename("final_norm.{p}", "final_norm.{p}"),
    ),
    prefixes=("model.",),
    head=HeadRow(
        reads=classifier_pooling,
        names=(
            Rename("head.dense.{p}", "dense.{p}"),
            Rename("head.norm.{p}", "norm.{p}"),
            Rename("classifier.{p}", "output.{p}"),
        ),
        activation="gelu",
        norm=True,
        architectures=("ForSequenceClassification",),
    ),
    inputs=lambda config: InputDefaults(
        tokenizer="TokenizersBackend", tokenizer_fixed=True, longest=longest_of(config)
    ),
    harmless=frozenset(
        # the last two are BERT's: published files have them, and no code of this family reads them
        ["classifier_bias", "decoder_bias", "global_attn_every_n_layers", "layer_norm_eps", "position_embedding_type"]
    ),
    readout=modernbert_readout,
    used_by=("answerdotai/ModernBERT-base", "nomic-ai/modernbert-embed-base (mean)", "gte-modernbert-base (cls)"),
    paper="Warner et al. 2024",
    notes=(Note("head.dense and head.norm belong to the classifier or the language model", of="none"),),
)
