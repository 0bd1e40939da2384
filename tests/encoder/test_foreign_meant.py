"""Which vector a model without a row meant: what its classifier reads, its own pooled output, or a refusal to guess."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tests.encoder.cases_text import DECODER
from tests.encoder.parity import TOLERANCE, randomise, relative
from tests.encoder.test_foreign import SWIN, WORDS, gpt2
from torch import nn

from classtoken.contract.model import read_model
from classtoken.contract.reading import Reading
from classtoken.errors import ContractError
from classtoken.pooling.spec import parse
from classtoken.tensors import Tokens

CONVOLUTIONS = {"hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
HIERA: dict[str, Any] = {
    "image_size": [32, 32],
    "embed_dim": 16,
    "depths": [1, 1, 1],
    "num_heads": [1, 2, 4],
    "patch_stride": [4, 4],
    "masked_unit_size": [4, 4],
    "num_query_pool": 2,
    "query_stride": [2, 2],
}
SEGFORMER = {"num_encoder_blocks": 2, "depths": [1, 1], "hidden_sizes": [8, 16], "sr_ratios": [2, 1]}
SEGFORMER |= {"patch_sizes": [7, 3], "strides": [4, 2], "num_attention_heads": [1, 2], "mlp_ratios": [2, 2]}
PIXIO = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
CLASSIFIERS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "swin": (lambda: hf.SwinForImageClassification(hf.SwinConfig(**SWIN)), "pooler", "4x4 patch = 16"),
    "resnet": (
        lambda: hf.ResNetForImageClassification(hf.ResNetConfig(**CONVOLUTIONS, embedding_size=8)),
        "pooler",
        "28x28 patch = 784",
    ),
    "regnet": (
        lambda: hf.RegNetForImageClassification(
            hf.RegNetConfig(hidden_sizes=[8, 16], depths=[1, 1], embedding_size=8, groups_width=4)
        ),
        "pooler",
        "28x28 patch = 784",
    ),
    "hiera": (lambda: hf.HieraForImageClassification(hf.HieraConfig(**HIERA)), "pooler", "2x2 patch = 4"),
    "segformer": (lambda: hf.SegformerForImageClassification(hf.SegformerConfig(**SEGFORMER)), "mean", ""),
}


def written(model: nn.Module, folder: Path) -> nn.Module:
    """A model with no weight at its initial value, on disk."""
    randomise(model.eval())
    model.save_pretrained(folder)
    return model


def image_of(reading: Reading) -> Tokens:
    pixels = torch.randn_like(reading.encoder.random_input(0)["pixel_values"].expand(2, -1, -1, -1))
    roles = torch.tensor([int(role) for role in reading.encoder.layout.roles()])
    return Tokens(roles.expand(2, -1), pixels=pixels, grid=reading.encoder.layout.grid)


@torch.no_grad()
def vector(reading: Reading, tokens: Tokens) -> torch.Tensor:
    readout = reading.readout()
    return readout(reading.encoder(tokens, layers=readout.layers))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_contract_is_what_the_classifier_reads(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    build, spec, layout = CLASSIFIERS[name]
    model: Any = written(build(), tmp_path)
    (reading,) = read_model(tmp_path)
    assert reading.contract.pooling == spec
    assert layout in str(reading.encoder.layout)
    tokens = image_of(reading)
    entered: list[torch.Tensor] = []
    matrix = [m for m in model.classifier.modules() if isinstance(m, nn.Linear)][-1]
    with matrix.register_forward_pre_hook(lambda _, given: entered.append(given[0])), torch.no_grad():
        model(pixel_values=tokens.pixels)
    assert relative(entered[0], vector(reading, tokens)) < TOLERANCE
    assert "ForImageClassification reads it" in reading.claims[0].evidence[0].says


def test_constant_tokens_that_the_pooled_output_reads_are_class_tokens(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model: Any = written(hf.PixioModel(hf.PixioConfig(**PIXIO, n_cls_tokens=5)), tmp_path)
    (reading,) = read_model(tmp_path)
    assert str(reading.encoder.layout) == "5 class + 4x4 patch = 21"
    assert reading.contract.pooling == "pooler"
    tokens = image_of(reading)
    with torch.no_grad():
        expected = model(pixel_values=tokens.pixels).pooler_output
    assert relative(expected, vector(reading, tokens)) < TOLERANCE


def test_a_pooled_output_without_its_weights_is_not_given(tmp_path: Path) -> None:
    torch.manual_seed(0)
    written(
        hf.ConvNextModel(hf.ConvNextConfig(image_size=64, hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)), tmp_path
    )
    weights = load_file(tmp_path / "model.safetensors")
    lost = {name for name in weights if name in ("layernorm.weight", "layernorm.bias")}
    assert len(lost) == 2
    kept = {name: tensor for name, tensor in weights.items() if name not in lost}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (reading,) = read_model(tmp_path)
    assert reading.pooler is None
    with pytest.raises(ContractError, match="Name a `pooling`: 'mean'"):
        reading.readout()


def test_a_causal_model_whose_files_say_nothing_is_asked_about(tmp_path: Path) -> None:
    torch.manual_seed(0)
    written(gpt2(), tmp_path)
    (reading,) = read_model(tmp_path)
    with pytest.raises(ContractError, match=r"its mask is causal.*Name a `pooling`: 'last' or 'mean'"):
        reading.readout()


def test_a_text_model_that_is_not_causal_is_read_by_the_mean(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = hf.DebertaV2Config(**WORDS, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=4)
    written(hf.DebertaV2Model(config), tmp_path)
    (reading,) = read_model(tmp_path)
    assert reading.contract.pooling == "mean"
    assert reading.unsettled == ()


@pytest.mark.parametrize(
    "build",
    [
        lambda: hf.MistralForCausalLM(hf.MistralConfig(**DECODER)),
        lambda: hf.LlamaModel(hf.LlamaConfig(**DECODER)),
        lambda: hf.Qwen2Model(hf.Qwen2Config(**DECODER)),
    ],
)
def test_a_language_model_with_a_row_is_asked_about_too(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    written(build(), tmp_path)
    (reading,) = read_model(tmp_path)
    assert reading.family is not None
    with pytest.raises(ContractError, match=r"not trained to give one vector.*Name a `pooling`: 'last' or 'mean'"):
        reading.readout()
    assert reading.readout(parse("last")).spec == parse("last")


def test_angles_that_are_scaled_are_left_to_transformers(tmp_path: Path) -> None:
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 50.0}
    written(hf.LlamaModel(hf.LlamaConfig(**{**DECODER, "rope_parameters": scaled})), tmp_path)
    (reading,) = read_model(tmp_path)
    assert reading.family is None
