"""BERT and models like it: absolute positions, post-norm."""

from dataclasses import replace
from typing import Any, cast, get_args

from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, Note, PoolerRow, complete
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import Activation, BlockShape, Shape, TextStem
from classtoken.errors import UnsupportedModel
from classtoken.values import InputDefaults

#: The size that most config classes assume.
BASE_SIZE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
#: What BERT's config assumes when the file leaves it out.
BERT_DEFAULTS = {
    **BASE_SIZE,
    "vocab_size": 30522,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "is_decoder": False,
}
MEGATRON_DEFAULTS = {**BERT_DEFAULTS, "vocab_size": 29056, "hidden_size": 1024, "num_hidden_layers": 24}
MEGATRON_DEFAULTS |= {"num_attention_heads": 16, "intermediate_size": 4096}
EMBEDDINGS = (
    Rename("embeddings.word_embeddings.weight", "stem.token.weight"),
    Rename("embeddings.position_embeddings.weight", "stem.position.weight"),
    Rename("embeddings.token_type_embeddings.weight", "stem.kind.weight"),
    Rename("embeddings.LayerNorm.{p}", "stem.norm.{p}"),
)
BLOCKS = blocks(
    "encoder.layer.{i}.",
    {
        "attention.self.query": "attention.query",
        "attention.self.key": "attention.key",
        "attention.self.value": "attention.value",
        "attention.output.dense": "attention.output",
        "attention.output.LayerNorm": "attention_norm",
        "intermediate.dense": "feedforward.up",
        "output.dense": "feedforward.down",
        "output.LayerNorm": "feedforward_norm",
    },
)


ENCODER_NAMES = EMBEDDINGS + BLOCKS
BERT_POOLER = PoolerRow(kind="tanh", names=(Rename("pooler.dense.{p}", "dense.{p}"),))
ACTIVATION = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "swish": "silu", "gelu_fast": "gelu_tanh"}


def activation(name: str) -> Activation:
    """Hugging Face's name of an activation -> ours. Raises `UnsupportedModel` for one we do not have."""
    ours, known = ACTIVATION.get(name, name), get_args(Activation)
    if ours not in known:
        raise UnsupportedModel(f"activation '{name}' is not supported; supported are {', '.join(sorted(known))}.")
    return cast(Activation, ours)


def bert_shape(config: Config, *, offset: int = 0, embedding_size: int | None = None, shared: int = 0) -> Shape:
    """Shape of BERT-like configs.

    `offset` is where positions begin to count, `embedding_size` the size of embeddings that are projected to the
    states', `shared` the number of sets of weights when blocks share them. Refuses BERT's relative positions.
    """
    config = complete(config, BERT_DEFAULTS)
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise UnsupportedModel(
            f"position_embedding_type '{config['position_embedding_type']}' is not supported; only 'absolute' is."
        )
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=TextStem(
            vocabulary=config["vocab_size"],
            embedding_size=embedding_size,
            positions=config["max_position_embeddings"],
            position_offset=offset,
            kinds=config["type_vocab_size"],
        ),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config["layer_norm_eps"],
            order="post",
            final_norm=False,
            activation=activation(config["hidden_act"]),
            causal=bool(config["is_decoder"]),
            shared=shared,
        ),
    )


def bidirectional(shape: Shape) -> Shape:
    """The same shape without a causal mask: of classes that read no `is_decoder`."""
    return replace(shape, block=replace(shape.block, causal=False))


def block_config(block: BlockShape) -> dict[str, Any]:
    """What the configs of BERT and ViT say of a block."""
    return {
        "num_attention_heads": block.heads,
        "intermediate_size": block.feedforward_size,
        "layer_norm_eps": block.norm_eps,
        "hidden_act": {"gelu_tanh": "gelu_pytorch_tanh"}.get(block.activation, block.activation),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


def bert_config(shape: Shape) -> dict[str, Any] | None:
    """The config that `bert_shape` makes this shape of; None where there is none."""
    stem = shape.stem
    if not isinstance(stem, TextStem):
        return None
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": stem.vocabulary,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.depth,
        "max_position_embeddings": stem.positions,
        "type_vocab_size": stem.kinds,
        "pad_token_id": 0,
        **block_config(shape.block),
    }
    return config if bert_shape(config) == shape else None


TEXT_MEAN = AuthorsReadout(
    spec="mean",
    reason="trained on masked tokens, not to give one vector; the masked mean is the better untrained readout",
    source="Reimers & Gurevych 2019 (Sentence-BERT), table 1",
    alternatives={"classification": "cls"},
)

BERT = Family(
    name="bert",
    types=("bert", "ernie"),
    reads=lambda config: not config.get("use_task_id"),
    modality="text",
    shape=bert_shape,
    names=ENCODER_NAMES,
    prefixes=("bert.", "ernie."),
    ignored=(r"embeddings\.position_ids", r"cls\..*"),
    harmless=frozenset({"task_type_vocab_size"}),  # of a table that ERNIE has with `use_task_id` only
    pooler=BERT_POOLER,
    head=HeadRow(
        reads="pooler", names=(Rename("classifier.{p}", "output.{p}"),), architectures=("ForSequenceClassification",)
    ),
    inputs=InputDefaults(tokenizer="BertTokenizer"),
    readout=TEXT_MEAN,
    config=bert_config,
    used_by=("bert-base-uncased", "all-MiniLM-L6-v2 (mean)", "bge (cls)"),
    paper="Devlin et al. 2019",
    notes=(Note("pooler_output is tanh(W [CLS] + b) trained for next-sentence prediction", of="pooler"),),
)


DPR = replace(
    BERT,
    name="dpr",
    types=("dpr",),
    reads=lambda config: not config.get("projection_dim") and "DPRReader" not in (config.get("architectures") or ()),
    prefixes=("question_encoder.bert_model.", "ctx_encoder.bert_model."),
    pooler=PoolerRow(kind="none"),
    head=None,
    readout=AuthorsReadout(
        spec="cls",
        reason="a question and a passage are compared by the states of their class tokens",
        source="Karpukhin et al. 2020 (DPR), section 3.1",
        alternatives={},
    ),
    config=None,
    used_by=("facebook/dpr-question_encoder-single-nq-base", "facebook/dpr-ctx_encoder-single-nq-base"),
    paper="Karpukhin et al. 2020",
    notes=("questions and passages have a checkpoint each, whose vectors meet; give each side its own",),
)


def megatron_shape(config: Config) -> Shape:
    """BERT's, each norm moved in front of its half of the block."""
    shape = bert_shape(complete(config, MEGATRON_DEFAULTS))
    assert isinstance(shape.stem, TextStem)
    return replace(
        shape,
        stem=replace(shape.stem, norm=False),
        block=replace(shape.block, order="pre", final_norm=True),
    )


MEGATRON_BERT = replace(
    BERT,
    name="megatron_bert",
    types=("megatron-bert",),
    reads=lambda config: True,
    shape=megatron_shape,
    names=EMBEDDINGS[:3]
    + tuple(rule for rule in BLOCKS if "LayerNorm" not in rule.theirs)
    + (
        Rename("encoder.layer.{i}.attention.ln.{p}", "blocks.{i}.attention_norm.{p}"),
        Rename("encoder.layer.{i}.ln.{p}", "blocks.{i}.feedforward_norm.{p}"),
        Rename("encoder.ln.{p}", "final_norm.{p}"),
    ),
    config=None,
    used_by=("nvidia/megatron-bert-uncased-345m",),
    paper="Shoeybi et al. 2019",
    notes=("BERT with the norms in front of attention and feed-forward",),
)
