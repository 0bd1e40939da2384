"""The built page: one script and one style sheet, committed beside this file so that users need no node."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from classtoken.errors import InternalError

#: What the bundle is built from, relative to web/; the same list stands in web/tools/stamp.js.
SOURCES = (
    "package.json",
    "package-lock.json",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
    "src",
    "tools",
)


@dataclass(frozen=True)
class Bundle:
    """The page's script and style sheet, and the digest of the sources they were built from."""

    script: str
    style: str
    sources: str


@cache
def bundle() -> Bundle:
    """Read the bundle. Raises `InternalError` when a file is missing or not the one that was built."""
    folder = files("classtoken.page") / "static"
    try:
        stamp = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        parts = {name: (folder / name).read_bytes() for name in ("app.js", "app.css")}
    except (OSError, ValueError) as error:
        raise InternalError(f"the walkthrough's bundle is missing from the package ({error}); run: make web") from error
    for name, content in parts.items():
        if hashlib.sha256(content).hexdigest() != stamp["outputs"][name]:
            raise InternalError(f"{name} of the walkthrough's bundle is not what `make web` built; run: make web")
    return Bundle(parts["app.js"].decode(), parts["app.css"].decode(), stamp["sources"])


def digest_of_sources(web: Path) -> str:
    """The digest that web/tools/stamp.js writes: sha256 of `path NUL sha256(content) newline` of each source."""
    paths = []
    for name in SOURCES:
        path = web / name
        paths += [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    total = hashlib.sha256()
    for name, path in sorted((path.relative_to(web).as_posix(), path) for path in paths):
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
