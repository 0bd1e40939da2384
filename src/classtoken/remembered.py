"""Answers of slow questions about model folders, kept between runs."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from classtoken.errors import OutputError
from classtoken.files import write_text
from classtoken.fingerprint import hash_value
from classtoken.plain import to_json


def cache_folder() -> Path:
    """Where answers are kept: `CLASSTOKEN_CACHE`, else `classtoken` in the user's cache folder."""
    named = os.environ.get("CLASSTOKEN_CACHE")
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "classtoken"
    return Path(named) if named else usual


def remembered(question: str, ask: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """The answer of a question, asked once: a second time it comes from the cache folder, where that can be used."""
    path = cache_folder() / "settled" / f"{hash_value(question)}.json"
    try:
        plain: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8"))["answer"]
    except (OSError, ValueError, KeyError):
        plain = ask()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, to_json({"question": question, "answer": plain}))
        except (OSError, OutputError):  # a home that cannot be written to: asked again the next time
            pass
    return plain


#: Files of more bytes are told apart by their size, and by when they were written and put there: packages and images
#: of containers give all files one time.
SMALL = 100_000


def folder_fingerprint(folder: Path) -> str:
    """What the small files of a model folder say, and when its large ones were written."""
    found: list[list[Any]] = []
    patterns = ("*.json", "*/*.json", "*.txt", "*.model", "*/*.model", "*.safetensors", "*/*.safetensors")
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        stat, name = path.stat(), path.relative_to(folder).as_posix()
        if path.suffix == ".json" and stat.st_size <= SMALL:
            found.append([name, path.read_text(errors="replace")])
        else:
            found.append([name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns])
    return hash_value(found)
