"""Any number of labels an item: a probe a label."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from classtoken.comparison.labelled import Labelled
from classtoken.comparison.probes import GRID, NEIGHBOURS, TEMPERATURE, logistic, nearest_neighbours
from classtoken.comparison.task import Choices, Judged
from classtoken.errors import OptionError
from classtoken.learning.ways.logistic import FitTask
from classtoken.measure.scores import f1_counts, macro_f1, micro_f1, of_counts, precision_items
from classtoken.results.base import counted
from classtoken.values import Record

#: Items that must have a label, and as many that must not, for it to be judged.
FEWEST_OF_A_LABEL = 10
NAMED = 12
"""labels that are named where they cannot be judged"""
METRICS = ("map", "micro_f1", "macro_f1", "knn_map")


class MultiLabel(Labelled):
    """Mean average precision over labels (which ranks), F1 over all decisions and as a mean over labels."""

    name, metric, several = "multilabel", "map", True
    deviation, assumed = 0.6, "an item's contributions to two candidates differ with a standard deviation of 0.6"

    def __init__(self, learned: list[Record], test: list[Record] | None, choices: Choices):
        super().__init__(learned, test, choices)
        truth = self.truth
        self.counted = np.flatnonzero((truth.sum(0) >= FEWEST_OF_A_LABEL) & ((1 - truth).sum(0) >= FEWEST_OF_A_LABEL))
        if not len(self.counted):
            raise OptionError(
                f"no label is on {FEWEST_OF_A_LABEL} judged items and missing on {FEWEST_OF_A_LABEL}; the commonest, "
                f"'{self.labels[int(truth.sum(0).argmax())]}', is on {int(truth.sum(0).max())} of {len(truth)}."
            )

    def settings(self) -> dict[str, str]:
        rare = len(self.labels) - len(self.counted)
        return {
            "split": self.split_in_words(),
            "labels": f"{len(self.counted)} that are on {FEWEST_OF_A_LABEL} or more judged items and missing on as many"
            + (f"; {rare} others do not count" if rare else ""),
            "map, micro_f1, macro_f1": "one logistic regression a label on standardised vectors; C from "
            f"{GRID[0]:g} to {GRID[-1]:g}, one for all labels, chosen by mean average precision on a held-out fifth of "
            "the learned part; F1 at probability 0.5",
            "knn_map": f"votes of weighted k-NN (cosine, k = {NEIGHBOURS}, exp(cosine / {TEMPERATURE}))",
            "average precision": "over all judged items, by their rank within the part of the split that judged them",
            "seed": str(self.choices.seed),
        }

    def limits(self) -> tuple[str, ...]:
        counts, n = self.truth.sum(0), len(self.truth)
        rare = [c for c in range(len(self.labels)) if c not in set(self.counted.tolist())]
        if not rare:
            return ()
        named = ", ".join(f"{self.labels[c]} ({int(counts[c])} of {n})" for c in rare[:NAMED])
        more = f" and {len(rare) - NAMED} others" if len(rare) > NAMED else ""
        return (
            f"{counted(len(rare), 'label')} cannot be judged, being on fewer than {FEWEST_OF_A_LABEL} judged items or "
            f"missing on fewer: {named}{more}.",
        )

    def judge(self, vectors: NDArray, *, whiten: bool = False, only: str | None = None) -> Judged:
        targets = self.targets[:, self.counted]
        fitting = FitTask(True, False, self.choices.seed, len(self.counted))
        logits, votes, inner, chosen = [], [], [], []
        for x, learned, judged in self.parted(vectors, whiten):
            part = x[learned], targets[learned], x[judged]
            if only != "knn_map":
                fitted = logistic(*part, fitting, self.groups(learned))
                logits.append(fitted.logits)
                inner.append(fitted.inner)
                chosen.append(fitted.c)
            if only in (None, "knn_map"):
                votes.append(nearest_neighbours(*part, len(self.counted)))
        values: dict[str, NDArray] = {}
        per_class: dict[str, float] = {}
        truth = self.truth[:, self.counted]
        if logits:
            scores = np.concatenate(logits)
            values, per_class = self.of_scores(scores)
        if votes:
            items = [
                precision_items(column, t)[1]
                for column, t in zip(self.aligned(np.concatenate(votes)).T, truth.T, strict=True)
            ]
            values["knn_map"] = np.mean(items, axis=0)
        setting = "C = " + ", ".join(f"{c:g}" for c in sorted(set(chosen)))
        return Judged(values, {}, tuple(inner), None, per_class, setting)

    def aligned(self, scores: NDArray) -> NDArray:
        """Scores as ranks within their part of the split, from 0 to 1: what was fitted on other records, with another
        C, has another scale."""
        found, part_of = np.empty_like(scores, dtype=np.float64), self.split.part_of
        for part in np.unique(part_of):
            rows = part_of == part
            found[rows] = rankdata(scores[rows], axis=0) / (rows.sum() + 1)
        return found

    def of_scores(self, scores: NDArray) -> tuple[dict[str, NDArray], dict[str, float]]:
        """The metrics of logits for the counted labels, one number an item; and every label's average precision."""
        truth = self.truth[:, self.counted]
        each = [precision_items(column, t) for column, t in zip(self.aligned(scores).T, truth.T, strict=True)]
        decided = f1_counts(scores > 0, truth)
        values = {
            "map": np.mean([items for _, items in each], axis=0),
            "micro_f1": of_counts(decided, micro_f1)[1],
            "macro_f1": of_counts(decided, macro_f1)[1],
        }
        names = [self.labels[c] for c in self.counted]
        return values, dict(zip(names, (value for value, _ in each), strict=True))
