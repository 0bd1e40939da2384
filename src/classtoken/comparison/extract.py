"""Every candidate's vectors from one pass through its encoder, and stored vectors of anybody's."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from classtoken.embedder import Embedder
from classtoken.errors import BadRecord, OptionError, SourceError
from classtoken.files import user_path
from classtoken.fingerprint import Fingerprint
from classtoken.inputs import PreparedBatch, Preprocessor, batches, computed
from classtoken.inputs import rejected as rejection
from classtoken.readout.readout import StatesReader
from classtoken.sink import read
from classtoken.source.columns import to_id
from classtoken.values import Progress, Record, Rejected, Role

STATES, ROLES = "states", "roles"


@dataclass(frozen=True)
class Extracted:
    """Vectors of all records by the name of their readout, (R, V) float32; what was read beside them by its name; with
    learned poolings also the last states of every token, (R, L, D), and their roles (PAD: 0). Rows in `bad` hold
    nothing; `seconds` is what it took."""

    vectors: Mapping[str, NDArray[np.float32]]
    beside: Mapping[str, NDArray]
    bad: Mapping[int, Rejected]
    seconds: float
    count: int
    """of records"""
    tokens: float
    """of a record, the mean"""
    long: int = 0
    """records that are longer than the model takes"""

    @property
    def states(self) -> NDArray[np.float32] | None:
        """The last states of every token."""
        return self.beside.get(STATES)

    @property
    def roles(self) -> NDArray[np.int8] | None:
        """The roles of the tokens that have states."""
        return self.beside.get(ROLES)


@dataclass(frozen=True)
class ModelSide:
    """One side of a model, and the prompt that is put before its texts."""

    embedder: Embedder
    modality: str
    prompt: str | None = None
    prepared: Preprocessor | None = None
    """how inputs are prepared; None: as the model's authors do"""

    @property
    def prepare(self) -> Preprocessor:
        """How inputs are prepared."""
        return self.prepared or self.embedder.tower(self.modality).prepare


def extract(
    model: ModelSide,
    records: Sequence[Record],
    readouts: Mapping[str, StatesReader],
    *,
    beside: Mapping[str, StatesReader] | None = None,
    states: bool = False,
    report: Callable[[Progress], object] | None = None,
) -> Extracted:
    """One forward a batch for all readouts, those of what is read `beside` the vectors among them. Records that cannot
    be prepared or computed are `bad`, with the reason."""
    other = {f"\0{name}": reader for name, reader in (beside or {}).items()}
    began, rejected, parts = monotonic(), dict[int, Rejected](), list[tuple[tuple[int, ...], dict[str, NDArray]]]()

    def work(batch: PreparedBatch) -> dict[str, NDArray]:
        found, seen = model.embedder.read(
            batch.tokens, {**readouts, **other}, modality=model.modality, prompt=model.prompt, every=states
        )
        if states:
            found = {
                **found,
                f"\0{STATES}": seen.last_BLD.float().cpu().numpy(),
                f"\0{ROLES}": seen.roles_BL.cpu().numpy().astype(np.int8),
            }
        return found

    done, seen_tokens, long = 0, 0, 0
    for batch in batches(model.prepare, enumerate(records), rejected.__setitem__, prompt=model.prompt):
        for one, found in computed(work, batch):
            if isinstance(found, BadRecord):
                rejected[one.places[0]] = rejection(records[one.places[0]].id, found)
            else:
                parts.append((one.places, found))
        done += len(batch.places)
        long += sum(batch.long)
        seen_tokens += int((batch.tokens.roles_BL != Role.PAD).sum())
        if report is not None:
            report(Progress(done, len(records), refused=len(rejected), seconds=monotonic() - began, what="embedding"))
    if not parts:
        first = next(iter(rejected.values()))
        raise SourceError(f"none of the {len(records)} records could be read. The first: {first.id}: {first.reason}.")
    whole = {name: _placed(parts, name, len(records)) for name in parts[0][1]}
    aside = {name[1:]: whole.pop(name) for name in list(whole) if name.startswith("\0")}
    for name, vectors in whole.items():
        for row in np.flatnonzero(~np.isfinite(vectors).all(1)).tolist():
            rejected.setdefault(row, Rejected(records[row].id, f"its vector '{name}' is not finite"))
    return Extracted(whole, aside, rejected, monotonic() - began, len(records), seen_tokens / max(1, done), long)


def _placed(parts: list[tuple[tuple[int, ...], dict[str, NDArray]]], name: str, count: int) -> NDArray:
    """All rows in the records' order; rows of tokens are filled up to the longest with zeros (PAD)."""
    shapes = [found[name].shape[1:] for _, found in parts]
    whole = np.zeros((count, *(max(sizes) for sizes in zip(*shapes, strict=True))), parts[0][1][name].dtype)
    for places, found in parts:
        block = found[name]
        rows: Any = (np.array(places), *(slice(0, size) for size in block.shape[1:]))
        whole[rows] = block
    return whole


@dataclass(frozen=True)
class Stored:
    """Vectors that somebody has stored, a row a record, and the pooling and length that give them, where that is
    known; `whiten` is done to them when they are judged."""

    vectors: NDArray[np.float32]
    pooling: str | None = None
    dim: int | None = None
    whiten: bool = False


def stored(
    place: str | Path, records: Sequence[Record], key: str = "id", read_records: Sequence[Record] = ()
) -> dict[str, Stored]:
    """Vectors that somebody has stored, by their name: of a folder of `embed`, a .npy file (rows in the order of the
    records, or of `read_records`, among which they are), or a Parquet file with the column `id` and columns of
    vectors. `key` is the column by which they are found: texts of pairs by `text`. Raises `OptionError` where a record
    has no vector."""
    path = user_path(place)
    if path.suffix == ".npy":
        found = _of_npy(path)
        return {path.stem: Stored(_narrowed(_rows_of(found, path, records, read_records)))}
    made: Fingerprint | None = None
    wanted = [str(record.text) if key == "text" else record.id for record in records]
    if path.is_dir():
        folder = read(path)
        if key not in ("id", *folder.carried):
            raise OptionError(f"'{path}' does not carry the column '{key}', by which vectors of pairs are found.")
        given, arrays = folder.column(key), {name: folder.arrays[name] for name in folder.arrays}
        made = folder.manifest.fingerprint
    else:
        given, arrays = _of_parquet(path, key)
    names = [to_id(name) for name in given]  # pandas writes ids that are numbers as numbers
    place_of = {name: row for row, name in enumerate(names)}
    if len(place_of) < len(names):
        twice = next(name for row, name in enumerate(names) if place_of[name] != row)
        raise OptionError(f"'{path}' has several vectors of {twice!r}; keep one.")
    missing = [name for name in wanted if name not in place_of]
    if missing:
        raise OptionError(
            f"'{path}' has no vector for {len(missing)} of {len(wanted)} records, such as {missing[0]!r}; embed the "
            "same source."
        )
    rows = [place_of[name] for name in wanted]
    return {name: Stored(_narrowed(np.asarray(array))[rows], *_asked(name, made)) for name, array in arrays.items()}


def _asked(name: str, made: Fingerprint | None) -> tuple[str | None, int | None]:
    """The pooling and length that a column of `embed` was asked for by; None for those of other making, and where unit
    length was asked for besides."""
    known = made is not None and name in made.poolings and not made.normalize and not made.chunks
    return (name, made.dim) if made is not None and known else (None, None)


def _rows_of(found: NDArray, path: Path, records: Sequence[Record], read_records: Sequence[Record]) -> NDArray:
    """The rows of the records; there may be one for each of all that were read."""
    if found.ndim == 2 and len(found) == len(records):
        return found
    if found.ndim == 2 and len(found) == len(read_records):
        place = {id(record): row for row, record in enumerate(read_records)}
        return found[[place[id(record)] for record in records]]
    left = len(read_records) - len(records)
    more = f" ({left} more were read and are left out)" if left > 0 else ""
    raise OptionError(
        f"'{path}' holds an array of shape {found.shape}, and there are {len(records)} records{more}; give a row for "
        "each, in their order."
    )


def _narrowed(vectors: NDArray) -> NDArray[np.float32]:
    """As float32; what is too large for it becomes infinite, and the candidate is left out for that."""
    with np.errstate(over="ignore"):
        return vectors.astype(np.float32)


def _of_npy(path: Path) -> NDArray:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise OptionError(f"'{path}' cannot be read as a .npy file of numbers ({error}).") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        kind = getattr(found, "dtype", type(found).__name__)
        raise OptionError(f"'{path}' holds values of the kind {kind}; give vectors of real numbers.")
    return found


def _of_parquet(path: Path, key: str) -> tuple[list, dict[str, NDArray]]:
    if not path.is_file() or path.suffix != ".parquet":
        raise OptionError(f"'{path}' holds no vectors; give a folder of embed, a .npy or a .parquet file.")
    table = pq.read_table(pa.OSFile(os.fsencode(path)))
    if key not in table.column_names:
        raise OptionError(f"'{path}' has no column '{key}'; it has {', '.join(table.column_names)}.")
    arrays = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        if hasattr(kind, "value_type") and str(kind.value_type) in ("float", "double", "halffloat"):
            rows = table.column(name).to_pylist()
            if any(row is None for row in rows) or len({len(row) for row in rows}) != 1:
                raise OptionError(f"the column '{name}' of '{path}' has vectors of several lengths, or none in a row.")
            arrays[name] = np.array(rows, dtype=np.float64)
    if not arrays:
        raise OptionError(f"'{path}' has no column of vectors (lists of numbers).")
    return table.column(key).to_pylist(), arrays
