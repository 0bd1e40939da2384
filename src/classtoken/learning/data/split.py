"""Which records are learned from and which are held out: the same part of every label, groups whole."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from classtoken.learning.loop.seeds import SPLIT, generator_of
from classtoken.values import Record

PASSES, CANDIDATES = 8, 64
"""times that every unit held out may be exchanged, and among how many others"""


def split(records: Sequence[Record], held_out: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to learn from and rows held out; the draw depends on the seed only.

    One label a record: the same part of every label, at least one record of each in both if it has two. Records of one
    `group` stay together, and where records have groups or several labels, units are exchanged until every label has
    its share (the aim of Sechidis et al. 2011, whose rule would hold out more of the records that have many labels).
    """
    generator = generator_of(seed, SPLIT)
    plain = all(record.group is None and not isinstance(record.label, tuple) for record in records)
    held = _by_label(records, held_out, generator) if plain else _exchanged(records, held_out, generator)
    chosen = set(held)
    learned = [row for row in range(len(records)) if row not in chosen]
    return torch.tensor(learned, dtype=torch.long), torch.tensor(sorted(held), dtype=torch.long)


def _by_label(records: Sequence[Record], held_out: float, generator: Generator) -> list[int]:
    by_label: dict[object, list[int]] = {}
    for row, record in enumerate(records):
        by_label.setdefault(record.label, []).append(row)
    held: list[int] = []
    for rows in by_label.values():
        order = [rows[i] for i in torch.randperm(len(rows), generator=generator).tolist()]
        count = min(len(rows) - 1, max(1, round(held_out * len(rows)))) if held_out > 0 else 0
        held += order[:count]
    return held


def _exchanged(records: Sequence[Record], held_out: float, generator: Generator) -> list[int]:
    """A random draw of units (a group, or a record without one), and then one unit after another exchanged for the
    best of a few others as long as that brings the labels nearer to their shares: the sum over labels, and over all
    records as one more, of (held out - wanted)^2 / total falls."""
    units = _units(records)
    if held_out <= 0 or len(units) < 2:
        return []
    counts_UC = _counts(records, units)
    totals_C = counts_UC.sum(0)
    order = torch.randperm(len(units), generator=generator).numpy()
    number = min(len(units) - 1, max(1, round(held_out * len(units))))
    held, rest = order[:number].copy(), order[number:].copy()
    over_C = counts_UC[held].sum(0) - held_out * totals_C
    for _ in range(PASSES):
        changed = False
        for place in range(number):
            others = torch.randint(len(rest), (CANDIDATES,), generator=generator).numpy()
            after = over_C - counts_UC[held[place]] + counts_UC[rest[others]]
            best = (after**2 / totals_C).sum(1).argmin()
            if (after[best] ** 2 / totals_C).sum() < (over_C**2 / totals_C).sum() - 1e-9:
                over_C, changed = after[best], True
                held[place], rest[others[best]] = rest[others[best]], held[place]
        if not changed:
            break
    return [row for unit in held for row in units[unit]]


def _counts(records: Sequence[Record], units: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """How many records of a unit have each label, none among them; the last column counts them all."""
    sets = [
        label if isinstance(label, tuple) and label else (label or None,)
        for label in (record.label for record in records)
    ]
    number = {name: i for i, name in enumerate(dict.fromkeys(name for names in sets for name in names))}
    counts = np.zeros((len(units), len(number) + 1))
    for unit, rows in enumerate(units):
        counts[unit, -1] = len(rows)
        for row in rows:
            for name in sets[row]:
                counts[unit, number[name]] += 1
    return counts


def _units(records: Sequence[Record]) -> list[list[int]]:
    units: dict[object, list[int]] = {}
    for row, record in enumerate(records):
        units.setdefault(row if record.group is None else record.group, []).append(row)
    return list(units.values())


def groups_of(records: Sequence[Record]) -> NDArray[np.intp] | None:
    """The number of each record's group; a record without one is a group of its own. None where no record has one."""
    if all(record.group is None for record in records):
        return None
    groups = np.empty(len(records), dtype=np.intp)
    for number, rows in enumerate(_units(records)):
        groups[rows] = number
    return groups
