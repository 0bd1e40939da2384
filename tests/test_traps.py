"""The known traps, each with a clear outcome: the vector that the authors meant, or a refusal."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tests import folders
from tests.embedder.test_embedder import unit

import classtoken as ct
from classtoken.errors import ContractError
from classtoken.values import Role

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
IMAGE = {**SIZES, "image_size": 32, "patch_size": 8}


def saved(folder: Path, model: torch.nn.Module) -> Path:
    folders.randomise(model).save_pretrained(folder)
    folders.image_processor(folder)
    return folder


def pixels(embedder: ct.Embedder, pictures: list) -> torch.Tensor:
    return embedder.tokens(pictures, modality="image").pixels


def test_registers_are_left_out_of_the_mean(tmp_path: Path) -> None:
    config = transformers.Dinov2WithRegistersConfig(
        image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_register_tokens=3
    )
    embedder = ct.load(saved(tmp_path / "m", transformers.Dinov2WithRegistersModel(config)))
    assert str(embedder.layout) == "1 class + 3 register + 4x4 patch = 20"
    pictures = folders.pictures()
    with torch.no_grad():
        model = transformers.Dinov2WithRegistersModel.from_pretrained(tmp_path / "m").eval()
        states = model(pixel_values=pixels(embedder, pictures)).last_hidden_state
    np.testing.assert_allclose(embedder.embed(pictures, pooling="mean"), states[:, 4:].mean(1), atol=1e-5)
    naive = states[:, 1:].mean(1).numpy()  # what is often written: registers are in it
    assert np.abs(embedder.embed(pictures, pooling="mean") - naive).max() > 1e-2


def test_deit_has_two_prefix_tokens_and_two_classifiers(tmp_path: Path) -> None:
    model = transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(**IMAGE, num_labels=3))
    embedder = ct.load(saved(tmp_path / "m", model))
    assert str(embedder.layout) == "1 class + 1 distillation + 4x4 patch = 18"
    pictures = folders.pictures()
    with torch.no_grad():
        theirs = model(pixel_values=pixels(embedder, pictures), output_hidden_states=True)
        states = model.deit(pixel_values=pixels(embedder, pictures)).last_hidden_state
    np.testing.assert_allclose(embedder.logits(pictures), theirs.logits, atol=1e-5)
    found = embedder.embed(pictures, pooling="cls,dist,cls_dist,mean")
    np.testing.assert_allclose(found["dist"], states[:, 1], atol=1e-5)
    np.testing.assert_allclose(found["cls_dist"], (states[:, 0] + states[:, 1]) / 2, atol=1e-5)
    np.testing.assert_allclose(found["mean"], states[:, 2:].mean(1), atol=1e-5)


def test_masked_autoencoders_are_not_masked_here(tmp_path: Path) -> None:
    model = transformers.ViTMAEModel(transformers.ViTMAEConfig(**IMAGE))
    embedder = ct.load(saved(tmp_path / "m", model))
    pictures = folders.pictures()
    first = embedder.embed(pictures)
    np.testing.assert_array_equal(first, embedder.embed(pictures))
    model.config.mask_ratio = 0.75
    with torch.no_grad():
        one, two = (model.eval()(pixel_values=pixels(embedder, pictures)).last_hidden_state[:, 0] for _ in range(2))
    assert (one - two).abs().max() > 1e-3  # the reference gives another vector at every call, even in eval()
    assert embedder.states(pictures).last_BLD.shape[1] == 17
    assert any("mask" in line for line in ct.inspect(tmp_path / "m", verify=False).advice)


def clip(folder: Path, *, eos: int) -> transformers.CLIPModel:
    words = len(folders.WORDS)
    text = {**SIZES, "vocab_size": words, "max_position_embeddings": 16, "eos_token_id": eos, "bos_token_id": 2}
    config = transformers.CLIPConfig(text_config=text, vision_config=IMAGE, projection_dim=24)
    model = transformers.CLIPModel(config)
    saved(folder, model)
    folders.bert_tokenizer(folder)
    return model


@pytest.mark.parametrize("eos", [2, 3])
def test_clip_pools_after_its_own_norm_projects_and_finds_its_end(tmp_path: Path, eos: int) -> None:
    """eos_token_id 2 is the legacy rule: the pooled text token is the one with the highest id."""
    model = clip(tmp_path / "m", eos=eos)
    embedder = ct.load(tmp_path / "m")
    pictures, texts = folders.pictures(), folders.SENTENCES
    tokens = embedder.tokens(texts, modality="text")
    with torch.no_grad():
        images = model.get_image_features(pixel_values=pixels(embedder, pictures)).pooler_output
        words = model.get_text_features(input_ids=tokens.ids_BL, attention_mask=tokens.mask_BL.long()).pooler_output
    np.testing.assert_allclose(embedder.embed(pictures, modality="image"), unit(images.numpy()), atol=1e-5)
    np.testing.assert_allclose(embedder.embed(texts, modality="text"), unit(words.numpy()), atol=1e-5)
    with torch.no_grad():
        raw = model.vision_model(pixel_values=pixels(embedder, pictures))
    named = embedder.embed(pictures, modality="image", pooling="cls")
    np.testing.assert_allclose(named, raw.pooler_output, atol=1e-5)
    assert np.abs(named - raw.last_hidden_state[:, 0].numpy()).max() > 0.05  # that one is not normed
    with pytest.raises(ct.errors.OptionError, match='modality="text" or modality="image"'):
        embedder.embed(texts)


def test_siglip_pools_with_a_probe_and_its_text_side_is_padded_to_its_length(tmp_path: Path) -> None:
    words = len(folders.WORDS)
    text = {**SIZES, "vocab_size": words, "max_position_embeddings": 64, "pad_token_id": 0, "projection_size": 32}
    model = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=IMAGE))
    saved(tmp_path / "m", model)
    folders.bert_tokenizer(tmp_path / "m", longest=64)
    embedder = ct.load(tmp_path / "m")
    pictures, texts = folders.pictures(), folders.SENTENCES
    tokens = embedder.tokens(texts, modality="text")
    assert tokens.ids_BL.shape == (4, 64)
    assert not bool((tokens.roles_BL == Role.PAD).any())
    with torch.no_grad():
        images = model.get_image_features(pixel_values=pixels(embedder, pictures)).pooler_output
        theirs = model.get_text_features(input_ids=tokens.ids_BL).pooler_output
    np.testing.assert_allclose(embedder.embed(pictures, modality="image"), unit(images.numpy()), atol=1e-5)
    np.testing.assert_allclose(embedder.embed(texts, modality="text"), unit(theirs.numpy()), atol=1e-5)
    with pytest.raises(ContractError, match="needs a class token, and this model has none"):
        embedder.embed(pictures, modality="image", pooling="cls")


def test_beit_reads_the_mean_of_its_patches_and_norms_it_afterwards(tmp_path: Path) -> None:
    config = transformers.BeitConfig(**IMAGE, use_mean_pooling=True, use_relative_position_bias=True)
    model = transformers.BeitModel(config)
    embedder = ct.load(saved(tmp_path / "m", model))
    pictures = folders.pictures()
    with torch.no_grad():
        theirs = model(pixel_values=pixels(embedder, pictures)).pooler_output
    np.testing.assert_allclose(embedder.embed(pictures), theirs, atol=1e-5)


def test_a_causal_text_encoder_reads_its_last_token_on_either_side_of_padding(tmp_path: Path) -> None:
    config = transformers.Qwen3Config(
        **SIZES, vocab_size=len(folders.WORDS), num_key_value_heads=2, head_dim=8, max_position_embeddings=32
    )
    model = transformers.Qwen3Model(config)
    folders.randomise(model).save_pretrained(tmp_path / "m")
    folders.bert_tokenizer(tmp_path / "m")
    embedder = ct.load(tmp_path / "m")
    assert embedder.contract.pooling == "last"
    prepare = embedder.tower().prepare
    rows = prepare.encode(folders.SENTENCES)
    right, left = (embedder.vectors_of(prepare.collate(rows, side=side))["last"] for side in ("right", "left"))
    np.testing.assert_allclose(right, left, atol=2e-6)
    found = ct.inspect(tmp_path / "m")
    assert any(claim.subject == "attention" and claim.value.startswith("causal") for claim in found.claims)


def test_what_the_name_pooler_output_means_differs(tmp_path: Path) -> None:
    """In DINOv2 it is the class token itself; inspect finds the formula by trying."""
    config = transformers.Dinov2Config(
        image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=4
    )
    found = ct.inspect(saved(tmp_path / "m", transformers.Dinov2Model(config)))
    formula = next(claim.value for claim in found.claims if claim.subject == "pooler_output")
    assert formula == "the class token after the final norm"
