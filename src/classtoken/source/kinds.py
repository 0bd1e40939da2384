"""Column types of data without a schema, found by looking at every value."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

_INT64 = range(-(2**63), 2**63)


class Kinds:
    """The narrowest Arrow type that holds every value seen under a key: bool, int64, float64, else text.

    Whole numbers and fractions together are float64; any other mixture, lists and objects are kept as JSON text.
    """

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def see(self, row: Mapping[str, Any]) -> None:
        """Look at one row."""
        for name, value in row.items():
            kinds = self._seen.setdefault(name, set())
            if value is not None:
                kinds.add(_kind(value))

    def types(self) -> dict[str, pa.DataType]:
        """The type of each key, in the order in which the keys appeared."""
        return {name: _type(kinds) for name, kinds in self._seen.items()}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if value in _INT64 else "text"
    return "float" if isinstance(value, float) else "text"


def _type(kinds: set[str]) -> pa.DataType:
    if kinds == {"bool"}:
        return pa.bool_()
    if kinds == {"int"}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {"int", "float"} else pa.string()
