"""Where a model's files are: a local folder, a model that ships with the package, or a hub id."""

import re
from importlib import resources
from pathlib import Path

from classtoken.errors import HubError, ModelError
from classtoken.files import called_alike
from classtoken.places import fetch_folder, url_of

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.md", "*/config.json", "*/model.safetensors"]


def builtin_names() -> tuple[str, ...]:
    """Models that ship with the package."""
    root = resources.files("classtoken") / "builtin"
    if not root.is_dir():
        return ()
    return tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and (p / "config.json").is_file()))


def locate(model: str | Path, revision: str | None = None) -> Path:
    """The local folder of a MODEL. Raises `ModelError` or `HubError` with the way out."""
    name = str(model)
    if name.startswith("builtin:"):
        return _builtin(name.removeprefix("builtin:"))
    url = url_of(name)
    if url is not None:
        return fetch_folder(url)
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise ModelError(
            f"'{name}' is a file; a model is a folder with config.json and model.safetensors. Name the folder."
        )
    if HUB_ID.fullmatch(name) and not name.startswith((".", "/", "~")):
        return _hub(name, revision)
    near = called_alike(path)
    if near is not None and near.is_dir():
        raise ModelError(f"there is no folder '{name}'; did you mean '{near}'?")
    raise ModelError(
        f"there is no folder '{name}'. A model is a local folder, a hub id such as org/name, or one of "
        f"{', '.join('builtin:' + n for n in builtin_names()) or 'the built-in models'}."
    )


def _builtin(name: str) -> Path:
    if name not in builtin_names():
        raise ModelError(f"there is no built-in model '{name}'. There are: {', '.join(builtin_names()) or 'none'}.")
    return Path(str(resources.files("classtoken") / "builtin" / name))


def _hub(name: str, revision: str | None) -> Path:
    """A hub id: from the cache when it is there, else downloaded; safetensors and plain text files only."""
    from httpx import HTTPError  # huggingface_hub lets those of its transport through
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass  # not in the cache: ask the network
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES))
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        raise HubError(f"the hub does not give '{name}' (status {status}). Check the name and your access.") from error
    except (OSError, ValueError, HTTPError) as error:
        raise HubError(
            f"'{name}' is neither a local folder nor in the cache {constants.HF_HUB_CACHE}, and the hub cannot be "
            f"reached ({type(error).__name__}). Copy the model's folder here and name its path."
        ) from error
