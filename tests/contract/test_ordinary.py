"""Ordinary folders open without a word: nothing in them is called not understood, and vectors are the reference's."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from tests.contract.ordinary import ORDINARY, Ordinary
from tests.folders import SENTENCES, pictures

import classtoken as ct
from classtoken.errors import ContractError

PARAMETERS = [pytest.param(one, id=one.name) for one in ORDINARY]


@torch.no_grad()
def numbers_there(folder: Path, item: Any) -> np.ndarray:
    """transformers' states of one input, prepared by its own classes; the unit vector where two sides meet."""
    model: Any = hf.AutoModel.from_pretrained(folder).eval()
    if isinstance(item, str):
        given = hf.AutoTokenizer.from_pretrained(folder)(item, return_tensors="pt", truncation=True)
        given.pop("token_type_ids", None)
    else:
        given = hf.AutoImageProcessor.from_pretrained(folder)(item, return_tensors="pt")
    if hasattr(model, "get_image_features"):
        found = (model.get_text_features if isinstance(item, str) else model.get_image_features)(**given)
        found = getattr(found, "pooler_output", found)
        return np.asarray(torch.nn.functional.normalize(found, dim=-1))
    side = model.encoder if hasattr(model, "decoder") else model
    return np.asarray(side(**given).last_hidden_state[0])


def said(caplog: pytest.LogCaptureFixture, folder: Path) -> list[str]:
    """What the first load calls not understood, by its log and by its claims."""
    claims = [claim.value for claim in ct.inspect(folder, verify=False).claims if claim.subject == "not understood"]
    return claims + [record.getMessage() for record in caplog.records if "not understood" in record.getMessage()]


@pytest.mark.parametrize("one", PARAMETERS)
def test_nothing_is_called_not_understood_and_states_are_the_references(
    one: Ordinary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = one.save(tmp_path)
    with caplog.at_level(logging.INFO, "classtoken"):
        embedder = ct.load(folder, pooling=one.pooling)
    assert said(caplog, folder) == []
    for modality in embedder.towers:
        item = SENTENCES[2] if modality == "text" else pictures(1)[0]
        vector = embedder.embed([item], modality=modality)
        assert np.isfinite(vector).all()
        if one.name == "siglip" and modality == "text":
            continue  # always padded, by whoever calls: compared in tests/tokens
        theirs = numbers_there(folder, item)
        states = np.asarray(embedder.states([item], modality=modality).last_BLD)[0]
        ours = vector if one.name in ("clip", "siglip") else states
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-5 * max(1.0, np.abs(theirs).max())


@pytest.mark.parametrize("name", ["qwen3", "t5", "llama"])
def test_a_class_token_that_no_text_has_is_refused_when_the_model_is_opened(name: str, tmp_path: Path) -> None:
    (one,) = (each for each in ORDINARY if each.name == name)
    folder = one.save(tmp_path)
    with pytest.raises(ContractError, match="'cls' needs a class token, and this model has none"):
        ct.load(folder, pooling="cls")
    embedder = ct.load(folder, pooling="mean")
    with pytest.raises(ContractError, match="'cls' needs a class token"):
        embedder.embed(SENTENCES, pooling="cls")
