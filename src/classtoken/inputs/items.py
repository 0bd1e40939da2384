"""What a caller gives as items -> a list of them; one picture is one item, and what has no order is refused."""

from collections.abc import Iterable, Mapping, Set
from os import PathLike
from typing import Any

import numpy as np

from classtoken.errors import OptionError

TEXTS = "OUST"
"""kinds of numpy's arrays that may hold texts: objects, text of one length, bytes, StringDType"""


def listed(items: Any) -> list[Any]:
    """One item or many, as a list.

    One item is a text, a path, bytes, a Pillow image, an array (H, W) or (H, W, 1|3|4), or `{bytes, path}`. Many are a
    sequence or a column of a table, or an array (N, H, W, 1|3|4). Raises `OptionError` for tables, sets, other
    dictionaries and arrays of other shapes.
    """
    if isinstance(items, Mapping) and {"bytes", "path"} & items.keys():
        return [items.get("bytes") or items.get("path")]
    if isinstance(items, Mapping | Set):
        what = "a dictionary is not an item" if isinstance(items, Mapping) else "a set has no order"
        raise OptionError(f"{what}; give a list, so that it is clear which vector belongs to what.")
    columns = getattr(items, "columns", None) if hasattr(items, "columns") else getattr(items, "column_names", None)
    if columns is not None:
        names = [str(name) for name in getattr(items, "column_names", columns)]
        shown = ", ".join(map(repr, names[:20])) or "none"
        raise OptionError(f"a table is not a list of items; give one of its columns, which are {shown}.")
    if isinstance(items, np.ndarray):
        return _of_array(items)
    single = isinstance(items, str | bytes | bytearray | PathLike) or hasattr(items, "convert")
    if single or not isinstance(items, Iterable) or hasattr(items, "detach"):
        return [items]
    values: list[Any] = items.to_pylist() if hasattr(items, "to_pylist") else list(items)
    return values


def _of_array(items: np.ndarray) -> list[Any]:
    if items.dtype.kind in TEXTS and items.ndim == 1:
        return [str(item) for item in items] if items.dtype.kind in "US" else list(items)
    colours = items.ndim > 2 and items.shape[-1] in (1, 3, 4)
    if items.dtype.kind not in TEXTS and (items.ndim == 2 or (items.ndim == 3 and colours)):
        return [items]
    if items.ndim == 4 and colours:
        return list(items)
    raise OptionError(
        f"an array of shape {items.shape} and type {items.dtype} is neither one picture, (H, W) or (H, W, 1|3|4), nor "
        "several, (N, H, W, 1|3|4), nor a row of texts; give a list of items."
    )
