"""`serve`: vectors over HTTP, for this machine; for others with keys."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classtoken.embedder import Embedder, load
from classtoken.errors import OptionError
from classtoken.extras import need
from classtoken.files import shown_name, user_path
from classtoken.nearest.searcher import Searcher
from classtoken.options import SearchOptions, ServeOptions

if TYPE_CHECKING:
    from starlette.applications import Starlette

#: Shorter ones can be tried one after another.
SHORTEST_KEY = 16
Served = str | Path | Embedder


def service(
    models: Mapping[str, Served] | Sequence[Served],
    options: ServeOptions,
    *,
    keys: Sequence[str] = (),
    searchers: Mapping[str, Searcher] | None = None,
    page: str | None = None,
) -> "Starlette":
    """See `classtoken.service`. searchers: folders in memory already. page: HTML that `GET /` answers with."""
    need("starlette", "serving")
    from classtoken.serve.batching import apart
    from classtoken.serve.folders import FolderRoutes, ServedFolder
    from classtoken.serve.served import ServedModel
    from classtoken.serve.service import EmbeddingService, ServiceLimits

    limits = ServiceLimits(
        body=options.max_body,
        items=options.max_inputs,
        pixels=options.max_pixels,
        waiting=options.max_waiting,
        seconds=options.timeout,
    )
    named = _named(models, "model")

    def loaded() -> tuple[list[ServedModel], dict[str, Searcher]]:
        asked = SearchOptions(column=options.column)
        named_folders = _named(options.folder, "folder")
        folders = dict(searchers or {name: Searcher(place, options=asked) for name, place in named_folders})
        models = named or [named_model(folder.reader) for folder in folders.values()][:1]
        if not models:
            raise OptionError("nothing is to be served; give a `model` or a `folder`.")
        return [ServedModel(name, _loaded(one, options), most_pixels=limits.pixels) for name, one in models], folders

    served, folders = apart(loaded)
    made = EmbeddingService(served, limits, keys)
    if folders:
        FolderRoutes(made, [ServedFolder(name, one, served) for name, one in folders.items()]).join()
    return made.app(page)


def _named(given: Mapping[str, Any] | Sequence[Any], what: str) -> list[tuple[str, Any]]:
    named = list(given.items()) if isinstance(given, Mapping) else [named_model(one) for one in given]
    if twice := [name for name, count in Counter(name for name, _ in named).items() if count > 1]:
        raise OptionError(f"`{what}` names {twice[0]} twice; give each a name: NAME=...")
    return named


def serve(
    models: Sequence[str],
    options: ServeOptions,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key_file: Path | None = None,
    say: Callable[[str], None],
) -> None:
    """Serve until interrupted. host: other than this machine only with keys. port: 0 takes a free one.

    say: is told what happens, a sentence at a time. Raises what `service` raises, and `OptionError` for a host that
    needs keys, a port that is taken and a file without keys.
    """
    need("uvicorn", "serving")
    from classtoken.serve.local import LOCAL_HOSTS, bound, checked_host, run_app, served_host

    keys = () if api_key_file is None else read_keys(api_key_file)
    address = served_host(host) if keys else checked_host(host, "vectors are served", "`api_key_file`")
    sock = bound(address, port)
    say(f"Loading {', '.join([*models, *options.folder])} ...")
    app = service(models, options, keys=keys)

    search = ", POST /v1/search" if options.folder else ""

    def ready() -> None:
        shown, taken = sock.getsockname()[:2]
        place = f"[{shown}]" if ":" in shown else shown
        say(f"Serving on http://{place}:{taken}/v1 (POST /v1/embeddings{search}). Stop with Ctrl+C.")

    run_app(app, sock, ready, hosts=() if keys else LOCAL_HOSTS, connections=512, graceful_seconds=10)


def named_model(model: Served) -> tuple[str, Served]:
    """The name that requests call a model by: what stands before `=`, a folder's own name, or the model as it was
    asked for."""
    if isinstance(model, Embedder):
        return shown_name(model.name), model
    given = re.fullmatch(r"([\w.:-]+)=(.+)", text := str(model))
    if given and not user_path(text).exists():
        return given[1], given[2]
    return shown_name(text), model


def read_keys(path: Path) -> tuple[str, ...]:
    """The keys in a file, one a line. Raises `OptionError` for a file without one, and for one that can be guessed."""
    try:
        lines = user_path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"`api_key_file` is '{path}', which cannot be read ({error}).") from None
    keys = tuple(line.strip() for line in lines if line.strip())
    short = [len(key) for key in keys if len(key) < SHORTEST_KEY or not key.isascii() or " " in key]
    if short or not keys:
        found = f"holds a key of {short[0]} signs" if short else "holds no key"
        raise OptionError(
            f"`api_key_file` is '{path}', which {found}; it must hold a key a line, of {SHORTEST_KEY} signs or more "
            "without spaces, such as: openssl rand -hex 32."
        )
    return keys


def _loaded(model: Served, options: ServeOptions) -> Embedder:
    return load(
        model,
        pooling=options.pooling,
        normalize=options.normalize,
        precision=options.precision,
        device=options.device,
        revision=options.revision,
        accept=options.accept,
    )
