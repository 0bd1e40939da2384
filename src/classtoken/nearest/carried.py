"""What is carried beside the vectors of some rows, and which rows a condition holds for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.nearest.rows import by_file, read_ahead
from classtoken.nearest.where import Condition
from classtoken.sink import Vectors

SOURCE = "_source"
"""what is added to the name of a carried column that a result has itself"""
OWN = ("id", "score", "other")
"""names that results give to what they found out"""


def columns_of(vectors: Vectors) -> tuple[str, ...]:
    """The columns beside the vectors: id, label, group and what is carried."""
    return ("id", *vectors.manifest.beside, *vectors.carried)


def rows_where(vectors: Vectors, condition: Condition) -> np.ndarray:
    """The places of the rows that a condition holds for, ascending; only its columns are read."""
    found, begin = [np.empty(0, dtype=np.int64)], 0
    for table in read_ahead(vectors, list(condition.columns)):
        found.append(begin + np.flatnonzero(condition.holds(table)))
        begin += table.num_rows
    return np.concatenate(found)


def values_at(
    vectors: Vectors, places: Tensor | np.ndarray | Sequence[int], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """These columns of these rows, in the order of `places`, as JSON's own types; what is empty is left out."""
    found: list[dict[str, Any]] = [{} for _ in range(len(places))]
    for number, inside in by_file(vectors, places).items():
        table = vectors.part(number, list(columns)).take([row for _, row in inside])
        for (index, _), row in zip(inside, table.to_pylist(), strict=True):
            found[index] = {name: plain for name, value in row.items() if (plain := _plain(value)) is not None}
    return found


def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Carried values under names that a result does not have itself: a column `score` is `score_source`."""
    return {name + SOURCE if name in OWN else name: value for name, value in values.items()}


def place_of(vectors: Vectors, identity: str) -> int:
    """Which row has an id. Raises `OptionError` where none has."""
    begin = 0
    for table in read_ahead(vectors, ["id"]):
        at = pc.index(table.column("id"), identity).as_py()
        if at >= 0:
            return begin + at
        begin += table.num_rows
    raise OptionError(f"{vectors.place.name} has no vector with the id '{identity}'; ids are as the source had them.")


def _plain(value: Any) -> Any:
    """A value of a column as JSON's own types."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value)
