"""What a user calls SOURCE, opened: a folder of images, a file of records, a glob, a Lance data set, drawn pictures."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from classtoken.errors import SourceError
from classtoken.extensions import extension_classes
from classtoken.source.archive import Archive
from classtoken.source.base import Source, SourceOptions
from classtoken.source.drawn import PREFIX, Drawn
from classtoken.source.images import SUFFIXES, Images
from classtoken.source.labels import MaskedSource, with_labels
from classtoken.source.lance import Lance
from classtoken.source.lines import Lines
from classtoken.source.parquet import Parquet, open_parquet
from classtoken.source.tables import DelimitedTable, JsonLines, LineTable, TextLines, UnreadableRow

#: Suffix -> the source that reads such files. Folders and images are told apart before.
TABLES: Mapping[str, type[LineTable] | type[Parquet] | type[Archive]] = {
    ".txt": TextLines,
    ".csv": DelimitedTable,
    ".tsv": DelimitedTable,
    ".jsonl": JsonLines,
    ".parquet": Parquet,
    ".tar": Archive,
}
ALLOWED = (
    "a folder of images, an image, a .txt, .csv, .tsv, .jsonl, .parquet or .tar file, a .lance folder, a glob, or "
    "builtin:scenes, builtin:tiny"
)


def open_source(spec: str | Path | Source, options: SourceOptions | None = None) -> Source:
    """Open a source. Raises `SourceError` when it is not there, is of no known kind, or mixes kinds."""
    if isinstance(spec, Source):
        return spec
    options = options or SourceOptions()
    # With a table of labels, `label_column` names a column of that table.
    source = _open(str(spec), replace(options, label_column=None) if options.labels else options)
    if options.labels:
        if not options.labels.is_file():
            raise SourceError(f"there is no file {options.labels}; give a table of ids and labels as `labels`.")
        source = with_labels(source, options, read_table)
    if options.masks:
        if not options.masks.is_dir():
            raise SourceError(f"there is no folder {options.masks}; give the folder of masks as `masks`.")
        source = MaskedSource(source, options.masks)
    return source


def read_table(path: Path) -> list[dict[str, Any]]:
    """All rows of a small table (labels, pairs, judgements) as dictionaries.

    Raises `SourceError` for a row that cannot be read.
    """
    kind = TABLES.get(path.suffix.lower())
    if not path.is_file():
        raise SourceError(f"there is no file {path}; check the path.")
    if kind is Parquet:
        with open_parquet(path) as file:
            return file.read().to_pylist()
    if kind not in (DelimitedTable, JsonLines):
        raise SourceError(f"{path} is not a table; give a .csv, .tsv, .jsonl or .parquet file.")
    table = kind(path.as_posix(), [path], SourceOptions())
    lines = Lines(path)
    lines.position = table.first_row(path)
    rows: list[dict[str, Any]] = []
    for row in table.parse(lines, lines.position):
        if isinstance(row, UnreadableRow):
            raise SourceError(f"row {len(rows)} of {path} {row.reason}; fix it.")
        rows.append(dict(row))
    return rows


def _open(name: str, options: SourceOptions) -> Source:
    if name.startswith(PREFIX):
        return Drawn(name, options)
    path = Path(name).expanduser()
    if path.is_dir():
        return Lance(name, path, options) if _is_lance(path) else Images(name, path, options)
    if path.is_file():
        return _open_files(name, [path], path.parent, options)
    # Path.glob cannot start at an absolute pattern.
    matches = glob.glob(str(path), recursive=True) if glob.has_magic(name) else []  # noqa: PTH207
    found = [Path(match) for match in sorted(matches)]
    added = None if found else _added(name, options)
    if added is not None:
        return added
    if not found:
        what = "no file fits" if glob.has_magic(name) else "there is no file or folder"
        raise SourceError(f"{what} '{name}'; give {ALLOWED}.")
    return _open_files(name, [match for match in found if match.is_file()], _fixed_part(path), options)


def _open_files(name: str, files: Sequence[Path], root: Path, options: SourceOptions) -> Source:
    suffixes = {"image" if path.suffix.lower() in SUFFIXES else path.suffix.lower() for path in files}
    if len(suffixes) > 1:
        raise SourceError(
            f"'{name}' mixes files of several kinds ({', '.join(sorted(suffixes))}); give one kind at once."
        )
    suffix = suffixes.pop() if suffixes else ""
    if suffix == "image":
        return Images(name, root, options, [path.relative_to(root).as_posix() for path in files])
    added = None if suffix in TABLES else _added(name, options)
    if added is not None:
        return added
    if suffix not in TABLES:
        packed = " Unpack it first." if suffix in (".gz", ".zip", ".zst", ".bz2", ".xz", ".tgz") else ""
        raise SourceError(f"'{name}' is of an unknown kind ('{suffix}'); give {ALLOWED}.{packed}")
    return TABLES[suffix](name, files, options)


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
