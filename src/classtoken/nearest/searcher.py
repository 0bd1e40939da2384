"""A folder of vectors that is asked: once from its files, or again and again from memory."""

import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from classtoken.embedder import Embedder, name_of
from classtoken.nearest.approximate import ApproximateIndex, open_index
from classtoken.nearest.asking import Asked, asked, model_of
from classtoken.nearest.carried import columns_of, renamed, rows_where, values_at
from classtoken.nearest.coded import CodedRows, quick
from classtoken.nearest.rows import ChosenRows, FileRows, ResidentRows, Rows, Similarity, column_of, without_in_words
from classtoken.nearest.scan import Found, search
from classtoken.nearest.where import parse
from classtoken.options import SearchOptions
from classtoken.options.base import refuse_given
from classtoken.places import Place
from classtoken.results.base import counted
from classtoken.results.search import QueryHits, SearchResult
from classtoken.sink import Vectors, read

USUAL = SearchOptions()
WORTH_CODING = 1 << 24
"""numbers in memory below which reading all of them takes no time anyway"""


class Searcher:
    """A folder of vectors that stays in memory with its model, for who asks often.

    Answers are exact. Of many vectors a copy in 8-bit numbers is made when the first query comes, a quarter of their
    size, where this processor multiplies those quicker. The folder is read as it is now: after `embed --update` make
    another one (`stale` says so).

    folder: of vectors. model: for queries, in place of the folder's own; an `Embedder` saves loading it again.
    resident: False reads the files for every query, and asks the folder's index where it has one. options: what holds
    for all queries: the column, the prompt, the similarity, the device.

    Raises `OutputError` where there are no vectors, `OptionError` where several are there and none is named.
    """

    def __init__(
        self,
        folder: str | Path | Place,
        *,
        model: str | Path | Embedder | None = None,
        resident: bool = True,
        options: SearchOptions = USUAL,
    ):
        if isinstance(model, Embedder):
            refuse_given(options, ("device", "revision", "accept"), "not with an Embedder, which has its own")
        self.vectors: Vectors = read(folder)
        self.column = column_of(self.vectors, options.column)
        self.resident = resident
        self._given = model if isinstance(model, Embedder) else None
        self.options = options if model is None or self._given else replace(options, model=name_of(model))
        self._coded: dict[Similarity, CodedRows] = {}
        self.rows: Rows = (
            ResidentRows(self.vectors.matrix(self.column)) if resident else FileRows(self.vectors, self.column)
        )

    def __repr__(self) -> str:
        return f"Searcher({self.vectors.place.name!r}, {counted(len(self.vectors), 'vector')} '{self.column}')"

    @cached_property
    def embedder(self) -> Embedder:
        """The model for queries, loaded with the first one that needs it."""
        return self._given or model_of(self.vectors, self.options)

    @property
    def pooling(self) -> str | None:
        """The pooling with which the model gives vectors of this space; None for its own."""
        wanted = self.vectors.manifest.fingerprint.spaces.get(self.column)
        sides = [self.embedder.fingerprint(modality=side).spaces for side in self.embedder.modalities]
        return None if any(wanted in spaces.values() for spaces in sides) else self.column

    @property
    def reader(self) -> Embedder:
        """The model for queries, whose own vector is one of this space."""
        return self.embedder if self.pooling is None else self.embedder.reading_out(self.pooling)

    @property
    def stale(self) -> bool:
        """Whether the folder holds other vectors by now."""
        return [part.file for part in read(self.vectors.place).manifest.parts] != [
            part.file for part in self.vectors.manifest.parts
        ]

    def search(
        self,
        query: Any = None,
        *,
        id: str | None = None,
        k: int = 10,
        above: float | None = None,
        where: str | None = None,
    ) -> SearchResult:
        """The rows that are most like a query, each of several in a list, or the row called `id`: what
        `classtoken.search` gives, and raises."""
        return self.answered(query, replace(self.options, id=id, k=k, above=above, where=where))[1]

    def answered(self, query: Any, options: SearchOptions) -> tuple[Asked, SearchResult]:
        """What was asked for as vectors, and what is like it."""
        chosen = self.chosen(options)
        what = asked(self.vectors, self.column, query, options, lambda: self.embedder)
        return what, self.found(what, options, chosen)

    def chosen(self, options: SearchOptions) -> Rows:
        """The rows that the options' condition leaves. Raises `OptionError` for one that cannot be read."""
        if options.where is None:
            return self.rows
        condition = parse(options.where, columns_of(self.vectors), self.vectors.manifest.called)
        return ChosenRows(self.rows, rows_where(self.vectors, condition))

    def found(self, what: Asked, options: SearchOptions, chosen: Rows | None = None) -> SearchResult:
        """What is like these vectors, among `chosen` rows (those of the options' condition)."""
        start = time.monotonic()
        rows = self.chosen(options) if chosen is None else chosen
        index = self._index(options)
        wanted = options.k + (what.itself is not None)
        approximate = None if index is None else index.search(what.vectors, wanted)
        nearest = approximate or self._nearest(rows, what.vectors, wanted, options.similarity)
        hits = self._hits(_kept(nearest, what.itself, options))
        left_out = without_in_words(self.vectors, self.column, nearest.without, "a score", whole=options.where is None)
        return SearchResult(
            folder=self.vectors.place.name,
            column=self.column,
            similarity=options.similarity,
            rows=len(self.vectors),
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
            notes=(*what.notes, *left_out),
        )

    def _index(self, options: SearchOptions) -> ApproximateIndex | None:
        if self.resident or options.exact or options.where is not None or options.similarity != "cosine":
            return None
        index = open_index(self.vectors, self.column)
        # Of more rows than its recall was measured on nobody knows it: far fewer of them lie in the same partitions.
        return index if index is not None and options.k <= index.about.k else None

    def _nearest(self, rows: Rows, queries_QD: Tensor, k: int, similarity: Similarity) -> Found:
        if not isinstance(rows, ResidentRows) or rows.matrix.numel() < WORTH_CODING or not quick():
            return search(rows, queries_QD, k, similarity=similarity)
        if similarity not in self._coded:
            self._coded[similarity] = CodedRows(rows, similarity)
        return self._coded[similarity].search(queries_QD, k)

    def _hits(self, kept: list[list[tuple[int, float]]]) -> list[tuple[dict[str, Any], ...]]:
        """Hits with what is carried, read once for all queries."""
        places = sorted({place for row in kept for place, _ in row})
        values = values_at(self.vectors, torch.tensor(places, dtype=torch.int64), columns_of(self.vectors))
        at = dict(zip(places, values, strict=True))
        return [
            tuple({"id": at[place]["id"], "score": score, **_others(at[place])} for place, score in row) for row in kept
        ]


def _kept(found: Found, itself: int | None, options: SearchOptions) -> list[list[tuple[int, float]]]:
    """Places and scores of each query's hits: without the row that the query is, and above the threshold."""
    least = -torch.inf if options.above is None else options.above
    kept = []
    for places, scores in zip(found.places.tolist(), found.scores.tolist(), strict=True):
        row = [(p, s) for p, s in zip(places, scores, strict=True) if p >= 0 and p != itself and s >= least]
        kept.append(row[: options.k])
    return kept


def _others(values: dict[str, Any]) -> dict[str, Any]:
    return renamed({name: value for name, value in values.items() if name != "id"})
