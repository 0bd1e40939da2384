"""`quarantine.parquet`: id and reason of every record that gave nothing. One format for every verb."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.files import whole_file
from classtoken.values import Rejected

NAME = "quarantine.parquet"
SCHEMA = pa.schema([("id", pa.string()), ("reason", pa.string())])


def write_quarantine(folder: Path, refused: Sequence[Rejected]) -> None:
    """Write `folder/quarantine.parquet`, also when nothing was refused. Raises `OutputError`."""
    columns = [[entry.id for entry in refused], [entry.reason for entry in refused]]
    table = pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], schema=SCHEMA)
    with whole_file(folder / NAME) as temporary:
        pq.write_table(table, temporary)


def read_quarantine(folder: Path, first: int | None = None) -> tuple[Rejected, ...]:
    """What `folder/quarantine.parquet` lists, or the `first` few of it."""
    rows = pq.read_table(folder / NAME).slice(0, first).to_pylist()
    return tuple(Rejected(row["id"], row["reason"]) for row in rows)
