"""The small JSON files of a model folder, and what sentence-transformers writes beside a model. No torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classtoken.errors import ModelError


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no such file. Raises `ModelError` for a broken one."""
    value = _parsed(path)
    if value is not None and not isinstance(value, dict):
        raise ModelError(f"{path} holds a {type(value).__name__}, but an object was expected. Copy the file again.")
    return value


#: Modules of sentence-transformers that are an encoder, with its tokenizer and processor.
ENCODERS = ("Transformer", "CLIPModel", "StaticEmbedding")


@dataclass(frozen=True)
class Module:
    """One line of sentence-transformers' modules.json, with the config of its own folder."""

    kind: str
    """the class, without its package: Transformer, Pooling, Dense, ..."""
    folder: Path
    name: str
    """the folder as it is written there"""
    config: Mapping[str, Any] = field(default_factory=dict)


def read_modules(folder: Path) -> tuple[Module, ...]:
    """The modules of a sentence-transformers folder in their order; empty where there is none.

    Raises `ModelError` for a broken file.
    """
    path = folder / "modules.json"
    listed = _parsed(path)
    if listed is None:
        return ()
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "path" in one for one in listed):
        raise ModelError(f"{path} must be a list of modules, each with a path. Copy the file again.")
    found = []
    for one in sorted(listed, key=lambda one: one.get("idx", 0)):
        name, kind = str(one["path"]), str(one.get("type", "")).rsplit(".", 1)[-1]
        # the first module may be the folder itself, whose config.json is the encoder's
        config = read_json(folder / name / "config.json") if name else None
        found.append(Module(kind, folder / name, name, config or {}))
    return tuple(found)


def first_module(folder: Path, files: Sequence[str]) -> Path:
    """The folder of the first module of a sentence-transformers folder if it has one of `files`, else the folder."""
    first = next((module.folder for module in read_modules(folder)), folder)
    return first if any((first / name).is_file() for name in files) else folder


def transformer_folder(folder: Path) -> Path:
    """Where config.json and the weights are: the folder itself, or the Transformer module of sentence-transformers."""
    return next((module.folder for module in read_modules(folder) if module.kind in ENCODERS), folder)


def read_encoder_settings(folder: Path) -> dict[str, Any]:
    """What sentence-transformers keeps beside its Transformer module: sentence_bert_config.json or an older name."""
    return next((read_json(path) or {} for path in sorted(folder.glob("sentence_*_config.json"))), {})


@dataclass(frozen=True)
class Prompts:
    """Prompts by name, the default one's name, and whether the tokens of a prompt are pooled."""

    texts: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    include: bool = True

    @property
    def text(self) -> str | None:
        """The default prompt itself."""
        return None if self.default is None else self.texts.get(self.default)


def read_prompts(folder: Path) -> Prompts:
    """What config_sentence_transformers.json and the Pooling module say of prompts."""
    settings = read_json(folder / "config_sentence_transformers.json") or {}
    texts = {str(name): text for name, text in (settings.get("prompts") or {}).items() if isinstance(text, str)}
    default = settings.get("default_prompt_name")
    poolings = [module.config for module in read_modules(folder) if module.kind == "Pooling"]
    include = all(bool(config.get("include_prompt", True)) for config in poolings)
    return Prompts(texts, default if default in texts else None, include)


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is no readable JSON file ({error}). Copy the file again.") from error
