"""An approximate index of a folder of vectors."""

import time
from collections.abc import Callable
from pathlib import Path

from classtoken.nearest.approximate import build_index
from classtoken.nearest.rows import column_of
from classtoken.options import IndexOptions
from classtoken.results.index import IndexResult
from classtoken.sink import read
from classtoken.values import Progress


def index(
    folder: str | Path, options: IndexOptions, *, report: Callable[[Progress], object] | None = None
) -> IndexResult:
    """Make an index that keeps a recall: see `classtoken.index`."""
    vectors, start = read(folder), time.monotonic()
    column = column_of(vectors, options.column)
    made = build_index(vectors, column, options.recall, options.k, report=report)
    return IndexResult(
        folder=vectors.place.name,
        column=column,
        rows=len(vectors),
        asked=options.recall,
        recall=made.recall,
        low=made.low,
        high=made.high,
        k=made.k,
        queries=made.queries,
        probes=made.settings.probes,
        refine=made.settings.refine,
        seconds=time.monotonic() - start,
    )
