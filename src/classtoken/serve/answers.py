"""Vectors -> the body of an answer, as OpenAI's clients read it."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def numbers(vectors: np.ndarray) -> list[str]:
    """Each row as the inside of a JSON list: the shortest decimals that give the same 32-bit numbers back.

    Arrow writes them outside Python's lock, an order of magnitude faster than `json` does.
    """
    rows, size = vectors.shape
    written = pc.cast(pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1)), pa.string())
    ends = pa.array(np.arange(0, rows * size + 1, size, dtype=np.int32))
    joined: list[str] = pc.binary_join(pa.ListArray.from_arrays(ends, written), ",").to_pylist()
    return joined


def embeddings(vectors: np.ndarray, encoding: str, cut: Sequence[int], rest: Mapping[str, Any]) -> bytes:
    """The whole body: a list of embeddings in the order of the inputs, and `rest`.

    encoding: `base64` (32-bit numbers, little end first) or `float`. cut: per input, the tokens that did not fit.
    """
    if encoding == "base64":
        rows = np.ascontiguousarray(vectors, "<f4")
        written = [f'"{base64.b64encode(row.tobytes()).decode()}"' for row in rows]
    else:
        written = [f"[{row}]" for row in numbers(vectors)]
    entries = ",".join(
        f'{{"object":"embedding","index":{place},"embedding":{vector},"truncated":{"true" if lost else "false"}}}'
        for place, (vector, lost) in enumerate(zip(written, cut, strict=True))
    )
    others = json.dumps(rest)[1:-1]
    return f'{{"object":"list","data":[{entries}],{others}}}'.encode()


def shortened(vectors: np.ndarray, size: int, unit_length: bool) -> np.ndarray:
    """The first `size` numbers of every vector, again of unit length where they were."""
    kept = vectors[:, :size]
    if not unit_length:
        return kept
    lengths = np.linalg.norm(kept, axis=1, keepdims=True)
    return kept / np.where(lengths > 0, lengths, 1)
