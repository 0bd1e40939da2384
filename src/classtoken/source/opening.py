"""What a user calls SOURCE, opened: a folder of images, a file of records, a glob, a Lance data set, drawn pictures."""

import glob
import shutil
import sys
import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from classtoken.errors import SourceError
from classtoken.extensions import extension_classes
from classtoken.files import called_alike, user_path
from classtoken.places import url_of
from classtoken.source.archive import Archive
from classtoken.source.base import Source, SourceOptions
from classtoken.source.columns import headerless, known_names, rows_in
from classtoken.source.delimited import separator_of
from classtoken.source.documents import SUFFIXES as TEXTS
from classtoken.source.documents import Documents
from classtoken.source.drawn import PREFIX, Drawn
from classtoken.source.folders import FoundFiles, walk
from classtoken.source.images import SUFFIXES, Images
from classtoken.source.labels import MaskedSource, with_labels
from classtoken.source.lance import Lance
from classtoken.source.lines import PACKED, Lines, kind_of
from classtoken.source.memory import in_memory
from classtoken.source.parquet import Parquet, open_parquet
from classtoken.source.remote import open_remote
from classtoken.source.tables import DelimitedTable, JsonLines, LineTable, TextLines, UnreadableRow
from classtoken.values import Rejected

#: Suffix -> the source that reads such files. Folders and images are told apart before.
TABLES: Mapping[str, type[LineTable] | type[Parquet] | type[Archive]] = {
    ".txt": TextLines,
    ".csv": DelimitedTable,
    ".tsv": DelimitedTable,
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".parquet": Parquet,
    ".tar": Archive,
}
#: How packed files begin.
MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
ALLOWED = (
    "a folder of images or of texts, an image, .txt, .csv, .tsv, .jsonl (each also .gz, .bz2, .xz, .zst), .parquet or "
    ".tar file, a .lance folder, a glob, - for stdin, a URL of these (s3://bucket/x), or builtin:scenes, builtin:tiny"
)


def open_source(
    spec: Any, options: SourceOptions | None = None, remembered: Mapping[str, str] = MappingProxyType({})
) -> Source:
    """Open a source: a path, `-` for stdin, a glob, or what a program holds (`memory.in_memory`).

    remembered: which columns were read where a model or vectors come from, by the part of a record that they held.
    Raises `SourceError` when it is not there, is of no known kind, or mixes kinds.
    """
    if isinstance(spec, Source):
        return spec
    options = options or SourceOptions()
    # With a table of labels, `label_column` names a column of that table.
    own = replace(options, label_column=None) if options.labels else options
    source = _open(str(spec), own) if isinstance(spec, str | PathLike) else in_memory(spec, own)
    if remembered:
        source.read_as({part: name for part, name in remembered.items() if part != "label" or not options.labels})
    if options.labels:
        if not options.labels.is_file():
            raise SourceError(f"there is no file {options.labels}; give a table of ids and labels as `labels`.")
        source = with_labels(source, options, read_table)
    if options.masks:
        if not options.masks.is_dir():
            raise SourceError(f"there is no folder {options.masks}; give the folder of masks as `masks`.")
        source = MaskedSource(source, options.masks)
    return source


def read_table(path: Path, refused: list[Rejected] | None = None) -> list[dict[str, Any]]:
    """All rows of a small table (labels, pairs, judgements) as dictionaries.

    A row that cannot be read is empty where `refused` is given, which then names it and says why. Raises `SourceError`
    for it otherwise.
    """
    path = user_path(path)
    kind = TABLES.get(kind_of(path))
    if not path.is_file():
        raise SourceError(f"there is no file {path}; check the path.")
    if kind is Parquet:
        with open_parquet(path) as file:
            return rows_in(file.read(), path)
    if kind not in (DelimitedTable, JsonLines):
        raise SourceError(f"{path} is not a table; give a .csv, .tsv, .jsonl or .parquet file.")
    table = kind(path.as_posix(), [path], SourceOptions())
    lines = table.lines(path, table.first_row(path))
    rows: list[dict[str, Any]] = []
    for row in table.parse(lines, lines.position):
        if not isinstance(row, UnreadableRow):
            rows.append(dict(row))
        elif refused is None:
            raise SourceError(f"row {len(rows)} of {path} {row.reason}; fix it.")
        else:
            refused.append(Rejected(f"row {len(rows)}", row.reason))
            rows.append({})
    return rows


def holds_records(path: Path) -> bool:
    """Whether a file's name says that it holds many records."""
    return kind_of(path) in TABLES


def _open(name: str, options: SourceOptions) -> Source:
    if name.startswith(PREFIX):
        return Drawn(name, options)
    url = url_of(name)
    if url is not None:
        return open_remote(url, options, _open)
    path = user_path(name)
    if name == "-" or (path.exists() and not path.is_dir() and not path.is_file()):
        return _piped(name, path, options)
    if path.is_dir():
        return Lance(name, path, options) if _is_lance(path) else _open_folder(name, path, options)
    if path.is_file():
        return _open_files(name, [path], path.parent, options)
    if path.is_symlink():
        raise SourceError(f"'{name}' is a link that leads to nothing ('{path.readlink()}'). Name what it stood for.")
    # Path.glob cannot start at an absolute pattern.
    matches = glob.glob(str(path), recursive=True) if glob.has_magic(name) else []  # noqa: PTH207
    found = [Path(match) for match in sorted(matches)]
    added = None if found else _added(name, options)
    if added is not None:
        return added
    if not found:
        what = "no file fits" if glob.has_magic(name) else "there is no file or folder"
        near = None if glob.has_magic(name) else called_alike(path)
        hint = f"did you mean '{near}'?" if near else f"give {ALLOWED}."
        raise SourceError(f"{what} '{name}'; {hint}")
    return _open_files(name, [match for match in found if match.is_file()], _fixed_part(path), options)


def _open_folder(name: str, path: Path, options: SourceOptions) -> Source:
    """A folder of images; of texts where it holds not one image and more texts than anything else."""
    found = walk(path, SUFFIXES)
    texts = sum(count for suffix, count in found.left_out.items() if suffix in TEXTS)
    if not found.paths and texts > (found.left_out.total() - found.left_out["hidden"]) / 2:
        return Documents(name, path, options)
    return Images(name, path, options, found if found.paths else None)


def _open_files(name: str, files: Sequence[Path], root: Path, options: SourceOptions) -> Source:
    suffixes = {"image" if path.suffix.lower() in SUFFIXES else kind_of(path) for path in files}
    if len(suffixes) > 1:
        raise SourceError(
            f"'{name}' mixes files of several kinds ({', '.join(sorted(suffixes))}); give one kind at once."
        )
    suffix = suffixes.pop() if suffixes else ""
    if suffix == "image":
        paths = tuple(path.relative_to(root).as_posix() for path in files)
        return Images(name, root, options, FoundFiles(paths, Counter()))
    added = None if suffix in TABLES else _added(name, options)
    if added is not None:
        return added
    if suffix not in TABLES:
        packed = " Unpack it first." if suffix in (".gz", ".zip", ".zst", ".bz2", ".xz", ".tgz") else ""
        raise SourceError(f"'{name}' is of an unknown kind ('{suffix}'); give {ALLOWED}.{packed}")
    packed_files = [path for path in files if path.suffix.lower() in PACKED]
    if packed_files and not issubclass(TABLES[suffix], LineTable):
        raise SourceError(f"'{packed_files[0]}' is packed, and only tables of lines are read so. Unpack it first.")
    return TABLES[suffix](name, files, options)


def _piped(name: str, path: Path, options: SourceOptions) -> Source:
    """What can be read only once (stdin, a pipe, `<(...)`): copied to a temporary file, which the source takes along.

    What it holds is seen from how it begins: Parquet, a tar, JSON objects, a table with a known column, else texts.
    """
    folder = Path(tempfile.mkdtemp(prefix="classtoken-"))
    file = folder / "piped"
    try:
        with sys.stdin.buffer if name == "-" else path.open("rb") as given, file.open("wb") as copy:
            shutil.copyfileobj(given, copy)
        named = folder / f"piped{_content_of(file, options)}"
        named.symlink_to(file)
        source = _open_files(name, [named], folder, options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    source.images_from, source.copies = Path.cwd(), True
    weakref.finalize(source, shutil.rmtree, folder, True)
    return source


def _content_of(file: Path, options: SourceOptions) -> str:
    """The suffix that a file should have."""
    with file.open("rb") as opened:
        start = opened.read(512)
    if start.startswith(b"PAR1") or start[257:262] == b"ustar":
        return ".parquet" if start.startswith(b"PAR1") else ".tar"
    packed = next((suffix for magic, suffix in MAGIC.items() if start.startswith(magic)), "")
    inside = file.with_suffix(packed)
    if packed:
        inside.symlink_to(file)
    first = next((line for line in Lines(inside, 0, options.encoding) if line.strip()), "")
    if first.lstrip().startswith("{"):
        return f".jsonl{packed}"
    known = known_names(options)
    separator = options.delimiter or separator_of([first], known)
    names = {part.strip().strip('"').casefold() for part in first.split(separator)}
    said = options.delimiter is not None or first.lower().startswith("sep=") or headerless(options)
    return f".csv{packed}" if said or names & known else f".txt{packed}"


def _added(name: str, options: SourceOptions) -> Source | None:
    """The source of another package that opens this; None where there is none."""
    kinds = extension_classes("sources", Source)  # type: ignore[type-abstract]
    kind = next((kind for kind in kinds if kind.opens(name)), None)
    return None if kind is None else kind(name, options)  # type: ignore[call-arg]


def _is_lance(path: Path) -> bool:
    return path.suffix == ".lance" or (path / "_versions").is_dir()


def _fixed_part(path: Path) -> Path:
    """The folder before the first part of a glob with a wildcard: ids of images are paths below it."""
    parts: list[str] = []
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)
