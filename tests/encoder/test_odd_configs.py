"""Configs that are valid and rare: the states of each text are those of transformers, or the config is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests import folders
from tests.folders import SENTENCES, WORDS

import classtoken as ct
from classtoken.errors import UnsupportedModel

TEXTS = [*SENTENCES, " ".join(WORDS[5:])]
SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "pad_token_id": 0,
}
DECODER = {**SMALL, "head_dim": 8, "num_key_value_heads": 2, "rope_parameters": {"rope_theta": 50.0}}
WINDOWS = {"sliding_window": 3, "use_sliding_window": True, "max_window_layers": 1}
HALVES = {**SMALL, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3, "local_attention": 4}
DEFAULT = {"rope_scaling": {"rope_type": "default"}}


def written(folder: Path, name: str, settings: dict[str, Any], **changes: Any) -> Path:
    """A folder of transformers whose config.json was changed by hand."""
    config = getattr(transformers, f"{name}Config")(**settings)
    folders.randomise(getattr(transformers, f"{name}Model")(config)).save_pretrained(folder)  # type: ignore[operator]
    folders.bert_tokenizer(folder)
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return folder


@torch.no_grad()
def furthest(folder: Path) -> float:
    """The largest distance of a state from transformers', each text alone, relative to the largest state."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    embedder = ct.load(folder, pooling="mean", accept="tokenizer_class")
    tokens, states = embedder.tokens(TEXTS), embedder.states(TEXTS)
    assert tokens.ids_BL is not None
    worst = 0.0
    for ids, mask, last in zip(tokens.ids_BL, tokens.mask_BL, states.last_BLD, strict=True):
        wanted = model(input_ids=ids[mask][None], attention_mask=mask[mask][None].long()).last_hidden_state[0]
        worst = max(worst, float((last[mask] - wanted).abs().max() / wanted.abs().max()))
    return worst


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "changes"),
    [
        # a window that looks both ways does not count the token itself
        ("Mistral", {**DECODER, "sliding_window": 3}, {"is_causal": False}),
        ("Mistral", {**DECODER, "sliding_window": 1}, {"is_causal": False}),
        ("Qwen2", {**DECODER, **WINDOWS}, {"is_causal": False}),
        ("Qwen3", {**DECODER, **WINDOWS}, {"is_causal": False}),
        ("Qwen3", {**DECODER, **WINDOWS}, {"is_causal": True}),
        # the older name in the place of the newer
        ("Llama", DECODER, DEFAULT),
        ("Llama", DECODER, {**DEFAULT, "rope_theta": 300.0}),
        ("Llama", DECODER, {"rope_scaling": {"rope_type": "default", "rope_theta": 7.0}}),
        ("Llama", DECODER, {"rope_scaling": {"type": "linear", "factor": 4.0}}),
        ("Qwen3", DECODER, DEFAULT),
        (
            "Qwen3",
            DECODER,
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8}},
        ),
        ("Gte", {**SMALL, "rope_parameters": {"rope_theta": 50.0}}, DEFAULT),
        ("NomicBert", {**SMALL, "rope_parameters": {"rope_theta": 50.0}}, DEFAULT),
        ("ModernBert", HALVES, DEFAULT),
        ("ModernBert", HALVES, {"rope_scaling": {"rope_theta": 50.0}}),
        # classes that read it and classes that do not
        ("Bert", SMALL, {"is_decoder": True}),
        ("Albert", {**SMALL, "embedding_size": 16}, {"is_decoder": True}),
        ("DistilBert", {"vocab_size": len(WORDS), "dim": 32, "n_heads": 4, "hidden_dim": 24}, {"is_decoder": True}),
        ("MPNet", {**SMALL, "pad_token_id": 1}, {"is_decoder": True}),
        ("EuroBert", DECODER, {"is_causal": None}),
    ],
)
def test_states_are_those_of_transformers(
    name: str, settings: dict[str, Any], changes: dict[str, Any], tmp_path: Path
) -> None:
    assert furthest(written(tmp_path, name, settings, **changes)) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "is_causal"), [("EuroBert", True), ("Llama", None), ("Mistral", None), ("Qwen3", None)]
)
def test_a_mask_that_depends_on_the_texts_beside_is_refused(name: str, is_causal: bool | None, tmp_path: Path) -> None:
    folder = written(tmp_path, name, DECODER, is_causal=is_causal)
    with pytest.raises(UnsupportedModel, match=r"is_causal .* texts of some batches and not of others: write"):
        ct.load(folder, pooling="mean")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = torch.tensor([[2, 5, 6, 7, 3], [2, 5, 3, 0, 0]])
    alone = model(input_ids=ids[:1], attention_mask=torch.ones(1, 5).long()).last_hidden_state
    beside = model(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state[:1]
    assert name == "Mistral" or float((alone - beside).abs().max()) > 1e-2
