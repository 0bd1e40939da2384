"""The small JSON files of a model folder, and what sentence-transformers writes beside a model. No torch."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classtoken.errors import ModelError

TRAINING = "training.json"
"""what a training leaves in the folder of its model: its result and its recipe"""
OF_ITS_VECTORS = (
    *("modules.json", "config_sentence_transformers.json", "classtoken.json", "classtoken.safetensors"),
    *(TRAINING, "result.json"),
)
"""files that say what a folder's own vectors and answers are, and how it came about: nothing of another model's"""
SMALL = (".json", ".txt", ".model", ".spm", ".vocab", ".codes", ".tiktoken")
"""how the files of a model end that are no weights: settings, and what tokenizers of every kind are read from"""
LEARNED = "_meta/learned.npy"
"""by which it is known what a model has learned from"""
WRITING = "_meta/writing"
"""there while a training writes the files of its model: some of them may be of another one"""

WORK, BEGUN = "_meta/work.json", "_meta/begun"
"""what work a folder is of that a training writes to; there before that is known"""
BEFORE = "_meta/before"
"""the model that was in the folder, whole, until the one that replaces it is"""


class Watched(dict[str, Any]):
    """A JSON object that remembers which of its keys were asked for by name, so that no list of them is kept by hand.

    What nobody asked for was written by the authors and passed over here (`passed_over`). Iterating asks for nothing,
    `items` and `values` for everything; `changed` copies and shares the memory, other copies are plain.
    """

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), asked: set[str] | None = None):
        super().__init__(values)
        self.asked: set[str] = set() if asked is None else asked

    def __getitem__(self, key: str) -> Any:
        self._ask(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._ask(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._ask(key)
        return super().get(key, default)

    def _ask(self, key: str) -> None:
        self.asked.add(key)
        opened = _OPENED.get()
        if opened is not None:
            opened.last = key

    def items(self) -> Any:
        self.asked.update(self)
        return super().items()

    def values(self) -> Any:
        self.asked.update(self)
        return super().values()


def changed(config: Mapping[str, Any], values: Mapping[str, Any], *, under: bool = False) -> Watched:
    """A copy with other values (`under`: only where the config is silent or null); a watched one goes on watching."""
    plain = dict(config)  # iterating asks for nothing
    mine = {key: value for key, value in plain.items() if value is not None or not under}
    joined = {**values, **mine} if under else {**mine, **values}
    return Watched(joined, config.asked if isinstance(config, Watched) else None)


def whole(value: Any, *, but: Sequence[str] = ()) -> Any:
    """The value, every key inside it asked for: for a reader that takes a file as a whole. `but` are left out."""
    if isinstance(value, Watched):
        value.asked.update(key for key in value if key not in but)
    for inner in dict.values(value) if isinstance(value, dict) else value if isinstance(value, list) else ():
        whole(inner)
    return value


def passed_over(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key inside a parsed file that nobody asked for and that says something: its path and its value."""
    if isinstance(value, list):
        for one in value:
            yield from passed_over(one, prefix)
    if not isinstance(value, Watched):
        return
    for key, inner in dict.items(value):
        if key in value.asked:
            yield from passed_over(inner, f"{prefix}{key}.")
        elif inner not in (None, "", [], {}):
            yield prefix + key, inner


class Opened(dict[Path, Any]):
    """Files that were parsed: path -> value; and the key that was asked for last, where a reader may have stumbled."""

    last: str = ""


_OPENED: ContextVar[Opened | None] = ContextVar("classtoken_opened", default=None)


@contextmanager
def watching() -> Iterator[Opened]:
    """While it lasts every JSON file is parsed once, and what was parsed is given here."""
    opened = Opened()
    token = _OPENED.set(opened)
    try:
        yield opened
    finally:
        _OPENED.reset(token)


#: How a file begins that stands for another one which Git LFS keeps.
POINTER = b"version https://git-lfs"


def is_pointer(path: Path) -> bool:
    """Whether a file holds but the name of its content, which Git LFS was to download."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


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
    written: str = ""
    """the class as it is written there"""


def columns_learned_from(model: object) -> dict[str, str]:
    """Which columns a model was trained on, by the part of a record that they held (`text` -> `Customer message`); of
    pairs `text` and `partner`, and `score` where they had one. Nothing for a model that is no folder here, or that says
    nothing of it."""
    folder = getattr(model, "folder", model)
    path = Path(folder).expanduser() / TRAINING if isinstance(folder, str | Path) else None
    if path is None:
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        told, data = record["result"]["called"], record.get("recipe", {}).get("data", {})
        if texts := data.get("text_columns"):
            told = {**told, "text": texts[0], "partner": texts[1]}
        if score := data.get("score_column"):
            told = {**told, "score": score}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return told if all(isinstance(name, str) for name in told.values()) else {}


def read_modules(folder: Path) -> tuple[Module, ...]:
    """The modules of a sentence-transformers folder in their order; empty where there is none.

    Raises `ModelError` for a broken file.
    """
    path = folder / "modules.json"
    listed = _parsed(path)
    if listed is None:
        return ()
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) and "path" in one for one in listed):
        raise ModelError(f"{path} must be a list of modules, each with a path. Copy the file again.")
    found = []
    for one in listed:  # `idx` counts for nothing in sentence-transformers
        name, kind = str(one["path"]), _kind_of(one)
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelError(f"{path} names the module '{name}', which does not lie in the folder. Copy it there.")
        # the first module may be the folder itself, whose config.json is the encoder's
        config = read_json(folder / name / "config.json") if name else None
        found.append(Module(kind, folder / name, name, config or {}, str(dict(one).get("type") or "")))
    return tuple(found)


#: Where sentence-transformers' own modules lie; a class of another place is code of the authors' own.
STOCK = "sentence_transformers."


def _kind_of(listed: dict[str, Any]) -> str:
    """The class that a line of modules.json names, asked for only where it is sentence-transformers' own: another one
    may do something else under the same name, and is passed over (`Watched`)."""
    named = str(dict(listed).get("type") or "")
    if named.startswith(STOCK) or "." not in named:
        listed.get("type")
    return named.rsplit(".", 1)[-1]


def first_module(folder: Path, files: Sequence[str]) -> Path:
    """The folder of the first module of a sentence-transformers folder if it has one of `files`, else the folder."""
    first = next((module.folder for module in read_modules(folder)), folder)
    return first if any((first / name).is_file() for name in files) else folder


def transformer_folder(folder: Path) -> Path:
    """Where config.json and the weights are: the folder itself, or the Transformer module of sentence-transformers."""
    return next((module.folder for module in read_modules(folder) if module.kind in ENCODERS), folder)


#: What sentence-transformers called that file, in the order in which it looks.
ENCODER_SETTINGS = (
    *("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json"),
    *("sentence_camembert_config.json", "sentence_albert_config.json", "sentence_xlm-roberta_config.json"),
    "sentence_xlnet_config.json",
)


def read_encoder_settings(folder: Path) -> dict[str, Any]:
    """What sentence-transformers keeps beside its Transformer module: sentence_bert_config.json or an older name, the
    first that says something."""
    return next((found for name in ENCODER_SETTINGS if (found := read_json(folder / name))), {})


#: Prompts that sentence-transformers takes for empty where a folder has none of that name.
USUAL_PROMPTS = ("query", "document")


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
    """What config_sentence_transformers.json and the Pooling module say of prompts; of several the last one counts.

    Raises `ModelError` for a default prompt that is not among the prompts.
    """
    settings = read_json(folder / "config_sentence_transformers.json") or {}
    texts = {str(name): text for name, text in (settings.get("prompts") or {}).items() if isinstance(text, str)}
    default = settings.get("default_prompt_name")
    poolings = [module.config for module in read_modules(folder) if module.kind == "Pooling"]
    include = bool(poolings[-1].get("include_prompt", True)) if poolings else True
    if default is not None and default not in ({*texts, *USUAL_PROMPTS}):
        raise ModelError(
            f"{folder}/config_sentence_transformers.json takes the prompt {default!r} where none is named "
            f"(default_prompt_name), and its prompts are {', '.join(texts) or 'none'}. Write the prompt into prompts."
        )
    return Prompts(texts, default if default in texts else None, include)


def _parsed(path: Path) -> Any:
    opened = _OPENED.get()
    if opened is not None and path in opened:
        return opened[path]
    if path.exists() and not path.is_file():  # a pipe would be waited for without an end
        raise ModelError(f"{path} is no file, but a folder, a pipe or a device. Copy the file itself there.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_hook=Watched, parse_constant=_constant)
        if opened is not None:
            opened[path] = value
        return value
    except FileNotFoundError:
        if opened is not None:
            opened[path] = None
        return None
    except (OSError, ValueError, RecursionError) as error:
        if is_pointer(path):
            raise ModelError(
                f"{path} is a Git LFS pointer: it was not downloaded. Run 'git lfs pull' there."
            ) from error
        raise ModelError(f"{path} is no readable JSON file ({error}). Copy the file again.") from error


def _constant(name: str) -> float:
    """JSON as Python writes it has Infinity, which says that something has no limit; NaN says nothing."""
    if name == "NaN":
        raise ValueError("it holds NaN, which is no number")
    return float(name)
