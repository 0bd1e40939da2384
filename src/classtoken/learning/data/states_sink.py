"""States of every token to files that are read row by row: `part-00000.npy` (rows, L, D) and its roles beside it."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classtoken.fingerprint import hash_bytes
from classtoken.places import Place
from classtoken.sink import Manifest, ParquetSink, Part, Receipt, TaskRows
from classtoken.sink.parquet import commit

STATES, ROLES = "states", "roles"


@dataclass(frozen=True)
class StatesPartWriter:
    """Writes the states of one task, then its receipt."""

    place: Place

    def write(self, rows: TaskRows) -> Receipt:
        """Two arrays, then the receipt."""
        number = rows.task.number
        roles, states = rows.vectors[ROLES].astype(np.int8), rows.vectors[STATES]
        content, name = _npy(states.reshape(len(states), roles.shape[1], -1)), f"part-{number:05d}.npy"
        self.place.put(f"roles-{number:05d}.npy", _npy(roles))
        self.place.put(name, content)
        part = Part(number, name, len(states), len(content), hash_bytes(content), len(rows.refused))
        return commit(self.place, Receipt(part, tuple(rows.refused)))


class StatesSink(ParquetSink):
    """Owns a folder of states as `ParquetSink` owns one of vectors."""

    def writer(self) -> StatesPartWriter:  # type: ignore[override]
        """What writes a part."""
        return StatesPartWriter(self.folder)


def open_states(folder: Path, manifest: Manifest) -> tuple[tuple[NDArray, ...], Tensor]:
    """The states of a finished folder, mapped into memory part by part, and all roles (N, L)."""
    parts = tuple(np.load(folder / part.file, mmap_mode="r") for part in manifest.parts if part.rows)
    roles = [np.load(folder / f"roles-{part.task:05d}.npy") for part in manifest.parts if part.rows]
    return parts, torch.from_numpy(np.concatenate(roles))


def _npy(array: NDArray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
