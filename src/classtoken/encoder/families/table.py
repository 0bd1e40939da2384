"""FAMILIES: every encoder that is read natively, gathered from the modules of this folder.

A row is written in one place, its own module; loader, parity tests and docs go through these tables. Rows of other
packages come behind them, by the entry points `classtoken.families`.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from classtoken.encoder.families.row import Config, Family, FamilyPair
from classtoken.extensions import extensions

Row = TypeVar("Row", Family, FamilyPair)


def _written(kind: type[Row]) -> tuple[Row, ...]:
    """Every value of a kind at the top of a module of this folder, by the modules' names, in the order written."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path != Path(__file__))
    values = (value for name in names for value in vars(import_module(f"{__package__}.{name}")).values())
    return tuple({id(value): value for value in values if isinstance(value, kind)}.values())


_ROWS = _written(Family)
FAMILIES: tuple[Family, ...] = tuple(row for row in _ROWS if row.types)
#: Rows for the layouts of other libraries, which name no model_type.
DIALECTS: tuple[Family, ...] = tuple(row for row in _ROWS if not row.types)
#: Models of two sides that meet in one space: `model_type` -> the rows of the image side and of the text side.
PAIRS: Mapping[str, tuple[Family, Family]] = {
    kind: (pair.image, pair.text) for pair in _written(FamilyPair) for kind in pair.types
}


def family_of(config: Config) -> Family | None:
    """The row that reads configs of this model_type, ours before those of other packages; None when none does."""
    kind = config.get("model_type")
    ours = next((family for family in FAMILIES if kind in family.types and family.reads(config)), None)
    if ours is not None or not kind:
        return ours
    return next((family for family in extensions("families", Family) if kind in family.types), None)
