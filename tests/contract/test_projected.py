"""One side of an image-text model by itself: the vector of both sides' space where the file holds its projection."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests import folders
from tests.folders import SENTENCES, pictures

import classtoken as ct
from classtoken.results.inspect import Verdict

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
TEXT = {**SIZES, "vocab_size": len(folders.WORDS), "max_position_embeddings": 16, "eos_token_id": 3}
IMAGE = {**SIZES, "image_size": 32, "patch_size": 8}
SIDES: dict[str, tuple[Any, Any]] = {
    "clip text": (transformers.CLIPTextModelWithProjection, transformers.CLIPTextConfig(**TEXT, projection_dim=24)),
    "clip vision": (
        transformers.CLIPVisionModelWithProjection,
        transformers.CLIPVisionConfig(**IMAGE, projection_dim=24),
    ),
    "metaclip 2 text": (
        transformers.MetaClip2TextModelWithProjection,
        transformers.MetaClip2TextConfig(**TEXT, projection_dim=24),
    ),
}


def save(side: str, folder: Path) -> torch.nn.Module:
    made, config = SIDES[side]
    model: Any = folders.randomise(made(config))
    model.save_pretrained(folder)
    if "text" in side:
        folders.bert_tokenizer(folder)
    else:
        folders.image_processor(folder)
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
def test_the_projection_is_part_of_the_contract(side: str, tmp_path: Path) -> None:
    model = save(side, tmp_path)
    embedder = ct.load(tmp_path)
    items = SENTENCES if "text" in side else pictures(3)
    wanted = []
    for item in items:
        tokens = embedder.tokens([item])
        with torch.no_grad():
            if tokens.ids_BL is None:
                vector = model(pixel_values=tokens.pixels).image_embeds
            else:
                vector = model(input_ids=tokens.ids_BL, attention_mask=tokens.mask_BL.long()).text_embeds
        wanted.append(torch.nn.functional.normalize(vector[0], dim=-1).numpy())
    found = embedder.embed(items)
    assert found.shape == (len(items), 24)
    assert np.abs(found - np.stack(wanted)).max() <= 1e-5
    claim = next(claim for claim in ct.inspect(tmp_path).claims if claim.subject == "pooling")
    assert claim.verdict == Verdict.DECLARED
    assert "WithProjection: a projection that is in the file reads it" in claim.evidence[0].says


@pytest.mark.parametrize("side", SIDES)
def test_a_pooling_that_is_named_has_nothing_after_it(side: str, tmp_path: Path) -> None:
    save(side, tmp_path)
    items = SENTENCES if "text" in side else pictures(3)
    assert ct.load(tmp_path).embed(items, pooling="mean").shape == (len(items), 32)


def test_without_the_projection_there_is_none(tmp_path: Path) -> None:
    folders.randomise(transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT))).save_pretrained(tmp_path)  # type: ignore[operator]
    folders.bert_tokenizer(tmp_path)
    assert ct.load(tmp_path).embed(SENTENCES).shape == (len(SENTENCES), 32)
    assert "this file lacks the projection" in ct.load(tmp_path).contract.reason
