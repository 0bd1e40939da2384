"""ELECTRA's discriminator: BERT with embeddings that may be smaller than the states (Clark et al. 2020)."""

from classtoken.encoder.families.bert import BERT_DEFAULTS, ENCODER_NAMES, TEXT_MEAN, bert_shape
from classtoken.encoder.families.roberta import DENSE_HEAD
from classtoken.encoder.families.row import Config, Family, HeadRow, complete
from classtoken.encoder.names import Rename
from classtoken.encoder.shape import Shape
from classtoken.values import InputDefaults

ELECTRA_DEFAULTS = {
    **BERT_DEFAULTS,
    "embedding_size": 128,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}


def electra_shape(config: Config) -> Shape:
    """BERT's; the projection of the embeddings exists only where they have another size than the states."""
    config = complete(config, ELECTRA_DEFAULTS)
    size = config["embedding_size"]
    return bert_shape(config, embedding_size=size if size != config["hidden_size"] else None)


ELECTRA = Family(
    name="electra",
    types=("electra",),
    modality="text",
    shape=electra_shape,
    names=(*ENCODER_NAMES, Rename("embeddings_project.{p}", "stem.project.{p}")),
    prefixes=("electra.",),
    ignored=(r"embeddings\.position_ids", r"(discriminator|generator)_\w+\..*"),
    head=HeadRow(reads="cls", names=DENSE_HEAD, activation="gelu", architectures=("ForSequenceClassification",)),
    inputs=InputDefaults(tokenizer="BertTokenizer"),
    harmless=frozenset(["summary_activation", "summary_type", "summary_use_proj"]),
    readout=TEXT_MEAN,
    used_by=("google/electra-base-discriminator",),
    paper="Clark et al. 2020",
    notes=("take the discriminator, the generator is the smaller helper of its training",),
)
