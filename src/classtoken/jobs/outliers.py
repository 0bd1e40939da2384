"""Odd rows of a folder, and labels that their neighbours contradict."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from classtoken.destination import output_file
from classtoken.files import user_path
from classtoken.nearest.carried import columns_of, renamed, values_at
from classtoken.nearest.graph import neighbours
from classtoken.nearest.keeping import equals
from classtoken.nearest.outliers import contradicted_labels, disputed_groups, odd_rows
from classtoken.nearest.pairs import contents
from classtoken.nearest.rows import column_of, unit_matrix, without_in_words
from classtoken.options import OutliersOptions
from classtoken.report.outliers import SUFFIXES, write_outliers
from classtoken.report.written import check_suffix
from classtoken.results.base import counted
from classtoken.results.outliers import EqualRows, OutliersResult
from classtoken.sink import Vectors, read
from classtoken.values import Progress

SEVERAL = "|"
"""between the labels of a row that has several"""


def outliers(
    folder: str | Path,
    out: str | Path | None,
    options: OutliersOptions,
    *,
    report: Callable[[Progress], object] | None = None,
) -> OutliersResult:
    """Odd rows and contradicted labels: see `classtoken.outliers`."""
    place = None
    if out is not None:
        check_suffix(user_path(out), SUFFIXES)
        work = (folder, {**vars(options), "overwrite": None})
        place = output_file(user_path(out), "outliers", work, inputs={"folder": folder}, overwrite=options.overwrite)
    vectors, start = read(folder), time.monotonic()
    matrix, without = unit_matrix(vectors, column_of(vectors, options.column))
    labels = [None if label is None or SEVERAL in label else label for label in vectors.labels()]
    same = equals(contents(vectors))
    rows, disputed = same.representatives, disputed_groups(same, labels)
    for row in disputed:
        labels[row] = None  # one of them is wrong, so none votes
    near = neighbours(matrix[torch.from_numpy(rows)], options.k, report=report)
    kept = [labels[row] for row in rows]
    odd, contradicted = odd_rows(near), contradicted_labels(near, kept)
    first_odd, first = odd[: options.most], contradicted[: options.most]
    odd_values = _values(vectors, rows[[one.row for one in first_odd]])
    values = _values(vectors, rows[[one.row for one in first]])
    result = OutliersResult(
        folder=vectors.place.name,
        column=column_of(vectors, options.column),
        rows=len(vectors),
        k=min(options.k, len(rows) - 1),
        odd=tuple(
            {**value, "score": one.similarity, "deviations": one.deviations}
            for one, value in zip(first_odd, odd_values, strict=True)
        ),
        contradicted=tuple(
            {**value, "label": one.label, "suggested": one.suggested, "own": one.own, "votes": one.votes}
            for one, value in zip(first, values, strict=True)
        ),
        found=len(contradicted),
        labelled=sum(label is not None for label in vectors.labels()),
        seconds=time.monotonic() - start,
        notes=_notes(
            vectors,
            without_in_words(vectors, column_of(vectors, options.column), int(without.sum()), "a vector to compare"),
            len(vectors) - len(rows),
        ),
        disputed=tuple(
            EqualRows(tuple(_values(vectors, np.array(members)))) for members in list(disputed.values())[: options.most]
        ),
    )
    if place is not None:
        write_outliers(result, place)
    return result


def _values(vectors: Vectors, rows: np.ndarray) -> list[dict[str, Any]]:
    found = values_at(vectors, rows.astype(np.int64), columns_of(vectors))
    return [{"id": values.pop("id"), **renamed(values)} for values in found]


def _notes(vectors: Vectors, without: tuple[str, ...], copies: int) -> tuple[str, ...]:
    notes = []
    if copies:
        held = f"{counted(copies, 'row')} that hold{'s' * (copies == 1)} what an earlier one holds"
        notes.append(f"{held}: all copies of one count once")
    notes += without
    several = sum(label is not None and SEVERAL in label for label in vectors.labels())
    if several:
        notes.append(f"{counted(several, 'row')} with several labels, which are not looked at here")
    return tuple(notes)
