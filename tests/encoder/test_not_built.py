"""Configs that no weights can mean are refused by name, whoever wrote them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.encoder.golden import GOLDEN

from classtoken.contract.model import read_model
from classtoken.errors import ClasstokenError, UnsupportedModel, WeightsError

SIZES: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def written(kind: str, folder: Path, **settings: Any) -> Path:
    torch.manual_seed(0)
    sizes = {**SIZES, "vocab_size": 30, "pad_token_id": 0, **settings}
    if kind != "ModernBert":
        sizes["num_key_value_heads"] = 2
    config = getattr(transformers, f"{kind}Config")(**sizes)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return folder


def rewritten(folder: Path, **settings: Any) -> None:
    place = folder / "config.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **settings}))


@pytest.mark.parametrize(
    ("kind", "window"),
    [
        ("ModernBert", {"local_attention": 0}),
        ("ModernBert", {"local_attention": 1}),
        ("Mistral", {"sliding_window": 1}),
    ],
)
def test_a_window_of_no_token_is_refused(kind: str, window: dict[str, int], tmp_path: Path) -> None:
    folder = written(kind, tmp_path)
    read_model(folder)
    rewritten(folder, **window)
    with pytest.raises(UnsupportedModel, match="sees 0 tokens to either side"):
        read_model(folder)


def test_rotary_positions_of_a_head_of_odd_size_are_refused(tmp_path: Path) -> None:
    folder = written("ModernBert", tmp_path)
    rewritten(folder, num_attention_heads=8)
    with pytest.raises(ClasstokenError, match="head"):
        read_model(folder)


CONTRADICTIONS: list[tuple[str, str, Any]] = [
    ("avg_with_prefix", "reg_tokens", 3),
    ("avg_with_prefix", "patch_size", 5),
    ("avg_with_prefix", "embed_dim", 32),
    ("avg_with_prefix", "depth", 3),
    ("avg_with_prefix", "pre_norm", True),
    ("avg_with_prefix", "mlp_ratio", 2),
    ("vit_base_patch16_224_miil", "qkv_bias", True),
    ("vit_giant_patch14_dinov2", "mlp_ratio", 4),
    ("vit_tiny_patch16_224", "proj_bias", False),
    ("vit_tiny_patch16_224", "init_values", 1e-05),
    ("vit_tiny_patch16_224", "final_norm", False),
    ("vit_tiny_patch16_224", "no_embed_class", True),
    ("deit3_small_patch16_224", "no_embed_class", False),
    ("deit3_small_patch16_224", "init_values", 0),
    ("vit_base_patch16_siglip_224", "attn_pool_mlp_ratio", 1.0),
    ("eva02_base_patch14_448", "scale_mlp", False),
    ("eva02_base_patch14_448", "qkv_fused", True),
    ("eva02_base_patch14_448", "use_abs_pos_emb", False),
    ("vit_pe_core_base_patch16_224", "use_pre_transformer_norm", False),
]


@pytest.mark.parametrize(("name", "key", "value"), CONTRADICTIONS)
def test_an_argument_of_timm_that_the_weights_contradict_is_refused(
    name: str, key: str, value: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(GOLDEN / "timm" / name, folder)
    config = json.loads((folder / "config.json").read_text())
    config["model_args"][key] = value
    rewritten(folder, model_args=config["model_args"])
    with pytest.raises(WeightsError, match=f"config.json says {key} {value}"):
        read_model(folder)


@pytest.mark.parametrize("name", sorted(path.name for path in (GOLDEN / "timm").iterdir()))
def test_arguments_that_timm_wrote_are_not_contradicted(name: str) -> None:
    assert read_model(GOLDEN / "timm" / name)
