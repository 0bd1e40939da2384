"""What a foreign model must not be: random, half loaded, run by code of its own."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tests.encoder.parity import TOLERANCE, relative
from tests.encoder.test_foreign import bert, deberta, esm, gpt2, made, mobilebert, read, text_batch, vit
from tests.zoo.outcomes import outcome_of
from tests.zoo.tiny import tiny_model

from classtoken.encoder.checkpoint import open_checkpoint
from classtoken.encoder.foreign.config import grid_of
from classtoken.encoder.foreign.files import load_foreign
from classtoken.encoder.towers import load_towers
from classtoken.errors import ModelError, UnsafeCheckpoint, UnsupportedModel, WeightsError
from classtoken.tensors import Tokens
from classtoken.values import Role


def test_images_of_a_size_that_the_model_refuses(tmp_path: Path) -> None:
    _, foreign = read(vit, tmp_path)
    roles = torch.full((1, 37), int(Role.CONTENT))
    with pytest.raises(ModelError, match=r"refuses the batch: Input image size \(24\*24\)"):
        foreign(Tokens(roles, pixels=torch.randn(1, 3, 24, 24)))


@pytest.mark.parametrize("build", [deberta, gpt2, mobilebert])
def test_a_text_that_is_too_long_is_refused(build: Any, tmp_path: Path) -> None:
    _, foreign = read(build, tmp_path)
    ids = torch.randint(5, 60, (1, 21))
    with pytest.raises(ModelError, match="21 tokens does not fit: this model has positions for 20"):
        foreign(Tokens(torch.full_like(ids, Role.CONTENT), ids))


def without(folder: Path, part: str) -> None:
    """Take the weights out whose names hold `part`."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if part not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_missing_weight_is_refused_because_it_would_be_random(tmp_path: Path) -> None:
    made(deberta, tmp_path)
    without(tmp_path, "layer.1.output.dense")
    with pytest.raises(WeightsError, match=r"2 missing: .*layer\.1\.output\.dense"):
        load_foreign(open_checkpoint(tmp_path))


def test_a_missing_pooler_is_reported_and_does_no_harm(tmp_path: Path) -> None:
    made(lambda: hf.EsmModel(esm().config, add_pooling_layer=True), tmp_path)
    without(tmp_path, "pooler")
    ((_, loaded),) = load_foreign(open_checkpoint(tmp_path))
    foreign: Any = loaded.encoder
    assert foreign.missing == ("pooler.dense.bias", "pooler.dense.weight")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    made(deberta, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 40}))
    with pytest.raises(ModelError, match=r"intermediate|shape|size"):
        load_foreign(open_checkpoint(tmp_path))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"model_type": "brand_new"}, UnsupportedModel, "brand_new"),
        ({"model_type": "own", "auto_map": {"AutoModel": "modeling_own.Own"}}, UnsafeCheckpoint, "auto_map"),
    ],
)
def test_other_code_is_never_run(change: dict[str, Any], error: type[Exception], says: str, tmp_path: Path) -> None:
    made(bert, tmp_path)
    (tmp_path / "modeling_own.py").write_text("raise SystemExit('this must not run')")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(error, match=says) as caught:
        load_towers(open_checkpoint(tmp_path))
    assert "\n" not in str(caught.value)


@torch.no_grad()
def test_the_encoder_of_a_model_that_has_a_decoder(tmp_path: Path) -> None:
    config = hf.BartConfig(
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=40,
        decoder_ffn_dim=40,
        vocab_size=60,
        max_position_embeddings=20,
    )
    model, foreign = read(lambda: hf.BartModel(config), tmp_path)
    tokens = text_batch()
    theirs = model.get_encoder()(input_ids=tokens.ids_BL, attention_mask=tokens.mask_BL.long()).last_hidden_state
    assert relative(theirs, foreign(tokens).last_BLD, tokens.mask_BL) < TOLERANCE


@pytest.mark.parametrize(
    ("patches", "size", "grid"),
    [(16, (32, 32), (4, 4)), (8, (16, 32), (2, 4)), (15, (32, 32), None), (0, (8, 8), None)],
)
def test_grids(patches: int, size: tuple[int, int], grid: tuple[int, int] | None) -> None:
    assert grid_of(patches, *size) == grid


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    made(deberta, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "vocab_size": 70}))
    with pytest.raises(WeightsError, match=r"of another shape: embeddings\.word_embeddings\.weight"):
        load_towers(open_checkpoint(tmp_path))


def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    made(deberta, tmp_path)
    path = tmp_path / "config.json"
    quantised = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": quantised}))
    with pytest.raises(UnsupportedModel, match=r"without another library.*bitsandbytes"):
        load_towers(open_checkpoint(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("videomae", r"one image alone \(it reads videos of 16 frames\)"),
        ("lxmert", r"one text alone \(.*visual_feats"),
        ("tvp", r"one text alone \(it takes pixel_values"),
    ],
)
def test_a_refusal_names_what_a_model_takes_besides(kind: str, says: str) -> None:
    """Not what its code said when it fell over what was not given."""
    assert re.search(says, outcome_of(kind).says)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("rf_detr", "20 states of its own for one image, as those that look for objects do"),
        ("lw_detr", "20 states of its own for one image, as those that look for objects do"),
        ("kyutai_speech_to_text", "it reads sound as codes, 4 for each place"),
        ("musicgen", "has no attribute 'dropout'. If AutoModel loads it elsewhere"),
    ],
)
def test_what_has_no_states_of_one_text_or_image_is_refused_for_what_it_is(kind: str, says: str) -> None:
    found = outcome_of(kind)
    assert found.kind == "refused"
    assert says in found.says


@pytest.mark.slow
@torch.no_grad()
def test_a_map_whose_last_axis_is_a_state_is_read_by_its_patches(tmp_path: Path) -> None:
    model = tiny_model("sam2_vision_model")
    assert isinstance(model, hf.PreTrainedModel)
    model.save_pretrained(tmp_path)
    ((_, loaded),) = load_foreign(open_checkpoint(tmp_path))
    foreign: Any = loaded.encoder
    assert str(foreign.layout) == "7x7 patch = 49"
    tokens = Tokens(torch.full((1, 49), int(Role.CONTENT)), pixels=torch.randn(1, 3, 224, 224), grid=(7, 7))
    wanted = model(pixel_values=tokens.pixels).last_hidden_state
    assert wanted.shape == (1, 7, 7, foreign.hidden_size)
    assert relative(wanted.reshape(1, 49, -1), foreign(tokens).last_BLD) < TOLERANCE
