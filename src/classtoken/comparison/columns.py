"""A record's value in a column that groups items: whichever part of the record holds it."""

from collections.abc import Mapping, Sequence

from classtoken.comparison.splitting import cluster_numbers
from classtoken.errors import OptionError
from classtoken.measure.paired import Units
from classtoken.values import Record

PARTS = ("id", "text", "label", "group")
"""parts of a record that may group items, by which they may be named too"""


def value_of(record: Record, column: str, called: Mapping[str, str]) -> str | None:
    """The value of a column as text, where `called` says which column each part of the record came from (`label` ->
    `Team`); None where the record has none."""
    part = next((part for part, name in called.items() if name == column), column)
    if column in record.meta:
        found = record.meta[column]
    elif part in PARTS:
        found = getattr(record, part)
    else:
        return None
    if found is None:
        return None
    return "|".join(found) if isinstance(found, tuple) else str(found)


def values_of(records: Sequence[Record], column: str, called: Mapping[str, str], option: str) -> list[str | None]:
    """The values of all records. Raises `OptionError` for a column that none of them has."""
    found = [value_of(record, column, called) for record in records]
    if records and all(value is None for value in found):
        there = [called.get(part, part) for part in PARTS if getattr(records[0], part) is not None]
        names = sorted({*records[0].meta, *there})
        raise OptionError(
            f"no record has anything in the column '{column}' (`{option}`); they have {', '.join(names)}."
        )
    return found


def clusters_of(
    records: Sequence[Record], column: str | None, called: Mapping[str, str], audited: str | None
) -> tuple[list[str | None], str]:
    """The cluster of each record and what clusters are, in words: the named column, else the records' `group` (unless
    that is what is audited); an empty text where there are none."""
    if column is not None:
        return values_of(records, column, called, "cluster"), f"equal '{column}'"
    name = called.get("group", "group")
    if audited not in (name, "group") and any(record.group is not None for record in records):
        return [record.group for record in records], f"equal '{name}'"
    return [None] * len(records), ""


def units_of(names: Sequence[str | None]) -> Units:
    """Clusters as units; every record on its own where there are none."""
    return Units.each(len(names)) if cluster_numbers(names) is None else Units.clusters(names)
