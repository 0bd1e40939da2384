"""Frozen features: computed once, kept under the output folder, found again by what made them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classtoken.embedder import Embedder
from classtoken.errors import BadRecord, SourceError
from classtoken.files import whole_file
from classtoken.fingerprint import hash_value
from classtoken.inputs import PreparedBatch, batches, computed
from classtoken.inputs import rejected as rejection
from classtoken.tensors import Tokens
from classtoken.tokens.decode import decode
from classtoken.values import Progress, Record, Rejected


@dataclass(frozen=True)
class Features:
    """Vectors (N, V) of the records that could be embedded, or for learned poolings all states (N, L, D) and roles."""

    records: tuple[Record, ...]
    refused: tuple[Rejected, ...]
    arrays: dict[str, NDArray]
    cached: bool
    """taken from an earlier run"""


def features(
    embedder: Embedder,
    records: Sequence[Record],
    out: Path,
    *,
    modality: str,
    pooling: str,
    tokens: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> Features:
    """Vectors named `pooling` of all records; with `tokens`, the last states of every token instead.

    Kept as `out/features/HASH.npz`; the hash is made of the fingerprint, the pooling and the records' ids and
    contents, so that another model or another source never finds them. Bad records go into `refused`.
    """
    made_by = embedder.fingerprint(None if tokens else pooling, modality=modality).hash()
    mark = hash_value([made_by, "tokens" if tokens else pooling, [_stamp(r) for r in records]])
    path = out / "features" / f"{mark}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files if not name.startswith("_")}
            kept_rows, refused_rows = kept["_places"].tolist(), kept["_bad"].tolist()
        refused = tuple(Rejected(str(name), str(reason)) for name, reason in refused_rows)
        return Features(tuple(records[i] for i in kept_rows), refused, arrays, cached=True)
    places, parts, refused_list = _compute(embedder, records, modality, pooling, tokens, report)
    if not places:
        first = f" The first: {refused_list[0].id}: {refused_list[0].reason}" if refused_list else ""
        raise SourceError(f"none of the {len(records)} records could be read.{first}")
    order = np.argsort(places)  # batches hold texts of like length
    arrays = {name: array[order] for name, array in _joined(parts).items()}
    places = sorted(places)
    path.parent.mkdir(parents=True, exist_ok=True)
    bad = np.array([[r.id, r.reason] for r in refused_list], dtype=str).reshape(-1, 2)
    everything: dict[str, Any] = {**arrays, "_places": np.array(places), "_bad": bad}
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **everything)
    return Features(tuple(records[i] for i in places), tuple(refused_list), arrays, cached=False)


def _compute(
    embedder: Embedder,
    records: Sequence[Record],
    modality: str,
    pooling: str,
    tokens: bool,
    report: Callable[[Progress], None] | None,
) -> tuple[list[int], list[dict[str, NDArray]], list[Rejected]]:
    places: list[int] = []
    parts: list[dict[str, NDArray]] = []
    rejected: dict[int, Rejected] = {}
    prepare, began = embedder.tower(modality).prepare, monotonic()

    def work(batch: PreparedBatch) -> dict[str, NDArray]:
        whole = _states(embedder, batch.tokens, modality) if tokens else None
        return _vectors(embedder, batch.tokens, pooling, modality) if whole is None else whole

    for batch in batches(prepare, enumerate(records), rejected.__setitem__):
        for one, found in computed(work, batch):
            if isinstance(found, BadRecord):
                rejected[one.places[0]] = rejection(records[one.places[0]].id, found)
            else:
                places += one.places
                parts.append(found)
        if report is not None:
            done, seconds = len(places) + len(rejected), monotonic() - began
            report(Progress(done, len(records), seconds=seconds, what="features"))
    return places, parts, [rejected[place] for place in sorted(rejected)]


def _vectors(embedder: Embedder, batch: Tokens, pooling: str, modality: str) -> dict[str, NDArray]:
    found = embedder.vectors_of(batch, pooling, modality=modality)
    return {"vectors": np.concatenate(list(found.values()), axis=1)}


def _states(embedder: Embedder, batch: Tokens, modality: str) -> dict[str, NDArray]:
    with embedder.inference():
        states = embedder.run(batch.to(embedder.device, embedder.dtype), modality=modality)
    return {"states": states.last_BLD.float().cpu().numpy(), "roles": states.roles_BL.cpu().numpy().astype(np.int8)}


def _joined(parts: Sequence[dict[str, NDArray]]) -> dict[str, NDArray]:
    """All parts one after another; rows of tokens are filled up to the longest with PAD."""
    joined: dict[str, NDArray] = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        if name in ("states", "roles"):
            longest = max(a.shape[1] for a in arrays)
            arrays = [np.pad(a, [(0, 0), (0, longest - a.shape[1])] + [(0, 0)] * (a.ndim - 2)) for a in arrays]
        joined[name] = np.concatenate(arrays)
    return joined


def _stamp(record: Record) -> list[object]:
    """A record's id and what it contains; of a file, its size and time."""
    if isinstance(record.image, Path):
        about = record.image.stat() if record.image.exists() else None
        return [record.id, record.image.name, about and about.st_size, about and about.st_mtime_ns]
    if record.image is None:
        return [record.id, record.text]
    held = record.image if isinstance(record.image, bytes) else decode(record.image).tobytes()
    return [record.id, hash_value(held.hex())]
