"""Inputs -> vectors, as the checkpoint's authors meant it: preprocessing + encoder + readout under one contract."""

from classtoken.embedder.checks import check_names
from classtoken.embedder.embedder import PRECISIONS, Embedder, Precision
from classtoken.embedder.loading import load
from classtoken.embedder.tower import Tower, preprocessor

__all__ = [
    "PRECISIONS",
    "Embedder",
    "Precision",
    "Tower",
    "check_names",
    "load",
    "preprocessor",
]
