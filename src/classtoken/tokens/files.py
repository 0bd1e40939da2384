"""The small JSON files of a model folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classtoken.errors import ModelError


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no such file. Raises `ModelError` for a broken one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable JSON file ({error}). Download it again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: holds a JSON {type(value).__name__}, but an object was expected.")
    return value


def read_modules(folder: Path) -> list[dict[str, Any]]:
    """modules.json of a sentence-transformers folder; empty where there is none. Raises `ModelError` if broken."""
    path = folder / "modules.json"
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable JSON file ({error}). Download it again.") from error
    if not isinstance(modules, list) or not all(isinstance(one, dict) and "path" in one for one in modules):
        raise ModelError(f"{path}: must be a list of modules, each with a path.")
    return modules


def first_module(folder: Path, files: Sequence[str]) -> Path:
    """The folder of the first module of a sentence-transformers folder if it has one of `files`, else the folder."""
    for module in read_modules(folder)[:1]:
        first = folder / module["path"]
        if any((first / name).is_file() for name in files):
            return first
    return folder
