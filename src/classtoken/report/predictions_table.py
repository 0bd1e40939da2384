"""`predictions.csv`: every record with what it was given, from the parts of a run of `predict`."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa

from classtoken.files import whole_file
from classtoken.measure.answers import AnsweredRecord, JudgedAnswers
from classtoken.run.classifying import PROBABILITIES, TYPICAL
from classtoken.sink import Vectors


def write_table(path: Path, found: Vectors, every: bool, answers: JudgedAnswers) -> None:
    """`predictions.csv` from the parts, one after another; each record is counted."""
    carried, labels = found.carried, answers.labels
    with whole_file(path) as writing, writing.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        more = [*([f"p:{name}" for name in labels] if every else []), *carried]
        known = [TYPICAL] if TYPICAL in found.columns else []
        table.writerow(["id", "label", "prediction", "probability", *known, *more])
        for part in found.tables(["id", "label", "group", PROBABILITIES, *known, *carried]):
            flat = _numbers(part, PROBABILITIES)
            typical = _numbers(part, TYPICAL).tolist() if known else [None] * len(part)
            plain = [part.column(name).to_pylist() for name in ("id", "label", "group", *carried)]
            for row, like, *cells in zip(flat.reshape(-1, len(labels)), typical, *plain, strict=True):
                name, label, group, *rest = cells
                answers.count(AnsweredRecord(name, label, row, group, rest[0] or "" if rest else "", like))
                own = "" if label is None else "|".join(answers.given(label))
                told = [] if like is None else [f"{like:.6f}"]
                told += [f"{p:.6f}" for p in row if every]
                table.writerow([name, own, "|".join(answers.chosen(row)), f"{row.max():.6f}", *told, *rest])


def _numbers(part: pa.Table, column: str) -> np.ndarray:
    """All numbers of a column of vectors, one row after another."""
    return part.column(column).combine_chunks().flatten().to_numpy(zero_copy_only=False)
