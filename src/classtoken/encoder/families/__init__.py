"""The table of families."""

from classtoken.encoder.families.table import FAMILIES, family_of

__all__ = ["FAMILIES", "family_of"]
