"""How the numbers of vectors are stored: as they are, in half, or in a byte by ranges of the folder's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from classtoken.errors import OutputError
from classtoken.results.base import Result

Store = Literal["fp32", "fp16", "int8"]
TYPES: Mapping[str, pa.DataType] = {"fp32": pa.float32(), "fp16": pa.float16(), "int8": pa.int8()}
#: What they are called.
NUMBERS: Mapping[str, str] = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
#: A byte holds -127 .. 127.
MOST = 127


@dataclass(frozen=True)
class Ranges(Result):
    """Of each number of a vector, the smallest and largest that a byte stands for.

    stored = round((x - middle) / step) cut to -127 .. 127, where middle = (low + high) / 2, step = (high - low) / 254.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Ranges":
        """Those of a sample of vectors."""
        low, high = vectors.min(axis=0), vectors.max(axis=0)
        return cls(tuple(map(float, low)), tuple(map(float, high)))

    def to_bytes(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors as int8."""
        whole: np.ndarray = np.rint((vectors - self._middle) / self._step)
        return np.clip(whole, -MOST, MOST).astype(np.int8)

    def to_floats(self, stored: np.ndarray) -> np.ndarray:
        """What is stored as float32."""
        return stored.astype(np.float32) * self._step + self._middle

    def clipped(self, vectors: np.ndarray) -> int:
        """How many numbers lie outside."""
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        return int(((vectors < low) | (vectors > high)).sum())

    @property
    def _middle(self) -> np.ndarray:
        return ((np.array(self.low) + np.array(self.high)) / 2).astype(np.float32)

    @property
    def _step(self) -> np.ndarray:
        step = (np.array(self.high) - np.array(self.low)) / (2 * MOST)
        return np.maximum(step, np.finfo(np.float32).tiny).astype(np.float32)


def to_stored(vectors: np.ndarray, store: Store, ranges: Ranges | None) -> np.ndarray:
    """Float32 vectors as they are stored."""
    if store == "int8" and ranges is None:
        if len(vectors):
            raise OutputError(
                "`store` int8 needs ranges, and no record of the sample has a vector; store fp16 instead."
            )
        return vectors.astype(np.int8)
    if store == "int8" and ranges is not None:
        return ranges.to_bytes(vectors)
    return vectors.astype(np.float16 if store == "fp16" else np.float32, copy=False)


def to_floats(stored: np.ndarray, ranges: Ranges | None) -> np.ndarray:
    """Stored numbers as float32."""
    if stored.dtype == np.int8:
        assert ranges is not None
        return ranges.to_floats(stored)
    return stored.astype(np.float32, copy=False)
