"""Which library's format an encoder fits: a plain ViT or BERT is written so that transformers opens it too."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from classtoken.encoder.checkpoint import reference_names
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families.bert import BERT
from classtoken.encoder.families.row import Family
from classtoken.encoder.families.vit import VIT
from classtoken.encoder.shape import BlockShape, ImageStem, Shape, TextStem
from classtoken.encoder.towers import OWN_TYPE


def published_form(shape: Shape) -> tuple[Family, dict[str, Any]] | None:
    """The family and config under which another library builds the very same encoder; None where there is none.

    It is the same when the family's row turns the config back into an equal shape.
    """
    for family, config in ((VIT, _vit_config(shape)), (BERT, _bert_config(shape))):
        if config is not None and family.shape(config) == shape:
            return family, config
    return None


def files_of(encoder: Encoder, labels: Sequence[str], several: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json and the encoder's tensors by their names on disk."""
    names: dict[str, Any] = {
        "id2label": {str(i): name for i, name in enumerate(labels)},
        "label2id": {name: i for i, name in enumerate(labels)},
        "problem_type": "multi_label_classification" if several else "single_label_classification",
    }
    form = published_form(encoder.shape)
    if form is None:
        config = {"model_type": OWN_TYPE, "architectures": ["Encoder"], "shape": encoder.shape.to_dict(), **names}
        return config, dict(encoder.state_dict())
    family, config = form
    prefix = family.prefixes[0] if family.prefixes and labels and family is VIT else ""
    return {**config, **names}, reference_names(encoder, family, prefix)


def classifier_names(encoder: Encoder, head: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A linear head on the class token by the published classifier's names; empty where none reads it so."""
    form = published_form(encoder.shape)
    if form is None or form[0] is not VIT or set(head) != {"output.weight", "output.bias"}:
        return {}
    return {"classifier.weight": head["output.weight"], "classifier.bias": head["output.bias"]}


def _vit_config(shape: Shape) -> dict[str, Any] | None:
    stem, block = shape.stem, shape.block
    if not isinstance(stem, ImageStem):
        return None
    return {
        "model_type": "vit",
        "architectures": ["ViTForImageClassification"],
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.depth,
        "image_size": stem.image[0] if stem.image[0] == stem.image[1] else list(stem.image),
        "patch_size": stem.patch,
        "num_channels": stem.channels,
        **_block_config(block),
    }


def _bert_config(shape: Shape) -> dict[str, Any] | None:
    stem, block = shape.stem, shape.block
    if not isinstance(stem, TextStem):
        return None
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": stem.vocabulary,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.depth,
        "max_position_embeddings": stem.positions,
        "type_vocab_size": stem.kinds,
        "pad_token_id": 0,
        **_block_config(block),
    }


def _block_config(block: BlockShape) -> dict[str, Any]:
    return {
        "num_attention_heads": block.heads,
        "intermediate_size": block.feedforward_size,
        "layer_norm_eps": block.norm_eps,
        "hidden_act": {"gelu_tanh": "gelu_pytorch_tanh"}.get(block.activation, block.activation),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
