"""The small files of a model folder are read in one place, in the order that sentence-transformers means."""

import json
from pathlib import Path

import pytest

from classtoken.errors import ModelError
from classtoken.model_folder import Prompts, first_module, read_json, read_modules, read_prompts, transformer_folder


def modules(folder: Path) -> Path:
    (folder / "0_Transformer").mkdir()
    (folder / "1_Pooling").mkdir()
    listed = [
        {"idx": 1, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
        {"idx": 0, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"include_prompt": False}))
    return folder


def test_modules_come_as_they_are_listed_whatever_their_numbers_with_their_configs(tmp_path: Path) -> None:
    first, second = read_modules(modules(tmp_path))
    assert (first.kind, first.folder, dict(first.config)) == ("Transformer", tmp_path / "0_Transformer", {})
    assert (second.kind, second.name, dict(second.config)) == ("Pooling", "1_Pooling", {"include_prompt": False})
    assert transformer_folder(tmp_path) == tmp_path / "0_Transformer"


def test_the_first_module_counts_where_it_holds_the_files(tmp_path: Path) -> None:
    folder = modules(tmp_path)
    assert first_module(folder, ("tokenizer.json",)) == folder
    (folder / "0_Transformer" / "tokenizer.json").write_text("{}")
    assert first_module(folder, ("tokenizer.json",)) == folder / "0_Transformer"


def test_prompts_and_whether_they_are_pooled(tmp_path: Path) -> None:
    assert read_prompts(tmp_path) == Prompts()
    settings = {"prompts": {"query": "query: ", "odd": 3}, "default_prompt_name": "query"}
    (modules(tmp_path) / "config_sentence_transformers.json").write_text(json.dumps(settings))
    prompts = read_prompts(tmp_path)
    assert prompts == Prompts({"query": "query: "}, "query", include=False)
    assert prompts.text == "query: "
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"default_prompt_name": "gone"}))
    with pytest.raises(ModelError, match="takes the prompt 'gone'"):
        read_prompts(tmp_path)


@pytest.mark.parametrize(("name", "text"), [("modules.json", "{}"), ("modules.json", '[{"idx": 0}]'), ("a.json", "[]")])
def test_a_broken_file_is_named(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ModelError, match=f"{name}.*Copy the file again"):
        read_modules(tmp_path) if name == "modules.json" else read_json(tmp_path / name)
