"""Which records a model has seen while it was trained, so that a figure on them is not taken for one on new records."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from classtoken.errors import ModelError
from classtoken.files import whole_file
from classtoken.model_folder import LEARNED
from classtoken.source.base import Source
from classtoken.source.contents import KnownContents
from classtoken.values import Modality, Record

SHORT = 8
"""bytes of a hash that are kept: of a million records and a million others, two are alike once in 10 million times"""


def write_seen(folder: Path, hashes: Iterable[bytes], origin: Path | None = None) -> None:
    """Write down the contents of all records that a training has read, and those that the MODEL it began with had."""
    found = np.frombuffer(b"".join(sorted(content[:SHORT] for content in hashes)), dtype=">u8")
    before = found[:0] if origin is None else _known(origin)
    (folder / LEARNED).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / LEARNED) as writing, writing.open("wb") as file:
        np.save(file, np.union1d(found, before))


def seen_before(folder: Path, source: Source, modality: str, limit: int | None = None) -> frozenset[str]:
    """The ids of the records of a source that the model in a folder has seen; none where nothing was written down."""
    known = _known(folder)
    if not len(known):
        return frozenset()
    side: Modality = "text" if modality == "text" else "image"
    return frozenset(
        record.id for record in KnownContents(source, side).records([], limit=limit) if _among(record, known)
    )


def _known(folder: Path) -> np.ndarray:
    """The hashes that were written down; none where no file is there. Raises `ModelError` for a damaged one."""
    if not (folder / LEARNED).is_file():
        return np.empty(0, dtype=">u8")
    try:
        known: np.ndarray = np.load(folder / LEARNED)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(
            f"'{folder / LEARNED}', which says what the model has learned from, cannot be read. Copy the file again."
        ) from error
    return known


def _among(record: Record, known: np.ndarray) -> bool:
    if record.content is None:
        return False
    wanted = np.frombuffer(record.content.hash[:SHORT], dtype=">u8")[0]
    place = int(np.searchsorted(known, wanted))
    return place < len(known) and bool(known[place] == wanted)
