"""States and roles -> one vector per row.

`table` lists the poolings and `spec` reads their names, without torch; `base`, `fixed` and `attentive` hold the
classes; `make` builds one from its name. Torch is loaded when a pooling is first used.
"""

from typing import TYPE_CHECKING, Any

from classtoken.pooling.spec import Spec, Term, parse, parse_many
from classtoken.pooling.table import POOLINGS, About

if TYPE_CHECKING:
    from classtoken.pooling.base import Pooling, PoolingInput, PoolingOptions, WeightedPooling
    from classtoken.pooling.build import make

__all__ = [
    "POOLINGS",
    "About",
    "Pooling",
    "PoolingInput",
    "PoolingOptions",
    "Spec",
    "Term",
    "WeightedPooling",
    "make",
    "parse",
    "parse_many",
]


def __getattr__(name: str) -> Any:
    if name in ("Pooling", "PoolingInput", "PoolingOptions", "WeightedPooling"):
        from classtoken.pooling import base

        return getattr(base, name)
    if name == "make":
        from classtoken.pooling.build import make

        return make
    raise AttributeError(f"module 'classtoken.pooling' has no attribute {name!r}")
