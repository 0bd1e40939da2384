"""The rows of a folder that are most like a query."""

from pathlib import Path
from typing import Any

from classtoken.destination import output_file
from classtoken.embedder import Embedder
from classtoken.files import user_path
from classtoken.nearest.searcher import Searcher
from classtoken.options import SearchOptions
from classtoken.report.search import SUFFIXES, write_search
from classtoken.report.written import check_suffix
from classtoken.results.search import SearchResult


def search(
    folder: str | Path,
    query: Any,
    out: str | Path | None,
    options: SearchOptions,
    *,
    embedder: Embedder | None = None,
) -> SearchResult:
    """The rows of a folder that are most like a query: see `classtoken.search`."""
    place = None
    if out is not None:
        check_suffix(user_path(out), SUFFIXES)
        work = (folder, query, {**vars(options), "overwrite": None})
        place = output_file(user_path(out), "search", work, inputs={"folder": folder}, overwrite=options.overwrite)
    searcher = Searcher(folder, model=embedder, resident=False, options=options)
    what, result = searcher.answered(query, options)
    if place is not None:
        write_search(result, what.names, place)
    return result
