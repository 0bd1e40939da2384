"""Where a verb writes: nothing is there yet, or results of ours; what is anybody else's is refused before any work.

A folder of results is known by a file below `_meta/` that says which work it is of. A single file carries its mark
inside: what made it and a hash of the work, where its format has room for such a note (`marked`). Work of the same hash
may be written again; other work of ours gives way to `overwrite`; a stranger's files never do.
"""

import json
import re
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classtoken.errors import OutputError
from classtoken.files import UNFINISHED, whole_file
from classtoken.fingerprint import hash_value

NAMED = 3
LIKE_FILES = {
    *(".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".txt"),
    *(".bin", ".faiss", ".index", ".npy", ".npz", ".onnx", ".pt", ".pth", ".safetensors"),
    *(".gz", ".html", ".png", ".tar", ".zip", ".zst"),
}
"""what names of files end in; who gives such a name to a verb that writes a folder meant something else"""
HEAD = 8192
"""bytes at the beginning of a file among which its mark is"""
FOOT = 1 << 17
"""bytes at the end of a Parquet file, which holds its mark among what its schema says"""
MARK = re.compile(rb"classtoken ([a-z_]+), work ([0-9a-f]{32})")


@dataclass(frozen=True)
class OutputFile:
    """A file that may be written, and the mark that it will carry."""

    path: Path
    mark: str = ""
    """none for a file that only tests will look for"""

    def write(self, content: str | bytes) -> int:
        """Write the whole file with its mark; its size. Raises `OutputError`."""
        plain = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
        whole = marked(plain, self.path.suffix.lower(), self.mark) if self.mark else plain
        with whole_file(self.path) as temporary:
            temporary.write_bytes(whole)
        return len(whole)


def output_file(
    path: Path, verb: str, work: Iterable[Any], *, inputs: Mapping[str, Any], overwrite: bool = False
) -> OutputFile:
    """A file that `verb` may write: none is there, or one of the same work, or with `overwrite` any of ours.

    work: all that decides what will be in it. inputs: what the verb reads, by name. Raises `OutputError`.
    """
    if path.is_dir():
        raise OutputError(f"'{path}' is a folder; give a file to write.")
    _check_apart(path, inputs)
    _check_writable(path.parent)
    mark = f"classtoken {verb}, work {hash_value([_plain(part) for part in work])}"
    if path.exists():
        found = _mark_of(path)
        if found is None:
            raise OutputError(f"'{path}' is there already and nothing that classtoken made; name another file.")
        if found[0].decode() != mark and not overwrite:
            raise OutputError(
                f"'{path}' is there already, from {found[1].decode()} with another input or other options; name "
                "another file, or set `overwrite`."
            )
    return OutputFile(path, mark)


def check_folder(out: Path, inputs: Mapping[str, Any]) -> None:
    """Raise `OutputError` for a place that can be no folder of results: a file, a name of one, inside what is read, not
    writable.

    inputs: what the verb reads, by name; whatever is no folder or file here is passed over.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"'{out}' is a file; give a folder to write to.")
    if not out.exists() and out.suffix.lower() in LIKE_FILES:
        raise OutputError(
            f"'{out}' is named like a file, and a folder is written; give it a name without {out.suffix}."
        )
    _check_apart(out, inputs)
    _check_writable(out)


def refuse_strangers(out: Path | str, strange: Iterable[str], what: str) -> None:
    """Raise `OutputError` where there is anything in a folder that is not `what`, naming the first few."""
    names = sorted(set(strange))
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise OutputError(
            f"'{out}' is not empty: it holds {', '.join(map(repr, names[:NAMED]))}{more}, not {what}. Nothing there is "
            "touched; give a new folder."
        )


def entries(folder: Path) -> set[str]:
    """What is in a folder, but for what a killed process was writing, and folders that hold no more than that: it had
    come no further."""
    return {path.name for path in folder.iterdir() if _is_something(path)} if folder.is_dir() else set()


def _is_something(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return not path.name.endswith(UNFINISHED)
    try:
        return any(map(_is_something, path.iterdir()))
    except OSError:  # a folder that may not be looked into
        return True


def marked(content: bytes, suffix: str, mark: str) -> bytes:
    """The content of a file with a note of what made it, where readers of its format pass it over."""
    if suffix == ".png":
        chunk = b"tEXt" + b"Software\0" + mark.encode()
        end = 8 + 25  # the signature and the header
        return (
            content[:end]
            + (len(chunk) - 4).to_bytes(4, "big")
            + chunk
            + zlib.crc32(chunk).to_bytes(4, "big")
            + content[end:]
        )
    if suffix in (".onnx", ".parquet"):
        return content  # says so in its own words: of the model, of the schema
    if suffix == ".json":
        return content.replace(b"{", f'{{\n  "made": {json.dumps(mark)},'.encode(), 1)
    charset = b'<meta charset="utf-8">'
    return content.replace(charset, charset + f'\n<meta name="generator" content="{mark}">'.encode(), 1)


def _check_apart(out: Path, inputs: Mapping[str, Any]) -> None:
    """Raise `OutputError` for an output that is, or lies inside, what is read, and for a link to nothing, which the
    output would take the place of."""
    if out.is_symlink() and not out.exists():
        raise OutputError(f"'{out}' is a link to '{out.readlink()}', which is not there; give another place.")
    there = out.resolve()
    for name, given in inputs.items():
        value = getattr(given, "folder", given)  # a loaded model lies somewhere, too
        if isinstance(value, str | Path) and (path := _existing(value)) is not None and path in (there, *there.parents):
            where = "is" if path == there else "lies inside"
            raise OutputError(f"'{out}' {where} the {name} '{value}' itself; give another place to write to.")


def _existing(value: str | Path) -> Path | None:
    if not str(value).strip():  # an empty text, and not the folder that one is in
        return None
    try:
        path = Path(value).resolve()
        return path if path.exists() else None
    except (OSError, ValueError):  # a text that can be no path
        return None


def _check_writable(folder: Path) -> None:
    """Raise `OutputError` where no file can be made in a folder, or in the nearest one above it that exists."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OutputError(f"'{place}' cannot be written: {error.strerror}; give another place.") from error


def _mark_of(path: Path) -> re.Match[bytes] | None:
    """The mark of a file, at its beginning, or of a Parquet file at its end."""
    with path.open("rb") as file:
        if path.suffix.lower() == ".parquet":
            file.seek(max(0, path.stat().st_size - FOOT))
            return MARK.search(file.read())
        return MARK.search(file.read(HEAD))


def _plain(part: Any) -> Any:
    """What stands for a part of the work in its hash: texts as they are, pictures by their numbers."""
    if isinstance(part, str | Path) or part is None:
        return str(part)
    if isinstance(part, Mapping):
        return {str(name): _plain(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_plain(value) for value in part]
    numbers = getattr(part, "__array_interface__", None) and getattr(part, "tobytes", None)
    return numbers().hex() if numbers else str(part)
