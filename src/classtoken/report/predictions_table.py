"""`predictions.csv`: every record with what it was given, from the parts of a run of `predict`."""

import csv
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa

from classtoken.files import whole_file
from classtoken.measure.answers import AnsweredRecord, JudgedAnswers
from classtoken.run.classifying import PROBABILITIES, TYPICAL
from classtoken.sink import Vectors


def write_table(path: Path, found: Vectors, every: bool, answers: JudgedAnswers) -> None:
    """`predictions.csv` from the parts, one after another; each record is counted. What was given stands beside what a
    person looks it up by, and the probability of `every` label last; a label of its own where any record has one."""
    names = [f"p:{name}" for name in answers.labels] if every else []
    carried, beside = found.carried, found.manifest.beside
    labelled = any(label is not None for label in found.labels())
    known = [TYPICAL] if TYPICAL in found.columns else []
    with whole_file(path) as writing, writing.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        own = ["label"] if labelled else []
        table.writerow(["id", *own, "prediction", "probability", *known, *carried, *names])
        for part in found.tables(["id", *beside, PROBABILITIES, *known, *carried]):
            flat = _numbers(part, PROBABILITIES).reshape(-1, len(answers.labels))
            typical = _numbers(part, TYPICAL).tolist() if known else [None] * len(part)
            rest = zip(*(part.column(name).to_pylist() for name in carried), strict=True) if carried else repeat(())
            ids, labels, groups = (_values(part, name) for name in ("id", "label", "group"))
            for name, label, group, row, like, cells in zip(ids, labels, groups, flat, typical, rest, strict=False):
                answers.count(AnsweredRecord(name, label, row, group, cells[0] or "" if cells else "", like))
                given = ["" if label is None else "|".join(answers.given(label))] if labelled else []
                told = [] if like is None else [f"{like:.6f}"]
                probabilities = [f"{p:.6f}" for p in row] if every else []
                chosen = "|".join(answers.chosen(row))
                table.writerow([name, *given, chosen, f"{row.max():.6f}", *told, *cells, *probabilities])


def _values(part: pa.Table, name: str) -> list:
    """A column's values; None of each row where there is no such column."""
    return part.column(name).to_pylist() if name in part.column_names else [None] * len(part)


def _numbers(part: pa.Table, column: str) -> np.ndarray:
    """All numbers of a column of vectors, one row after another."""
    return part.column(column).combine_chunks().flatten().to_numpy(zero_copy_only=False)
