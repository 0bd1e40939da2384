"""Files that are whole or absent: written under a temporary name, flushed to the disk, then renamed."""

import os
from collections.abc import Callable
from pathlib import Path

from classtoken.errors import OutputError

#: Temporary names begin with a dot and end so; what a stopped run left is removed by the next one.
UNFINISHED = ".unfinished"


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path beside `path`; when it is done, the file appears under its final name.

    The bytes are on the disk before the name is, and the name is before this returns. Raises `OutputError` when the
    system does not let it (a full disk); then nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        what = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(f"{path} cannot be written: {what}. Mend that; the same command then goes on.") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a small text file as a whole."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def remove_unfinished(folder: Path) -> None:
    """Remove what a stopped run left."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
