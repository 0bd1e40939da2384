"""Pairs of texts with a score: does the cosine order them as people did?"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.task import Choices, Judged, JudgedTask, Rows
from classtoken.comparison.transform import unit_rows, whitened
from classtoken.errors import OptionError
from classtoken.measure.paired import Units
from classtoken.measure.scores import pearson, spearman_items
from classtoken.source.judged import Pair
from classtoken.values import Record, Rejected

FEWEST = 4


class Similarity(JudgedTask):
    """Spearman's correlation of cosine and score (which ranks), Pearson's, and Spearman's of whitened vectors."""

    name, metric, found_by = "similarity", "spearman", "text"
    deviation, assumed = 0.3, "a pair's contributions to two candidates differ with a standard deviation of 0.3"

    def __init__(
        self,
        pairs: Sequence[Pair],
        choices: Choices,
        refused: tuple[Rejected, ...] = (),
        records: Sequence[Record] = (),
    ):
        self.choices, self.refused, self.pairs = choices, refused, tuple(pairs)
        if len(self.pairs) < FEWEST:
            first = f" The first that was left out, {refused[0].id}, {refused[0].reason}." if refused else ""
            raise OptionError(
                f"a rank correlation needs {FEWEST} pairs or more, and there are {len(self.pairs)}.{first}"
            )
        self.scores = np.array([pair.score for pair in self.pairs])
        if not np.isfinite(self.scores).all():
            bad = self.pairs[int(np.flatnonzero(~np.isfinite(self.scores))[0])]
            raise OptionError(f"the score of pair '{bad.id}' is {bad.score}; give a number, or leave the pair out.")
        if (self.scores == self.scores[0]).all():
            raise OptionError(f"all pairs have the score {self.scores[0]:g}; a correlation needs differences.")
        texts = dict.fromkeys(text for pair in self.pairs for text in (pair.left, pair.right))
        number = {text: row for row, text in enumerate(texts)}
        known = {record.text: record for record in records}
        self.records = tuple(known.get(text) or Record(f"text {row}", text) for row, text in enumerate(texts))
        self.left = np.array([number[pair.left] for pair in self.pairs])
        self.right = np.array([number[pair.right] for pair in self.pairs])
        self.units, self.clusters = self._units()

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(pair.id for pair in self.pairs)

    def settings(self) -> dict[str, str]:
        return {
            "judged": f"{len(self.pairs)} pairs of {len(self.records)} texts; nothing is learned",
            "spearman, pearson": "correlation of cosine and score, all pairs together",
            "spearman_whitened": "vectors whitened with these very texts, without their scores",
        }

    def judge(self, vectors: NDArray, *, whiten: bool = False, only: str | None = None) -> Judged:
        raw = whitened(vectors, np.arange(len(vectors))) if whiten else vectors
        cosines = self.cosines(raw)
        values = {"spearman": spearman_items(cosines, self.scores)[1]}
        if only is None:
            values["pearson"] = pearson(cosines, self.scores)[1]
            white = cosines if whiten else self.cosines(whitened(vectors, np.arange(len(vectors))))
            values["spearman_whitened"] = spearman_items(white, self.scores)[1]
        return Judged(values)

    def cosines(self, vectors: NDArray) -> NDArray:
        """The cosine of each pair."""
        x = unit_rows(vectors)
        return (x[self.left] * x[self.right]).sum(1)

    def without(self, bad: Mapping[int, Rejected]) -> "Similarity":
        kept, refused = [], list(self.refused)
        for pair, left, right in zip(self.pairs, self.left.tolist(), self.right.tolist(), strict=True):
            why = bad.get(left) or bad.get(right)
            if why is None:
                kept.append(pair)
            else:
                refused.append(Rejected(pair.id, why.reason))
        return Similarity(kept, self.choices, tuple(refused), self.records)

    def answers(self) -> object:
        return [self.scores.tolist(), self.left.tolist(), self.right.tolist()]

    def partners(self) -> tuple[Rows, Rows] | None:
        """The pairs with the highest scores, a fifth of all."""
        best = np.argsort(-self.scores, kind="stable")[: max(2, len(self.scores) // 5)]
        return self.left[best], self.right[best]

    def _units(self) -> tuple[Units, str]:
        """A named column's values; else pairs that share a text, directly or through others."""
        column = self.choices.cluster
        if column is not None:
            names = [pair.meta.get(column) for pair in self.pairs]
            if all(name is None for name in names):
                listed = ", ".join(self.pairs[0].meta) or "no others"
                raise OptionError(f"the pairs have no column '{column}' (`cluster`); they have {listed}.")
            return Units.clusters(names), f"equal '{column}'"
        roots = list(range(len(self.records)))

        def root(node: int) -> int:
            while roots[node] != node:
                roots[node] = roots[roots[node]]
                node = roots[node]
            return node

        for left, right in zip(self.left.tolist(), self.right.tolist(), strict=True):
            roots[root(left)] = root(right)
        names = [root(left) for left in self.left.tolist()]
        units = Units.clusters(names)
        return units, "" if units.alone else "pairs that share a text"
