"""States and roles -> one vector per row.

`spec` names poolings and needs no torch; `base`, `fixed` and `attentive` hold them; `make` builds one from its name.
Torch is loaded when a pooling is first used.
"""

from typing import TYPE_CHECKING, Any

from classtoken.pooling.spec import POOLINGS, Spec, Term, parse, parse_many

if TYPE_CHECKING:
    from classtoken.pooling.base import Pooling, WeightedPooling
    from classtoken.pooling.build import make

__all__ = ["POOLINGS", "Pooling", "Spec", "Term", "WeightedPooling", "make", "parse", "parse_many"]


def __getattr__(name: str) -> Any:
    if name in ("Pooling", "WeightedPooling"):
        from classtoken.pooling import base

        return getattr(base, name)
    if name == "make":
        from classtoken.pooling.build import make

        return make
    raise AttributeError(f"module 'classtoken.pooling' has no attribute {name!r}")
