"""Tiny reference models of the text families."""

import torch
import transformers as hf
from tests.encoder.parity import Case, Inputs

from classtoken.tensors import Tokens
from classtoken.values import Role

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
VOCABULARY = 99
LENGTHS = (7, 12, 10, 7)


def texts(config: hf.PreTrainedConfig) -> Inputs:
    """Random word pieces of several lengths, padded on the right: [CLS] first, [SEP] last."""
    longest = max(LENGTHS)
    pad = getattr(config, "pad_token_id", None) or 0
    ids = torch.randint(5, VOCABULARY, (len(LENGTHS), longest))
    roles = torch.full_like(ids, Role.CONTENT)
    for row, n in enumerate(LENGTHS):
        ids[row, n:] = pad
        roles[row, n:], roles[row, 0], roles[row, n - 1] = Role.PAD, Role.CLASS, Role.END
    mask = (roles != Role.PAD).long()
    return Inputs({"input_ids": ids, "attention_mask": mask}, Tokens(roles, ids))


def bert(**more: object) -> hf.BertConfig:
    """A tiny BERT config."""
    return hf.BertConfig(vocab_size=VOCABULARY, max_position_embeddings=16, **SMALL, **more)


TEXT_CASES: tuple[Case, ...] = (
    Case("bert", "bert", lambda: hf.BertModel(bert()), texts),
    Case("bert with a head", "bert", lambda: hf.BertForSequenceClassification(bert(num_labels=5)), texts, logits=True),
)
