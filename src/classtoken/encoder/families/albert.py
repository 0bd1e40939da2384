"""ALBERT: one set of weights serves all blocks, and the embeddings are smaller than the states (Lan et al. 2020)."""

from classtoken.encoder.families.bert import BERT_DEFAULTS, EMBEDDINGS, TEXT_MEAN, bert_shape, bidirectional
from classtoken.encoder.families.row import Config, Family, HeadRow, Note, PoolerRow, complete
from classtoken.encoder.names import Rename
from classtoken.encoder.shape import Shape
from classtoken.errors import UnsupportedModel

ALBERT_DEFAULTS = {
    **BERT_DEFAULTS,
    "vocab_size": 30000,
    "embedding_size": 128,
    "hidden_size": 4096,
    "num_attention_heads": 64,
    "intermediate_size": 16384,
    "num_hidden_groups": 1,
    "inner_group_num": 1,
    "hidden_act": "gelu_new",
}
LAYER = "encoder.albert_layer_groups.{i}.albert_layers.0."
BLOCKS = tuple(
    Rename(f"{LAYER}{theirs}.{{p}}", f"blocks.{{i}}.{ours}.{{p}}")
    for theirs, ours in {
        "attention.query": "attention.query",
        "attention.key": "attention.key",
        "attention.value": "attention.value",
        "attention.dense": "attention.output",
        "attention.LayerNorm": "attention_norm",
        "ffn": "feedforward.up",
        "ffn_output": "feedforward.down",
        "full_layer_layer_norm": "feedforward_norm",
    }.items()
)


def albert_shape(config: Config) -> Shape:
    """BERT's, with `num_hidden_groups` sets of weights for all blocks. Refuses several layers within a group."""
    config = complete(config, ALBERT_DEFAULTS)
    if config["inner_group_num"] != 1:
        raise UnsupportedModel(
            f"ALBERT with inner_group_num {config['inner_group_num']} is not supported; published checkpoints have 1."
        )
    return bidirectional(
        bert_shape(config, embedding_size=config["embedding_size"], shared=config["num_hidden_groups"])
    )


ALBERT = Family(
    name="albert",
    types=("albert",),
    modality="text",
    shape=albert_shape,
    names=(*EMBEDDINGS, Rename("encoder.embedding_hidden_mapping_in.{p}", "stem.project.{p}"), *BLOCKS),
    prefixes=("albert.",),
    ignored=(r"embeddings\.position_ids", r"predictions\..*", r"sop_classifier\..*"),
    pooler=PoolerRow(kind="tanh", names=(Rename("pooler.{p}", "dense.{p}"),)),
    head=HeadRow(
        reads="pooler", names=(Rename("classifier.{p}", "output.{p}"),), architectures=("ForSequenceClassification",)
    ),
    readout=TEXT_MEAN,
    harmless=frozenset(["down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks"]),
    used_by=("albert/albert-base-v2", "paraphrase-albert-small-v2 (mean)"),
    paper="Lan et al. 2020",
    notes=(Note("pooler_output is tanh(W [CLS] + b) trained for sentence order", of="pooler"),),
)
