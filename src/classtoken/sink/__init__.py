"""Vectors to disk and back: Parquet files, a manifest, a quarantine; resumable, never mixed."""

from classtoken.sink.manifest import Manifest, Part, read_manifest
from classtoken.sink.parquet import ParquetSink, write_quarantine
from classtoken.sink.vectors import Vectors, read
from classtoken.sink.verify import verify

__all__ = ["Manifest", "ParquetSink", "Part", "Vectors", "read", "read_manifest", "verify", "write_quarantine"]
