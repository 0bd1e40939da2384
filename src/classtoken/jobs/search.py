"""The rows of a folder that are most like a query."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classtoken.destination import output_file
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.jobs.explain_pair import explain_pair
from classtoken.nearest.carried import columns_of, place_of, values_at
from classtoken.nearest.searcher import Searcher
from classtoken.options import ExplainPairOptions, SearchOptions
from classtoken.options.base import refuse_given
from classtoken.report.search import SUFFIXES, write_search
from classtoken.report.written import check_suffix
from classtoken.results.search import SearchResult
from classtoken.values import Modality, written_path

#: Options that say how an input is read.
OF_INPUTS = ("modality", "prompt", "prompt_text")


def search(
    folder: str | Path,
    query: Any,
    out: str | Path | None,
    options: SearchOptions,
    *,
    embedder: Embedder | None = None,
) -> SearchResult:
    """The rows of a folder that are most like a query: see `classtoken.search`."""
    _check_used(options)
    place = None
    if out is not None:
        check_suffix(user_path(out), SUFFIXES)
        work = (folder, query, {**vars(options), "overwrite": None})
        place = output_file(user_path(out), "search", work, inputs={"folder": folder}, overwrite=options.overwrite)
    if options.explain is not None:
        check_suffix(user_path(options.explain), SUFFIXES)
        # Before any work; whether it is of the same work is known once the best row is.
        output_file(user_path(options.explain), "explain", (), inputs={"folder": folder}, overwrite=True)
    searcher = Searcher(folder, model=embedder, resident=False, options=options)
    what, result = searcher.answered(query, options)
    if place is not None:
        write_search(result, what.names, what.rows, place)
    if options.explain is not None:
        _explained(searcher, query, options, result, texts=bool(what.rows) and "text" in what.rows[0])
    return result


def _check_used(options: SearchOptions) -> None:
    """Raises `OptionError` for an option that would move nothing: a person who gave it expects that it does."""
    if options.queries is None:
        refuse_given(options, ["source_options"], "only with `queries`, a file of many of them")
    if options.id is not None:
        refuse_given(options, OF_INPUTS, "not with `id`, a row whose vector is there already")


def _explained(searcher: Searcher, query: Any, options: SearchOptions, result: SearchResult, *, texts: bool) -> None:
    """Write why the best row is like the query; `texts`: a text. Raises `OptionError` where there is no pair."""
    if result.queries or not result.hits:
        there = f"there are {len(result.queries)} queries" if result.queries else "nothing was found"
        raise OptionError(f"`explain` is of one query and its best row, and {there}.")
    made_of = searcher.vectors.manifest.fingerprint.modality
    if options.id is not None:
        (asked,) = values_at(searcher.vectors, [place_of(searcher.vectors, options.id)], columns_of(searcher.vectors))
        item = _input(asked, options.id, made_of)
    else:
        item = next(one for one in (query, options.text, options.image) if one is not None)
        item = item[0] if isinstance(item, list | tuple) else item
    best = _input(result.hits[0], str(result.hits[0]["id"]), made_of)
    side: Modality | None = "text" if texts and isinstance(best, str) else None
    of = ExplainPairOptions(pooling=searcher.pooling, modality=side, overwrite=options.overwrite)
    explain_pair(searcher.embedder, [item, best], options.explain, of)


def _input(row: Mapping[str, Any], identity: str, made_of: str) -> Any:
    """What a row was made of, as it is carried: beside a picture may stand words about it."""
    if made_of == "text" and isinstance(row.get("text"), str):
        return row["text"]
    path = row.get("path")
    if made_of == "image" and isinstance(path, str) and (file := written_path(path)).is_file():
        return file
    raise OptionError(f"`explain` needs the text or the picture of '{identity}', which the folder does not carry.")
