"""DistilBERT: half of BERT's blocks, no token types, no pooler (Sanh et al. 2019)."""

from dataclasses import replace

from classtoken.encoder.families.bert import EMBEDDINGS, TEXT_MEAN, bert_shape, bidirectional
from classtoken.encoder.families.row import Config, Family, HeadRow, Note, complete, respelled
from classtoken.encoder.names import Rename, blocks
from classtoken.encoder.shape import Shape, TextStem
from classtoken.model_folder import changed
from classtoken.values import InputDefaults

DISTILBERT_DEFAULTS = {
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "sinusoidal_pos_embds": False,
    "n_layers": 6,
    "n_heads": 12,
    "dim": 768,
    "hidden_dim": 3072,
    "activation": "gelu",
}
#: its config's names -> BERT's
SPELLING = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "hidden_dim": "intermediate_size",
    "activation": "hidden_act",
}
BLOCKS = blocks(
    "transformer.layer.{i}.",
    {
        "attention.q_lin": "attention.query",
        "attention.k_lin": "attention.key",
        "attention.v_lin": "attention.value",
        "attention.out_lin": "attention.output",
        "sa_layer_norm": "attention_norm",
        "ffn.lin1": "feedforward.up",
        "ffn.lin2": "feedforward.down",
        "output_layer_norm": "feedforward_norm",
    },
)


def distilbert_shape(config: Config) -> Shape:
    """BERT's under other names; positions may be fixed sinusoids, which the file holds like learned ones."""
    config = complete(config, DISTILBERT_DEFAULTS)
    config = respelled(config, SPELLING)
    shape = bidirectional(bert_shape(changed(config, {"type_vocab_size": 0, "layer_norm_eps": 1e-12})))
    assert isinstance(shape.stem, TextStem)
    return replace(shape, stem=replace(shape.stem, sinusoidal=bool(config["sinusoidal_pos_embds"])))


DISTILBERT = Family(
    name="distilbert",
    types=("distilbert",),
    modality="text",
    shape=distilbert_shape,
    names=(*(rule for rule in EMBEDDINGS if "token_type" not in rule.theirs), *BLOCKS),
    prefixes=("distilbert.",),
    ignored=(r"embeddings\.position_ids", r"vocab_\w+\..*"),
    head=HeadRow(
        reads="cls",
        names=(Rename("pre_classifier.{p}", "dense.{p}"), Rename("classifier.{p}", "output.{p}")),
        activation="relu",
        architectures=("ForSequenceClassification",),
    ),
    inputs=InputDefaults(tokenizer="BertTokenizer"),
    readout=TEXT_MEAN,
    harmless=frozenset(["tie_weights_"]),
    used_by=("distilbert-base-uncased", "msmarco-distilbert-base-tas-b (cls)"),
    paper="Sanh et al. 2019",
    notes=(Note("the classifier reads [CLS] through a dense layer and a ReLU of its own", of="classifier"),),
)
