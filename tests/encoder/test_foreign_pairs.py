"""Models of two sides without a row: the vector in which both meet, as transformers gives it; what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tests.folders import SENTENCES, WORDS, bert_tokenizer, image_processor, pictures, randomise, tiny_bert
from torch import nn

import classtoken as ct
from classtoken.contract import company
from classtoken.encoder.foreign.model import Foreign
from classtoken.errors import ContractError, UnsupportedModel, WeightsError
from classtoken.tensors import Tokens

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
IMAGE = {**SIZES, "image_size": 32, "patch_size": 8}


def clipseg(folder: Path) -> nn.Module:
    """A CLIP by another name."""
    text = {**SIZES, "vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 3}
    config = hf.CLIPSegConfig(text_config=text, vision_config=IMAGE, projection_dim=24)
    model = randomise(hf.CLIPSegModel(config))
    model.save_pretrained(folder)  # type: ignore[operator]
    bert_tokenizer(folder)
    image_processor(folder)
    return model


@torch.no_grad()
def test_both_sides_of_a_pair_without_a_row(tmp_path: Path) -> None:
    model: Any = clipseg(tmp_path)
    embedder = ct.load(tmp_path)
    assert sorted(embedder.towers) == ["image", "text"]
    images = pictures()
    pixels = embedder.towers["image"].tokens(images).pixels
    wanted = model.get_image_features(pixel_values=pixels).pooler_output
    found = embedder.embed(images, modality="image")
    assert np.allclose(found, nn.functional.normalize(wanted, dim=-1), atol=1e-5)
    ids = embedder.towers["text"].tokens(SENTENCES[:1]).ids_BL
    assert ids is not None
    wanted = nn.functional.normalize(model.get_text_features(input_ids=ids).pooler_output, dim=-1)
    assert np.allclose(embedder.embed(SENTENCES, modality="text")[:1], wanted, atol=1e-5)
    assert embedder.contract.unit_length
    assert len(set(ct.load(tmp_path).fingerprint(modality="text").spaces.values())) == 1


def test_a_projection_that_is_missing_is_refused(tmp_path: Path) -> None:
    clipseg(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"the text side's vector are missing \(text_projection.weight\)"):
        ct.load(tmp_path)


def test_the_part_that_a_refusal_names_is_an_encoder(tmp_path: Path) -> None:
    text = {**SIZES, "vocab_size": len(WORDS), "num_key_value_heads": 2}
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(**IMAGE), text_config=hf.LlamaConfig(**text), image_token_index=3
    )
    model: Any = randomise(hf.LlavaModel(config))
    model.save_pretrained(tmp_path / "whole")
    with pytest.raises(UnsupportedModel) as caught:
        ct.load(tmp_path / "whole")
    said = str(caught.value)
    assert "is put together of several (vision, text)" in said
    assert f"AutoModel.from_pretrained('{tmp_path / 'whole'}').vision_tower.save_pretrained('NEW')" in said
    assert ".language_model is its text encoder" in said
    model.vision_tower.save_pretrained(tmp_path / "part")
    assert ct.load(tmp_path / "part").embed(pictures()).shape == (3, 32)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda: hf.ASTModel(hf.ASTConfig(**SIZES, max_length=64)), r"reads sound \(input_values\)"),
        (lambda: hf.VideoMAEModel(hf.VideoMAEConfig(**IMAGE, num_frames=2)), "no states of one image alone"),
        (lambda: hf.BrosModel(hf.BrosConfig(vocab_size=60, **SIZES)), "You have to specify bbox"),
    ],
)
def test_what_is_no_encoder_of_one_text_or_image_is_called_by_its_name(model: Any, says: str, tmp_path: Path) -> None:
    model().save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModel, match=says) as caught:
        ct.load(tmp_path)
    assert "compute its vectors with transformers" in str(caught.value)


def esm(folder: Path) -> Path:
    sizes = {"vocab_size": len(WORDS), "pad_token_id": 0, "max_position_embeddings": 40}
    randomise(hf.EsmModel(hf.EsmConfig(**SIZES, **sizes))).save_pretrained(folder)  # type: ignore[operator]
    bert_tokenizer(folder)
    return folder


class Mixing:
    """A model whose rows move with their mates."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, share: float, by_run: float = 0.0):
        original, self.runs = Foreign._run, 0

        def run(foreign: Foreign, tokens: Tokens, trace: Any) -> Any:
            out, self.runs = original(foreign, tokens, trace), self.runs + 1
            mean = out.last_hidden_state.mean(0, keepdim=True)
            out.last_hidden_state = out.last_hidden_state + share * mean * (len(tokens) > 1) + by_run * self.runs
            return out

        monkeypatch.setattr(Foreign, "_run", run)


def test_where_mates_move_a_vector_inputs_are_computed_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = ct.load(esm(tmp_path / "plain")).embed(SENTENCES)
    folder = esm(tmp_path / "model")
    Mixing(monkeypatch, share=0.5)
    embedder = ct.load(folder)
    assert embedder.towers["text"].reading.encoder.alone  # type: ignore[attr-defined]
    assert np.allclose(embedder.embed(SENTENCES), wanted, atol=1e-5)
    assert "checking once" in caplog.text
    assert "company: inputs are computed one at a time" in ct.inspect(folder, verify=False).table(evidence=True)
    caplog.clear()
    ct.load(folder)
    assert not caplog.records


def test_a_vector_that_moves_from_run_to_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Mixing(monkeypatch, share=0.0, by_run=0.1)
    with pytest.raises(ContractError, match=r"moves by .* from run to run"):
        ct.load(esm(tmp_path))


def test_random_texts_are_of_several_lengths(tmp_path: Path) -> None:
    encoder: Any = ct.load(esm(tmp_path)).towers["text"].reading.encoder
    assert [one.roles_BL.shape[1] for one in company.inputs_of(encoder)] == list(company.LENGTHS)


def test_a_native_model_is_not_tried(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ct.load(tiny_bert(tmp_path))
    assert not caplog.records
