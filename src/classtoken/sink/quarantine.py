"""`_meta/quarantine.parquet`: id and reason of every record that gave nothing. One format for every verb."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from classtoken.places import Place, place_of
from classtoken.sink.manifest import META
from classtoken.sink.rows import table_in
from classtoken.values import Rejected

NAME = "quarantine.parquet"
SCHEMA = pa.schema([("id", pa.string()), ("reason", pa.string())])


def write_quarantine(folder: str | Path | Place, refused: Sequence[Rejected]) -> None:
    """Write the quarantine of a folder of results, also when nothing was refused. Raises `OutputError`."""
    columns = [[entry.id for entry in refused], [entry.reason for entry in refused]]
    table = pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], schema=SCHEMA)
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    place_of(folder).put(f"{META}/{NAME}", buffer.getvalue().to_pybytes())


def quarantine_is_whole(folder: str | Path | Place, count: int) -> bool:
    """Whether a quarantine is there and lists so many records."""
    try:
        return len(read_quarantine(folder)) == count
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return False


def read_quarantine(folder: str | Path | Place, first: int | None = None) -> tuple[Rejected, ...]:
    """What the quarantine of a folder of results lists, or the `first` few of it."""
    with place_of(folder).open(f"{META}/{NAME}") as file:
        rows = table_in(file).slice(0, first).to_pylist()
    return tuple(Rejected(row["id"], row["reason"]) for row in rows)
