"""Folders of vectors that are made up, without a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from classtoken.fingerprint import Fingerprint
from classtoken.sink import CarriedColumn, Manifest, ParquetSink, TaskRows
from classtoken.values import Record, Task

SPACE = "space of the made-up model"


def folder_of(
    path: Path,
    vectors: np.ndarray | Mapping[str, np.ndarray],
    *,
    carried: Mapping[str, Sequence[Any]] | None = None,
    labels: Sequence[str | None] | None = None,
    ids: Sequence[str] | None = None,
    part_rows: int = 100,
    space: str = SPACE,
    modality: str = "text",
) -> Path:
    """A finished folder with these vectors, `carried` columns and labels."""
    arrays = {"cls": vectors} if isinstance(vectors, np.ndarray) else dict(vectors)
    rows = len(next(iter(arrays.values())))
    columns = {name: array.shape[1] for name, array in arrays.items()}
    there = dict(carried or {})
    kinds = {name: pa.array(list(values)).type for name, values in there.items()}
    keep = tuple(
        CarriedColumn(name, "text" if name == "text" else "column", name, kind) for name, kind in kinds.items()
    )
    print_ = Fingerprint("w", "c", "p", modality, tuple(columns), None, "fp32", spaces=dict.fromkeys(columns, space))
    starts = range(0, rows, part_rows)
    manifest = Manifest(
        model="made-up",
        revision=None,
        source="numbers",
        kind="made-up",
        columns=columns,
        fingerprint=print_,
        plan="plan",
        tasks=len(starts),
        total=rows,
        carried=tuple(there),
    )
    with ParquetSink(path, manifest, keep) as sink:
        sink.begin()
        for number, start in enumerate(starts):
            stop = min(start + part_rows, rows)
            records = [
                Record(
                    ids[i] if ids else f"row{i}",
                    text=there["text"][i] if "text" in there else None,
                    label=labels[i] if labels else None,
                    meta={name: values[i] for name, values in there.items()},
                )
                for i in range(start, stop)
            ]
            task = Task(number, "shard", start, stop, start, start)
            sink.writer().write(TaskRows(task, records, {n: a[start:stop] for n, a in arrays.items()}, ()))
        sink.finish()
    return path
