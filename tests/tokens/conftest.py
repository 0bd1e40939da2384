"""Tiny tokenizers in folders of their own."""

import json
from pathlib import Path

import pytest
from tests.tokens.tiny import MAKERS


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny tokenizers, each saved by transformers."""
    made = {}
    for name, (maker, kind, _) in MAKERS.items():
        folder = tmp_path_factory.mktemp(name)
        maker().save_pretrained(folder)
        config = {"model_type": kind, "max_position_embeddings": 514, "pad_token_id": 1}
        if kind == "clip":
            config = {"model_type": kind, "text_config": {"eos_token_id": 2, "max_position_embeddings": 77}}
        (folder / "config.json").write_text(json.dumps(config))
        made[name] = folder
    return made
