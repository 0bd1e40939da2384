"""The rows of a folder that are most like a query."""

import time
from pathlib import Path
from typing import Any

import torch

from classtoken.destination import output_file
from classtoken.embedder import Embedder
from classtoken.files import user_path
from classtoken.nearest.approximate import open_index
from classtoken.nearest.asking import asked
from classtoken.nearest.carried import columns_of, renamed, rows_where, values_at
from classtoken.nearest.rows import ChosenRows, FileRows, Rows, column_of
from classtoken.nearest.scan import Found
from classtoken.nearest.scan import search as scan
from classtoken.nearest.where import parse
from classtoken.options import SearchOptions
from classtoken.report.search import SUFFIXES, write_search
from classtoken.report.written import check_suffix
from classtoken.results.search import QueryHits, SearchResult
from classtoken.sink import Vectors, read


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
    vectors = read(folder)
    column = column_of(vectors, options.column)
    condition = None if options.where is None else parse(options.where, columns_of(vectors))
    what = asked(vectors, column, query, options, embedder)
    start = time.monotonic()
    rows: Rows = FileRows(vectors, column)
    if condition is not None:
        rows = ChosenRows(rows, rows_where(vectors, condition))
    usual = condition is None and options.similarity == "cosine" and not options.exact
    index = open_index(vectors, column) if usual else None
    wanted = options.k + (what.itself is not None)
    approximate = None if index is None else index.search(what.vectors, wanted)
    found = approximate or scan(rows, what.vectors, wanted, similarity=options.similarity)
    hits = _hits(vectors, _without(found, what.itself, options), options)
    result = SearchResult(
        folder=vectors.place.name,
        column=column,
        similarity=options.similarity,
        rows=len(vectors),
        searched=rows.count,
        k=options.k,
        above=options.above,
        where=options.where,
        model=what.model,
        prompt=what.prompt,
        exact=approximate is None,
        recall=None if index is None or approximate is None else index.about.recall,
        seconds=time.monotonic() - start,
        hits=hits[0] if what.single else (),
        queries=() if what.single else tuple(map(QueryHits, what.names, hits)),
        notes=_notes(found),
    )
    if place is not None:
        write_search(result, what.names, place)
    return result


def _without(found: Found, itself: int | None, options: SearchOptions) -> list[list[tuple[int, float]]]:
    """Places and scores of each query's hits: without the row that the query is, and above the threshold."""
    least = -torch.inf if options.above is None else options.above
    kept = []
    for places, scores in zip(found.places.tolist(), found.scores.tolist(), strict=True):
        row = [(p, s) for p, s in zip(places, scores, strict=True) if p >= 0 and p != itself and s >= least]
        kept.append(row[: options.k])
    return kept


def _hits(
    vectors: Vectors, kept: list[list[tuple[int, float]]], options: SearchOptions
) -> list[tuple[dict[str, Any], ...]]:
    """Hits with what is carried, read once for all queries."""
    places = sorted({place for row in kept for place, _ in row})
    values = values_at(vectors, torch.tensor(places, dtype=torch.int64), columns_of(vectors))
    at = dict(zip(places, values, strict=True))
    return [
        tuple({"id": at[place]["id"], "score": score, **_others(at[place])} for place, score in row) for row in kept
    ]


def _others(values: dict[str, Any]) -> dict[str, Any]:
    return renamed({name: value for name, value in values.items() if name != "id"})


def _notes(found: Found) -> tuple[str, ...]:
    if not found.without:
        return ()
    return (f"{found.without} rows have no score: numbers in them are not finite, or all are zero",)
