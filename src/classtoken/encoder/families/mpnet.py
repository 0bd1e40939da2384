"""MPNet: absolute positions as in RoBERTa and, besides, relative buckets shared by all blocks (Song et al. 2020)."""

from dataclasses import replace

from classtoken.encoder.families.bert import (
    BERT_DEFAULTS,
    BERT_POOLER,
    ENCODER_NAMES,
    TEXT_MEAN,
    bert_shape,
    bidirectional,
)
from classtoken.encoder.families.roberta import DENSE_HEAD
from classtoken.encoder.families.row import Config, Family, HeadRow, Note, complete
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import PositionShape, Shape
from classtoken.errors import UnsupportedModel
from classtoken.model_folder import changed
from classtoken.values import InputDefaults

MPNET_DEFAULTS = {**BERT_DEFAULTS, "vocab_size": 30527, "relative_attention_num_buckets": 32, "type_vocab_size": 0}
PADDING_POSITION = 1  # written into `MPNetEmbeddings`, whatever the config's pad_token_id is
BUCKETS = 32
REACH = 128  # like BUCKETS the default of `MPNetEncoder.relative_position_bucket`; no config changes them
NAMES = (
    *(rule for rule in ENCODER_NAMES if ".self." not in rule.theirs and "attention.output" not in rule.theirs),
    *blocks(
        "encoder.layer.{i}.attention.",
        {
            "attn.q": "attention.query",
            "attn.k": "attention.key",
            "attn.v": "attention.value",
            "attn.o": "attention.output",
            "LayerNorm": "attention_norm",
        },
    ),
    Rename("encoder.relative_attention_bias.weight", "buckets.weight"),
)


def mpnet_shape(config: Config) -> Shape:
    """BERT's without token types, positions from 2, and relative buckets."""
    config = complete(config, MPNET_DEFAULTS)
    if config["relative_attention_num_buckets"] != BUCKETS:
        raise UnsupportedModel(
            f"MPNet with relative_attention_num_buckets {config['relative_attention_num_buckets']} is not supported; "
            f"its reference computes with {BUCKETS} whatever the config says."
        )
    shape = bidirectional(bert_shape(changed(config, {"type_vocab_size": 0}), offset=PADDING_POSITION + 1))
    return replace(shape, position=PositionShape(buckets=BUCKETS, bucket_reach=REACH))


MPNET = Family(
    name="mpnet",
    types=("mpnet",),
    modality="text",
    shape=mpnet_shape,
    names=tuple(rule for rule in NAMES if "token_type" not in rule.theirs),
    prefixes=("mpnet.",),
    ignored=(r"embeddings\.position_ids", r"lm_head\..*"),
    pooler=BERT_POOLER,
    head=HeadRow(reads="cls", names=DENSE_HEAD, activation="tanh", architectures=("ForSequenceClassification",)),
    inputs=InputDefaults(tokenizer="MPNetTokenizer"),
    readout=TEXT_MEAN,
    used_by=("microsoft/mpnet-base", "sentence-transformers/all-mpnet-base-v2 (mean)"),
    paper="Song et al. 2020",
    notes=(Note("the pooler was not trained with the language model", of="pooler"),),
)
