"""Where a model's files are: a local folder, a model that ships with the package, or a hub id."""

import re
from collections.abc import Mapping
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import cast

from classtoken.errors import HubError, ModelError, OptionError
from classtoken.files import called_alike
from classtoken.model_folder import BEFORE, BEGUN, SMALL, TRAINING, WORK, WRITING
from classtoken.places import fetch_folder, url_of

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
HUB = "https://huggingface.co/"
#: Files of a model that are fetched, from the hub and from stores: no pickles.
FETCHED = [f"*{end}" for end in (*SMALL, ".safetensors", ".md")]  # in folders below, too


def builtin_names() -> tuple[str, ...]:
    """Models that ship with the package."""
    root = resources.files("classtoken") / "builtin"
    if not root.is_dir():
        return ()
    return tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and (p / "config.json").is_file()))


def locate(model: str | Path, revision: str | None = None) -> Path:
    """The local folder of a MODEL. Raises `ModelError` or `HubError` with the way out, `OptionError` for a revision of
    what is not on the hub."""
    folder = _located(str(model), revision)
    if (folder / WRITING).exists():
        raise ModelError(
            f"'{model}' is half written: a training was stopped, or is still at it, while it wrote the model, and some "
            "of the files may be of another one. Give that `train` again: it goes on from there."
        )
    return folder


def _located(name: str, revision: str | None) -> Path:
    """The local folder of a MODEL, whatever is in it."""
    if name.startswith("builtin:"):
        _check_revision(revision, f"'{name}' comes with the package")
        return _builtin(name.removeprefix("builtin:"))
    name = name.removeprefix(HUB).rstrip("/") if HUB_ID.fullmatch(name.removeprefix(HUB).rstrip("/")) else name
    url = url_of(name)
    if url is not None:
        _check_revision(revision, f"'{name}' is an address")
        try:
            return fetch_folder(url, FETCHED)
        except OSError as error:
            raise ModelError(str(error)) from error
    path = Path(name).expanduser()
    try:
        if path.is_dir() and name.strip():
            _check_revision(revision, f"'{name}' is a folder here")
            return path
        if path.is_file():
            raise ModelError(_a_file(path))
    except (OSError, ValueError) as error:  # a name that no file system takes
        raise ModelError(f"there can be no folder {name[:60]!r} ({type(error).__name__}). Name a model.") from error
    if HUB_ID.fullmatch(name) and not name.startswith((".", "/", "~")):
        return _hub(name, revision)
    if path.is_symlink():
        raise ModelError(f"{name!r} is a link that leads to nothing ('{path.readlink()}'). Name the model's folder.")
    near = called_alike(path)
    if near is not None and near.is_dir():
        raise ModelError(f"there is no folder '{name}'; did you mean '{near}'?")
    raise ModelError(
        f"there is no folder {name!r}. A model is a local folder, a hub id such as org/name, or one of "
        f"{', '.join('builtin:' + n for n in builtin_names()) or 'the built-in models'}."
    )


def _check_revision(revision: str | None, is_there: str) -> None:
    if revision is not None:
        raise OptionError(f"`revision` ({revision!r}) is a state of a model on the hub, and {is_there}; leave it out.")


#: How files of weights end that are not read, and the way to those that are.
ELSEWHERE: Mapping[str, str] = {
    ".incomplete": "a download that was cut off; download the model again",
    ".gguf": "a conversion for llama.cpp; get the model that it was made from",
    ".onnx": "a graph; get the model that it was exported from",
    ".h5": "TensorFlow's weights; get model.safetensors from where the model was published",
    ".msgpack": "Flax's weights; get model.safetensors from where the model was published",
    ".ckpt": "TensorFlow's or a trainer's weights; save them as model.safetensors with save_pretrained",
    ".safetensors": "weights of another name; call the file model.safetensors if it holds this model",
}
WEIGHTS = ".safetensors"
PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
#: How far below a folder a model is looked for, and how many of a folder's entries are looked at.
DEEP, MOST_BESIDE = 2, 1000


def _a_file(path: Path) -> str:
    """Why a file is no model, and what to name."""
    if path.suffix.lower() in PACKED:
        return (
            f"'{path}' is packed; a model is a folder with config.json and model.safetensors. Unpack it, and name that."
        )
    if any((path.parent / name).is_file() for name in CONFIGS):
        return f"'{path}' is a file of a model; a model is named by its folder: '{path.parent}'."
    words = next(
        (words for ending, words in ELSEWHERE.items() if path.name.endswith(ending) and ending != WEIGHTS), None
    )
    if words is not None:
        return f"'{path}' is {words}."
    return (
        f"'{path}' is a file; a model is a folder with config.json and model.safetensors. Put config.json and the "
        "tokenizer's or processor's files beside it, and name the folder."
    )


CONFIGS = ("modules.json", "config.json", "open_clip_config.json", "adapter_config.json")


def no_model(folder: Path) -> str:
    """Why a folder without a config is no model, and which ones in it or around it are."""
    if not (folder / TRAINING).exists() and any((folder / name).exists() for name in (WORK, BEGUN)):
        before = f" The model that was there is in '{folder / BEFORE}'." if (folder / BEFORE).exists() else ""
        return (
            f"'{folder}' holds a training that has not finished: it was stopped, or is still at it, and writes its "
            f"model at the end. Give that `train` again: it goes on from what is done.{before}"
        )
    inside, above = _models_in(folder, DEEP), folder.resolve().parent
    why = f"'{folder}' holds no config.json: it is no model folder"
    if inside:
        shown = ", ".join(f"'{path}'" for path in inside[:3])
        more = f" and {len(inside) - 3} more" if len(inside) > 3 else ""
        return f"{why}. There are models in it: {shown}{more}. Name {'that' if len(inside) == 1 else 'one of them'}."
    if (above / "modules.json").is_file():
        return f"{why} but a part of '{above}'. Name that."
    return f"{why}. Name the folder that holds one."


def _models_in(folder: Path, deep: int) -> list[Path]:
    found: list[Path] = []
    try:
        below = sorted(path for path in islice(folder.iterdir(), MOST_BESIDE) if path.is_dir())
    except OSError:
        return []
    for path in below:
        here = any((path / name).is_file() for name in CONFIGS)
        found += [path] if here else _models_in(path, deep - 1) if deep > 1 else []
    return found


def about_builtin(name: str) -> str:
    """What a built-in model is, in the first words of its own description."""
    about = resources.files("classtoken") / "builtin" / name / "about.md"
    text = " ".join(line for line in about.read_text(encoding="utf-8").splitlines() if not line.startswith("#")).strip()
    words = re.split(r"(?<=[^\d])[.:;] ", text, maxsplit=1)[0].rstrip(".")
    return words[:1].lower() + words[1:]


def _builtin(name: str) -> Path:
    if name not in builtin_names():
        known = "; ".join(f"builtin:{one} ({about_builtin(one)})" for one in builtin_names())
        raise ModelError(f"there is no built-in model '{name}'. There are: {known or 'none'}.")
    return Path(str(resources.files("classtoken") / "builtin" / name))


def _hub(name: str, revision: str | None) -> Path:
    """A hub id: from the cache when it is there, else downloaded; safetensors and plain text files only."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    # It lets errors of its transport through, which is another library in each major version; its own is one of them.
    unreached = cast(tuple[type[Exception], ...], (OSError, ValueError, *HfHubHTTPError.__bases__))
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FETCHED, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass  # not in the cache: ask the network
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FETCHED))
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        raise HubError(f"the hub does not give '{name}' (status {status}). Check the name and your access.") from error
    except unreached as error:
        near = called_alike(Path(name))
        if near is not None and near.is_dir():
            raise HubError(
                f"there is no folder '{name}'; did you mean '{near}'? As a hub id it is not in the cache "
                f"{constants.HF_HUB_CACHE}, and the hub cannot be reached ({type(error).__name__})."
            ) from error
        raise HubError(
            f"'{name}' is neither a local folder nor in the cache {constants.HF_HUB_CACHE}, and the hub cannot be "
            f"reached ({type(error).__name__}). Copy the model's folder here and name its path."
        ) from error
