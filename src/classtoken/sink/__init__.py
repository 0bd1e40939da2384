"""Vectors to disk and back: Parquet files, a manifest, a quarantine; resumable, never mixed."""

from classtoken.sink.base import PartWriter, Sink, TaskRows
from classtoken.sink.manifest import Manifest, Part, Receipt, read_manifest
from classtoken.sink.parquet import ParquetSink, check_place
from classtoken.sink.quarantine import read_quarantine, write_quarantine
from classtoken.sink.rows import CarriedColumn, carried_columns
from classtoken.sink.vectors import Vectors, read
from classtoken.sink.verify import verify

__all__ = [
    "CarriedColumn",
    "Manifest",
    "ParquetSink",
    "Part",
    "PartWriter",
    "Receipt",
    "Sink",
    "TaskRows",
    "Vectors",
    "carried_columns",
    "check_place",
    "read",
    "read_manifest",
    "read_quarantine",
    "verify",
    "write_quarantine",
]
