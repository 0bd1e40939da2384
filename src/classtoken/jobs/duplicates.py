"""Rows of a folder that are alike, and which of them would go."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from classtoken.destination import OutputFile, output_file
from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.nearest.asking import same_folders
from classtoken.nearest.carried import columns_of, values_at
from classtoken.nearest.duplicates import Alike, duplicates_between, duplicates_in
from classtoken.nearest.rows import column_of, without_in_words
from classtoken.options import DuplicatesOptions
from classtoken.report.duplicates import SUFFIXES, shown_pairs, write_duplicates
from classtoken.report.written import check_suffix
from classtoken.results.duplicates import PERCENTILES, DuplicatePair, DuplicatesResult, RemovedRow
from classtoken.results.lines import cell
from classtoken.sink import Vectors, read
from classtoken.values import Progress

NEAR_MISSES = 50
"""pairs below the threshold that are named"""


def duplicates(
    folder: str | Path,
    out: str | Path | None,
    options: DuplicatesOptions,
    *,
    report: Callable[[Progress], object] | None = None,
) -> DuplicatesResult:
    """Rows that are alike: see `classtoken.duplicates`."""
    place, start = _place(folder, out, options), time.monotonic()
    vectors = second = read(folder)
    column = column_of(vectors, options.column)
    if options.against is None:
        found = duplicates_in(vectors, column, options.above, options.keep, report=report)
    else:
        second = read(options.against)
        if Path(vectors.place.name).resolve() == Path(second.place.name).resolve():
            raise OptionError(
                f"`against` is '{options.against}', the folder itself: all its rows would go; leave it out."
            )
        other = (second, same_folders(vectors, column, second, "against"))
        found = duplicates_between(vectors, column, options.above, other, report=report)
    alone = 1 if options.against is None else 0  # a row has no nearest other row
    ids, theirs, table = vectors.ids, second.ids, found.table
    result = DuplicatesResult(
        folder=vectors.place.name,
        against=None if options.against is None else second.place.name,
        column=column,
        above=options.above,
        keep="the other folder's" if options.against is not None else options.keep,
        rows=len(vectors),
        pairs=_named(found.pairs, vectors, second),
        kept=tuple(identity for row, identity in enumerate(ids) if row not in found.gone),
        removed=tuple(ids[row] for row in sorted(found.gone)),
        because={ids[row]: RemovedRow(theirs[r.kept], r.score, r.equal) for row, r in sorted(found.gone.items())},
        near_misses=_named(list(islice(found.below, NEAR_MISSES)), vectors, second),
        nearest={str(percent): float(table.quantiles[percent * 10]) for percent in PERCENTILES if len(second) > alone},
        percentile=table.share_below(options.above),
        reused=table.reused,
        seconds=time.monotonic() - start,
        notes=without_in_words(vectors, column, table.without, "a vector to compare"),
    )
    first, others = ([pair.id for pair in result.shown], [pair.other for pair in result.shown])
    if second is vectors:
        result = replace(result, texts=_texts(vectors, [*first, *others]))
    else:
        result = replace(result, texts=_texts(vectors, first), other_texts=_texts(second, others))
    if place is not None:
        shown = shown_pairs(result)
        values = _values(vectors, [pair.id for pair in shown]), _values(second, [pair.other for pair in shown])
        write_duplicates(result, values, place)
    return result


def _named(pairs: Sequence[Alike], vectors: Vectors, second: Vectors) -> tuple[DuplicatePair, ...]:
    ids, theirs, labels, other_labels = vectors.ids, second.ids, vectors.labels(), second.labels()
    return tuple(
        DuplicatePair(ids[a], theirs[b], score, equal, labels[a], other_labels[b]) for a, b, score, equal in pairs
    )


def _texts(vectors: Vectors, ids: Sequence[str]) -> dict[str, str]:
    """The texts of these rows, or where their pictures are, in as many signs as a line has room for."""
    found = _values(vectors, ids)
    texts = {one: cell(row.get("text"), "text") or cell(row.get("path"), "path") for one, row in found.items()}
    named = {one for one, row in found.items() if str(row.get("path", "")).endswith(one)}  # the path says no more
    return {one: text for one, text in texts.items() if text and one not in named}


def _values(vectors: Vectors, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is carried beside these rows, by id."""
    wanted = set(ids)
    rows = [row for row, identity in enumerate(vectors.ids) if identity in wanted]
    found = values_at(vectors, np.array(rows, dtype=np.int64), columns_of(vectors))
    return {values.pop("id"): values for values in found}


def _place(folder: str | Path, out: str | Path | None, options: DuplicatesOptions) -> OutputFile | None:
    if out is None:
        return None
    check_suffix(user_path(out), SUFFIXES)
    work = (folder, {**vars(options), "overwrite": None})
    inputs = {"folder": folder, "other folder": options.against}
    return output_file(user_path(out), "duplicates", work, inputs=inputs, overwrite=options.overwrite)
