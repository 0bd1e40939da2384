"""BERT and its kin: absolute positions, post-norm."""

from typing import cast

from classtoken.encoder.families.row import AuthorsReadout, Config, Family, HeadRow, PoolerRow
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.parts import ACTIVATIONS
from classtoken.encoder.shape import Activation, BlockShape, Shape, TextStem
from classtoken.errors import UnsupportedModel

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
BERT_POOLER = PoolerRow(kind="tanh", names=(Rename("pooler.dense.{p}", "dense.{p}"),))
ACTIVATION = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "swish": "silu", "gelu_fast": "gelu_tanh"}


def activation(name: str) -> Activation:
    """Hugging Face's name of an activation -> ours. Raises `UnsupportedModel` for one we do not have."""
    ours = ACTIVATION.get(name, name)
    if ours not in ACTIVATIONS:
        raise UnsupportedModel(f"activation '{name}' is not supported; supported are {', '.join(sorted(ACTIVATIONS))}.")
    return cast(Activation, ours)


def bert_shape(config: Config, *, offset: int = 0) -> Shape:
    """Shape of BERT-like configs; `offset` is where positions begin to count."""
    return Shape(
        hidden_size=config["hidden_size"],
        depth=config["num_hidden_layers"],
        stem=TextStem(
            vocabulary=config["vocab_size"],
            embedding_size=config.get("embedding_size"),
            positions=config["max_position_embeddings"],
            position_offset=offset,
            kinds=config.get("type_vocab_size", 0),
        ),
        block=BlockShape(
            heads=config["num_attention_heads"],
            feedforward_size=config["intermediate_size"],
            norm_eps=config.get("layer_norm_eps", 1e-12),
            order="post",
            final_norm=False,
            activation=activation(config["hidden_act"]),
        ),
    )


def text_mean(config: Config) -> AuthorsReadout:
    """What is best known for an encoder that was not trained to give one vector."""
    return AuthorsReadout(
        spec="mean",
        reason="trained on masked tokens, not to give one vector; the masked mean is the better untrained readout",
        source="Reimers & Gurevych 2019 (Sentence-BERT), table 1",
        alternatives={"classification": "cls"},
    )


BERT = Family(
    name="bert",
    types=("bert",),
    modality="text",
    shape=bert_shape,
    names=EMBEDDINGS + BLOCKS,
    prefixes=("bert.",),
    ignored=(r"embeddings\.position_ids", r"cls\..*"),
    pooler=BERT_POOLER,
    head=HeadRow(
        kind="pooled", names=(Rename("classifier.{p}", "output.{p}"),), architectures=("ForSequenceClassification",)
    ),
    readout=text_mean,
    used_by=("bert-base-uncased", "all-MiniLM-L6-v2 (mean)", "bge (cls)"),
    paper="Devlin et al. 2019",
    notes=("pooler_output is tanh(W [CLS] + b) trained for next-sentence prediction; absent after MLM-only training",),
)
