"""Arrays into JSON blocks and back: `{"dtype": "f32", "shape": [2, 3], "data": "<base64>"}`, C order, little endian."""

import base64
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from classtoken.errors import InternalError

Array = np.ndarray

_NAMES = {"float32": "f32", "float16": "f16", "uint8": "u8", "int32": "i32"}
_TYPES = {"f32": "<f4", "f16": "<f2", "u8": "u1", "i32": "<i4"}


def to_block(array: np.ndarray) -> dict[str, Any]:
    """An array as a block. float64 becomes f32 and int64 i32; a NaN is our mistake, for no page can show it."""
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype == np.int64:
        array = array.astype(np.int32)
    name = _NAMES.get(array.dtype.name)
    if name is None:
        raise InternalError(f"a block cannot hold {array.dtype.name}; it holds {', '.join(_NAMES)}")
    if array.dtype.kind == "f" and bool(np.isnan(array).any()):
        raise InternalError(f"a block of shape {array.shape} holds NaN")
    raw = np.ascontiguousarray(array, dtype=_TYPES[name]).tobytes()
    return {"dtype": name, "shape": list(array.shape), "data": base64.b64encode(raw).decode("ascii")}


def from_block(block: Mapping[str, Any]) -> np.ndarray:
    """The array of a block."""
    raw = base64.b64decode(block["data"])
    return np.frombuffer(raw, dtype=_TYPES[block["dtype"]]).reshape(block["shape"])


def plain(value: Any) -> Any:
    """Dataclasses, arrays, tuples and numpy scalars as what `json` can write."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return to_block(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        raise InternalError(f"the walkthrough holds {value}, which JSON cannot write")
    return value
