"""Records with labels, those that are learned from and those that are judged: what several tasks share."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.columns import clusters_of, units_of
from classtoken.comparison.splitting import cluster_numbers, in_folds
from classtoken.comparison.task import Choices, JudgedTask, Rows, Split
from classtoken.comparison.transform import whitened
from classtoken.errors import OptionError
from classtoken.learning.data.labels import classes_of, targets_of
from classtoken.results.base import counted
from classtoken.values import Record, Rejected

#: Judged items, below which nothing is said.
FEWEST = 4


class Labelled(JudgedTask):
    """Labelled records, split: a test part that was given, or every record judged once in folds."""

    several: bool

    def __init__(self, learned: Sequence[Record], test: Sequence[Record] | None, choices: Choices):
        self.choices, self.given_test = choices, test is not None
        self.refused: tuple[Rejected, ...] = ()
        both = [(record, part) for part, records in enumerate((learned, test or ())) for record in records]
        kept = self._usable([(record, part) for record, part in both if self._labelled(record)])
        self.records = tuple(record for record, _ in kept)
        in_test = np.array([part for _, part in kept], dtype=bool)
        self.labels, _ = classes_of(self.records)
        if len(self.records) < FEWEST or len(self.labels) < 2:
            why = (
                f" The first that was left out, {self.refused[0].id}: {self.refused[0].reason}." if self.refused else ""
            )
            if not self.records and both and all(record.label is None for record, _ in both):
                there = ", ".join(map(repr, both[0][0].meta))
                why = (
                    " None has a label: name the column that holds it with `label_column`, or give a table as `labels`."
                )
                why += f" Besides what is read there are {there}." if there else ""
            raise OptionError(
                f"{counted(len(self.records), 'record')} with {counted(len(self.labels), 'label')} to compare "
                "on are left; "
                f"{FEWEST} records and 2 labels or more are needed.{why}"
            )
        self.targets: NDArray = targets_of(self.records, self.labels, self.several).numpy().astype(np.int64)
        names, self.clusters = clusters_of(self.records, choices.cluster, choices.called, choices.group)
        self.numbers = cluster_numbers(names)
        if self.given_test:
            if not in_test.any():
                raise OptionError("no labelled record of the test part is left to be judged; check its labels.")
            self.split = Split(((np.flatnonzero(~in_test), np.flatnonzero(in_test)),))
        else:
            self.split = in_folds(self.targets, self.numbers, choices.folds, choices.seed)
        self.units = replace(
            units_of([names[row] for row in self.split.judged]), folds=0 if self.given_test else len(self.split.parts)
        )

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(self.records[row].id for row in self.split.judged)

    @property
    def truth(self) -> NDArray:
        """The targets of the judged items."""
        return self.targets[self.split.judged]

    def groups(self, learned: Rows) -> NDArray | None:
        """The clusters of what is learned from, which stay whole when settings are chosen."""
        return None if self.numbers is None else self.numbers[learned]

    def parted(self, vectors: NDArray, whiten: bool) -> Iterable[tuple[NDArray, Rows, Rows]]:
        """For every part of the split: the vectors, whitened with what may be learned from, and the rows."""
        for learned, judged in self.split.parts:
            yield whitened(vectors, learned) if whiten else np.asarray(vectors, dtype=np.float64), learned, judged

    def without(self, bad: Mapping[int, Rejected]) -> "Labelled":
        parts: tuple[list[Record], list[Record]] = ([], [])
        in_test = set(self.split.judged.tolist()) if self.given_test else set()
        for row, record in enumerate(self.records):
            if row not in bad:
                parts[row in in_test].append(record)
        made = type(self)(parts[0], parts[1] if self.given_test else None, self.choices)
        made.refused = (*self.refused, *bad.values(), *made.refused)
        return made

    def split_in_words(self) -> str:
        """How items came to be judged."""
        learned, judged = len(self.split.parts[0][0]), len(self.split.judged)
        whole = f", clusters ({self.clusters}) whole" if self.clusters else ""
        if self.given_test:
            return f"learned on {learned} records, judged on {judged} of a test part"
        n = len(self.split.parts)
        return f"{n} folds: every one of {judged} records is judged once, by what was learned without its fold{whole}"

    def partners(self) -> tuple[Rows, Rows] | None:
        """Consecutive records of one class."""
        if self.several:
            return None
        first, second = [], []
        for c in range(len(self.labels)):
            rows = np.flatnonzero(self.targets == c)
            first.append(rows[:-1])
            second.append(rows[1:])
        return np.concatenate(first), np.concatenate(second)

    def _labelled(self, record: Record) -> bool:
        fits = record.label is not None and (self.several or isinstance(record.label, str))
        if not fits:
            self._refuse(record, "has no label" if record.label is None else "has several labels")
        return fits

    def _refuse(self, record: Record, reason: str) -> None:
        self.refused = (*self.refused, Rejected(record.id, reason))

    def _usable(self, records: list[tuple[Record, int]]) -> list[tuple[Record, int]]:
        """The records whose class can be both learned and judged; the others are named."""
        if self.several:
            return records
        learned = Counter(record.label for record, part in records if part == 0)
        kept = []
        for record, part in records:
            if self.given_test and part == 1 and not learned[record.label]:
                self._refuse(record, f"its class '{record.label}' is not among what is learned from")
            elif not self.given_test and learned[record.label] < 2:
                self._refuse(record, f"is the only one of its class '{record.label}': it cannot be learned and judged")
            else:
                kept.append((record, part))
        return kept
