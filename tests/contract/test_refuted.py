"""What contradicts a model stops it: numbers that are none, blocks that nobody builds, a vector that company moves."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.folders import (
    SENTENCES,
    WORDS,
    bert_tokenizer,
    image_processor,
    randomise,
    sentence_transformer,
    tiny_bert,
    tiny_clip,
)
from torch import Tensor

import classtoken as ct
from classtoken.encoder import towers
from classtoken.errors import ContractError, UnsupportedModel, WeightsError

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def tiny_foreign(folder: Path) -> Path:
    """A type without a row."""
    config = transformers.RoFormerConfig(vocab_size=len(WORDS), pad_token_id=0, max_position_embeddings=40, **SIZES)
    randomise(transformers.RoFormerModel(config)).save_pretrained(folder)  # type: ignore[operator]
    bert_tokenizer(folder)
    return folder


def rewritten(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> Path:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def a_matrix(weights: dict[str, Tensor]) -> str:
    return next(name for name in sorted(weights) if name.endswith("layer.0.attention.self.query.weight"))


@pytest.mark.parametrize(
    ("made", "file", "name"),
    [
        (lambda folder: tiny_bert(folder), "model.safetensors", "pooler.dense.weight"),
        (lambda folder: tiny_bert(folder, head=True), "model.safetensors", "classifier.weight"),
        (tiny_clip, "model.safetensors", "text_projection.weight"),
        (lambda folder: sentence_transformer(folder, dense=8), "2_Dense/model.safetensors", "linear.bias"),
    ],
)
def test_numbers_that_are_none_behind_the_encoder_are_refused(
    made: Callable[[Path], Path], file: str, name: str, tmp_path: Path
) -> None:
    folder = made(tmp_path / "model")
    weights = load_file(folder / file)
    weights[name].view(-1)[0] = torch.nan
    save_file(weights, folder / file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="1 not finite"):
        ct.load(folder)


@pytest.mark.parametrize("made", [tiny_bert, tiny_foreign])
def test_numbers_that_are_none_are_refused(made: Callable[[Path], Path], tmp_path: Path) -> None:
    def broken(weights: dict[str, Tensor]) -> None:
        weights[a_matrix(weights)][0, 0] = torch.nan

    with pytest.raises(WeightsError, match="1 not finite"):
        ct.load(rewritten(made(tmp_path / "nan"), broken))

    def whole(weights: dict[str, Tensor]) -> None:
        weights[a_matrix(weights)] = weights[a_matrix(weights)].to(torch.int8)

    with pytest.raises(WeightsError, match="whole numbers, quantised"):
        ct.load(rewritten(made(tmp_path / "int8"), whole))


def test_scales_of_quantised_weights_are_called_so(tmp_path: Path) -> None:
    """It was asked whether the file is whole, which it is."""

    def scaled(weights: dict[str, Tensor]) -> None:
        weights[a_matrix(weights) + "_scale_inv"] = torch.ones(1)

    with pytest.raises(
        WeightsError, match=r"1 left over: .*scale_inv\. They are quantised: take the weights that were"
    ):
        ct.load(rewritten(tiny_bert(tmp_path / "fp8"), scaled))


def test_an_image_side_without_patches_is_refused_by_what_it_gives(tmp_path: Path) -> None:
    sides = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
    text = {**sides, "num_hidden_layers": 2, "vocab_size": len(WORDS), "max_position_embeddings": 16}
    config = transformers.GroupViTConfig(text_config=text, vision_config={**sides, "image_size": 32, "patch_size": 8})
    randomise(transformers.GroupViTModel(config)).save_pretrained(tmp_path)  # type: ignore[operator]
    bert_tokenizer(tmp_path, longest=16)
    image_processor(tmp_path)
    with pytest.raises(UnsupportedModel, match=r"gives no tokens of a grid of patches .* with transformers\."):
        ct.load(tmp_path)


def test_weights_are_looked_through_once_until_their_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(towers, "check_finite", lambda encoder, where: looked.append(where))
    folder = tiny_bert(tmp_path / "model")
    ct.load(folder)
    ct.load(folder)
    assert len(looked) == 1
    rewritten(folder, lambda weights: None)
    ct.load(folder)
    assert len(looked) == 2


@pytest.mark.parametrize("made", [tiny_bert, tiny_foreign])
def test_a_config_with_fewer_blocks_than_the_file_is_refused(made: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = made(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    with pytest.raises(WeightsError, match="left over"):
        ct.load(folder)


def test_a_head_of_ones_own_is_passed_over_as_the_reference_does(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "model")
    before = ct.load(folder).embed(SENTENCES)
    rewritten(folder, lambda weights: weights.update({"my_head.weight": torch.zeros(3, 32)}))
    assert np.array_equal(ct.load(folder).embed(SENTENCES), before)


def test_a_pointer_of_git_lfs_is_called_one(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "model")
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n")
    with pytest.raises(WeightsError, match="git lfs pull"):
        ct.load(folder)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["fnet", "gpt2"])
def test_company_moves_no_vector_of_a_model_that_mixes_padding_in(kind: str, side: str, tmp_path: Path) -> None:
    if kind == "fnet":
        sizes = {name: value for name, value in SIZES.items() if name != "num_attention_heads"}
        config = transformers.FNetConfig(vocab_size=len(WORDS), max_position_embeddings=32, **sizes)
        model: torch.nn.Module = transformers.FNetModel(config)
    else:
        model = transformers.GPT2Model(
            transformers.GPT2Config(vocab_size=len(WORDS), n_positions=32, n_embd=32, n_layer=2, n_head=4)
        )
    randomise(model).save_pretrained(tmp_path)  # type: ignore[operator]
    bert_tokenizer(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"padding_side": side}))
    embedder = ct.load(tmp_path)
    for pooling in ("mean", "last", "mean@0"):
        alone = np.concatenate([embedder.embed([text], pooling=pooling) for text in SENTENCES])
        assert np.allclose(embedder.embed(SENTENCES, pooling=pooling), alone, atol=1e-5)


@pytest.mark.parametrize("kind", ["multi_label_classification", "single_label_classification", "regression"])
def test_a_published_head_means_what_its_problem_type_says(kind: str, tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "model", head=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"problem_type": kind}))
    embedder = ct.load(folder)
    logits = torch.from_numpy(embedder.logits(SENTENCES)).double()
    if kind == "regression":
        with pytest.raises(ContractError, match="logits"):
            embedder.probabilities(SENTENCES)
        return
    wanted = logits.sigmoid() if kind.startswith("multi") else logits.softmax(-1)
    assert np.allclose(embedder.probabilities(SENTENCES), wanted.numpy(), atol=1e-6)
