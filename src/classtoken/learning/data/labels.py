"""From the labels of records to numbers, and what cannot be learned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from classtoken.errors import TrainingError
from classtoken.values import Record

Task = Literal["single", "multi"]
"""one label a row, or any number of them"""


@dataclass(frozen=True)
class Labelling:
    """All labels in order, whether rows may have several, and a target per row: (N,) numbers, or (N, C) of 0 and 1."""

    labels: tuple[str, ...]
    several: bool
    targets: Tensor


def labelling(records: Sequence[Record]) -> Labelling:
    """The labels of records as numbers. Raises `TrainingError` for records that cannot be learned from."""
    labels, several = classes_of(records)
    check(records, labels)
    return Labelling(labels, several, targets_of(records, labels, several))


def labelling_where(records: Sequence[Record], *, needed: bool) -> tuple[Labelling, Tensor | None]:
    """The labels, and the targets: where labels are not `needed`, only if every record has one."""
    if needed:
        found = labelling(records)
        return found, found.targets
    labels, several = classes_of(records)
    used = bool(labels) and all(record.label is not None for record in records)
    targets = targets_of(records, labels, several) if used else torch.zeros(0)
    return Labelling(labels, several, targets), targets if used else None


def classes_of(records: Sequence[Record]) -> tuple[tuple[str, ...], bool]:
    """All labels in order (numbers by value, then texts), and whether rows may have several."""
    several = any(isinstance(record.label, tuple) for record in records)
    found: set[str] = set()
    for record in records:
        if isinstance(record.label, tuple):
            found.update(record.label)
        elif record.label is not None:
            found.add(record.label)
    by_value = sorted(found, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    return tuple(by_value), several


def check(records: Sequence[Record], labels: Sequence[str]) -> None:
    """Refuse records without labels, and one class only."""
    if not records:
        raise TrainingError("no record could be read; give a SOURCE with images or texts.")
    several = any(isinstance(record.label, tuple) for record in records)
    without = next((record for record in records if record.label is None or record.label == ""), None)
    if without is not None and not several:
        columns = ", ".join(map(repr, without.meta))
        if isinstance(without.image, Path) and without.image.as_posix().endswith(without.id) and not columns:
            folder = without.image.as_posix().removesuffix(without.id).rstrip("/")
            raise TrainingError(
                f"'{without.id}' has no label: labels are the names of the folders in '{folder}', and it lies in none. "
                "Give the folder above, with a folder for each label, or a table of labels as `labels`."
            )
        raise TrainingError(
            f"record '{without.id}' has no label; name the column that holds it with `label_column`, or give a table "
            f"of labels as `labels`.{f' Besides what is read there are the columns {columns}.' if columns else ''}"
        )
    if len(labels) < 2:
        raise TrainingError(
            f"the records have {len(labels)} label{'s' * (len(labels) != 1)} ({', '.join(labels) or 'none'}); learning "
            "to tell classes apart needs two or more. Add records of another class."
        )


def targets_of(records: Sequence[Record], labels: Sequence[str], several: bool) -> Tensor:
    """(N,) numbers of labels, or (N, C) of 0 and 1 where rows may have several."""
    number = {name: i for i, name in enumerate(labels)}
    if not several:
        return torch.tensor([number[str(record.label)] for record in records], dtype=torch.long)
    targets = torch.zeros(len(records), len(labels))
    for row, record in enumerate(records):
        for name in record.label if isinstance(record.label, tuple) else (record.label,):
            if name:
                targets[row, number[name]] = 1.0
    return targets
