"""RoBERTa and models like it: BERT whose positions begin behind the padding's, and whose pooler was never trained."""

from classtoken.encoder.families.bert import BERT_DEFAULTS, BERT_POOLER, ENCODER_NAMES, TEXT_MEAN, bert_shape
from classtoken.encoder.families.row import Config, Family, HeadRow, Note, complete
from classtoken.encoder.names import Rename
from classtoken.encoder.shape import Shape

XLM_ROBERTA_DEFAULTS = {**BERT_DEFAULTS, "pad_token_id": 1}
ROBERTA_DEFAULTS = {**XLM_ROBERTA_DEFAULTS, "vocab_size": 50265}
#: dense - activation - linear on the first token, as RoBERTa, ELECTRA and MPNet name it.
DENSE_HEAD = (
    Rename("classifier.dense.{p}", "dense.{p}"),
    Rename("classifier.out_proj.{p}", "output.{p}"),
)


def roberta_shape(config: Config) -> Shape:
    """BERT's, but the first token has position `pad_token_id` + 1."""
    defaults = ROBERTA_DEFAULTS if config.get("model_type") == "roberta" else XLM_ROBERTA_DEFAULTS
    config = complete(config, defaults)
    return bert_shape(config, offset=config["pad_token_id"] + 1)


ROBERTA = Family(
    name="roberta",
    types=("roberta", "xlm-roberta", "camembert"),
    modality="text",
    shape=roberta_shape,
    names=ENCODER_NAMES,
    prefixes=("roberta.",),
    ignored=(r"embeddings\.position_ids", r"lm_head\..*"),
    pooler=BERT_POOLER,
    head=HeadRow(reads="cls", names=DENSE_HEAD, activation="tanh", architectures=("ForSequenceClassification",)),
    readout=TEXT_MEAN,
    used_by=(
        "roberta-base",
        "xlm-roberta-base",
        "camembert-base",
        "intfloat/multilingual-e5-base (mean)",
        "bge-m3 (cls)",
    ),
    paper="Liu et al. 2019; Conneau et al. 2020",
    notes=(Note("RoBERTa was trained without next-sentence prediction: its pooler was never trained", of="pooler"),),
)
