"""A record's value in a column that groups items: whichever part of the record holds it."""

from collections.abc import Sequence

from classtoken.comparison.splitting import cluster_numbers
from classtoken.errors import OptionError
from classtoken.measure.paired import Units
from classtoken.values import Record


def value_of(record: Record, column: str, group_column: str) -> str | None:
    """The value of a column as text; None where the record has none."""
    if column in record.meta:
        found = record.meta[column]
    elif column == group_column:
        found = record.group
    elif column in ("label", "id"):
        found = record.label if column == "label" else record.id
    else:
        return None
    if found is None:
        return None
    return "|".join(found) if isinstance(found, tuple) else str(found)


def values_of(records: Sequence[Record], column: str, group_column: str, option: str) -> list[str | None]:
    """The values of all records. Raises `OptionError` for a column that none of them has."""
    found = [value_of(record, column, group_column) for record in records]
    if records and all(value is None for value in found):
        names = sorted({*records[0].meta, *(["group"] if records[0].group is not None else [])})
        listed = f"they have {', '.join(names)}" if names else "they have no columns besides what is read"
        raise OptionError(f"no record has anything in the column '{column}' (`{option}`); {listed}.")
    return found


def clusters_of(
    records: Sequence[Record], column: str | None, group_column: str, audited: str | None
) -> tuple[list[str | None], str]:
    """The cluster of each record and what clusters are, in words: the named column, else the records' `group` (unless
    that is what is audited); an empty text where there are none."""
    if column is not None:
        return values_of(records, column, group_column, "cluster"), f"equal '{column}'"
    if audited != group_column and any(record.group is not None for record in records):
        return [record.group for record in records], f"equal '{group_column}'"
    return [None] * len(records), ""


def units_of(names: Sequence[str | None]) -> Units:
    """Clusters as units; every record on its own where there are none."""
    return Units.each(len(names)) if cluster_numbers(names) is None else Units.clusters(names)
