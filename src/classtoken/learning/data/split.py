"""Which records are learned from and which are held out: the same part of every label, groups and copies whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from classtoken.learning.loop.seeds import SPLIT, generator_of
from classtoken.values import Record

PASSES, CANDIDATES = 8, 64
"""times that every unit held out may be exchanged, and among how many others"""


@dataclass(frozen=True)
class Division:
    """The rows that are learned from, and those that are held out.

    units: the number of the unit that each row belongs to (those of one group, those of one content), which is never
    divided; None where every row is one of its own. independent: the part of the rows that an interval counts as
    independent: n / sum(m^2) for copies, m of each (Kish 1965), and 0 where records have a `group`. copies: rows whose
    content an earlier one has too; disputed: those of them with another label than the earlier one, and that.
    """

    learned: Tensor
    held_out: Tensor
    units: NDArray[np.intp] | None = None
    independent: float = 1.0
    copies: int = 0
    disputed: tuple[tuple[Record, Record], ...] = ()

    def with_more(self, rows: int, of: int) -> "Division":
        """With `rows` more rows to learn from, behind the `of` that there are."""
        return replace(self, learned=torch.cat((self.learned, torch.arange(of, of + rows))))


def divide(records: Sequence[Record], held_out: float, seed: int) -> Division:
    """Rows to learn from and rows held out; the draw depends on the seed only.

    One label a record: the same part of every label, at least one record of each in both if it has two. Records of one
    `group` stay together, and so do those of one `content`: what is judged must not have been learned. Where records
    have groups or several labels, units are exchanged until every label has its share (the aim of Sechidis et al. 2011,
    whose rule would hold out more of the records that have many labels).
    """
    generator, units = generator_of(seed, SPLIT), units_of(records)
    grouped = any(record.group is not None for record in records)
    plain = not grouped and not any(isinstance(record.label, tuple) for record in records)
    held = _by_label(records, units, held_out, generator) if plain else _exchanged(records, units, held_out, generator)
    chosen = set(held)
    learned = [row for row in range(len(records)) if row not in chosen]
    sizes = np.array([len(unit) for unit in units])
    alone = len(units) == len(records)
    copies = _copies(records)
    return Division(
        torch.tensor(learned, dtype=torch.long),
        torch.tensor(sorted(held), dtype=torch.long),
        None if alone and not grouped else _numbers(units, len(records)),
        0.0 if grouped else float(len(records) / (sizes**2).sum()) if len(records) else 1.0,
        len(copies),
        tuple((record, earlier) for record, earlier in copies if record.label != earlier.label),
    )


def _copies(records: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Records whose content an earlier one has too, and the first that has it."""
    first: dict[bytes, Record] = {}
    contents = [(record, record.content.hash) for record in records if record.content is not None]
    return [(record, first[content]) for record, content in contents if first.setdefault(content, record) is not record]


def _by_label(
    records: Sequence[Record], units: Sequence[Sequence[int]], held_out: float, generator: Generator
) -> list[int]:
    by_label: dict[object, list[Sequence[int]]] = {}
    for unit in units:
        by_label.setdefault(records[unit[0]].label, []).append(unit)
    held: list[int] = []
    for same in by_label.values():
        order = [same[i] for i in torch.randperm(len(same), generator=generator).tolist()]
        count = min(len(same) - 1, max(1, round(held_out * len(same)))) if held_out > 0 else 0
        held += [row for unit in order[:count] for row in unit]
    return held


def _exchanged(
    records: Sequence[Record], units: Sequence[Sequence[int]], held_out: float, generator: Generator
) -> list[int]:
    """A random draw of units (a group, or a record without one), and then one unit after another exchanged for the
    best of a few others as long as that brings the labels nearer to their shares: the sum over labels, and over all
    records as one more, of (held out - wanted)^2 / total falls."""
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


def units_of(records: Sequence[Record]) -> list[list[int]]:
    """Rows that may not be divided, in the order of their first: those of one group or one content, and what these have
    in common."""
    first: dict[tuple[str, object], int] = {}
    root = list(range(len(records)))

    def found(row: int) -> int:
        while root[row] != row:
            root[row] = row = root[root[row]]
        return row

    for row, record in enumerate(records):
        content = None if record.content is None else record.content.hash
        for key in (("group", record.group), ("content", content)):
            if key[1] is not None:
                one, other = sorted((found(row), found(first.setdefault(key, row))))
                root[other] = one
    units: dict[int, list[int]] = {}
    for row in range(len(records)):
        units.setdefault(found(row), []).append(row)
    return list(units.values())


def _numbers(units: Sequence[Sequence[int]], rows: int) -> NDArray[np.intp]:
    numbers = np.empty(rows, dtype=np.intp)
    for number, unit in enumerate(units):
        numbers[unit] = number
    return numbers
