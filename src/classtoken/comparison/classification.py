"""One label an item: probes on frozen vectors."""

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.labelled import Labelled
from classtoken.comparison.probes import (
    GRID,
    MOST_CHOOSING,
    NEIGHBOURS,
    TEMPERATURE,
    few_shot,
    logistic,
    nearest_neighbours,
)
from classtoken.comparison.task import Floats, Judged
from classtoken.learning.ways.logistic import FitTask
from classtoken.measure.scores import f1_counts, macro_f1, of_counts

METRICS = ("accuracy", "macro_f1", "knn_accuracy", "few_shot_accuracy")


class Classification(Labelled):
    """Accuracy of logistic regression (which ranks), of nearest neighbours, and after few examples."""

    name, metric, several = "classification", "accuracy", False
    deviation, assumed = 0.32, "two candidates disagree on every tenth item"

    def settings(self) -> dict[str, str]:
        return {
            "split": self.split_in_words(),
            "accuracy, macro_f1": "logistic regression on vectors standardised by the learned part; C from "
            f"{GRID[0]:g} to {GRID[-1]:g}, chosen on a held-out fifth of the learned part (at most {MOST_CHOOSING} "
            "records), then fitted on all of it",
            "knn_accuracy": f"weighted k-NN (DINO): cosine, k = {NEIGHBOURS}, votes exp(cosine / {TEMPERATURE})",
            "few_shot_accuracy": f"mean of {self.choices.draws} draws of {self.choices.shots} examples a class, "
            "logistic regression with C = 1 on raw vectors (MTEB)",
            "seed": str(self.choices.seed),
        }

    def judge(self, vectors: NDArray, *, whiten: bool = False, only: str | None = None) -> Judged:
        wanted = METRICS if only is None else (only,)
        classes = len(self.labels)
        fitting = FitTask(False, False, self.choices.seed, classes)
        given: dict[str, list[NDArray]] = {"logistic": [], "knn": [], "few": []}
        inner, chosen = [], []
        for x, learned, judged in self.parted(vectors, whiten):
            part = x[learned], self.targets[learned], x[judged]
            if {"accuracy", "macro_f1"} & set(wanted):
                fitted = logistic(*part, fitting, self.groups(learned))
                given["logistic"].append(fitted.logits.argmax(1))
                inner.append(fitted.inner)
                chosen.append(fitted.c)
            if "knn_accuracy" in wanted:
                given["knn"].append(nearest_neighbours(*part, classes).argmax(1))
            if "few_shot_accuracy" in wanted:
                # The same draws for every candidate: what differs is the vectors.
                drawing = np.random.default_rng([self.choices.seed, len(given["few"])])
                draws = [
                    few_shot(*part, shots=self.choices.shots, generator=drawing) for _ in range(self.choices.draws)
                ]
                given["few"].append(np.stack(draws, axis=1))
        return self._judged({name: np.concatenate(parts) for name, parts in given.items() if parts}, inner, chosen)

    def _judged(self, given: dict[str, NDArray], inner: list[float], chosen: list[float]) -> Judged:
        values: dict[str, Floats] = {}
        spread, per_class, setting = {}, {}, ""
        if "logistic" in given:
            right = (given["logistic"] == self.truth).astype(np.float64)
            values |= {"accuracy": right, "macro_f1": self.f1_items(given["logistic"])}
            there = [c for c in range(len(self.labels)) if (self.truth == c).any()]
            per_class = {self.labels[c]: float(right[self.truth == c].mean()) for c in there}
            setting = "C = " + ", ".join(f"{c:g}" for c in sorted(set(chosen)))
        if "knn" in given:
            values["knn_accuracy"] = (given["knn"] == self.truth).astype(np.float64)
        if "few" in given:
            right = (given["few"] == self.truth[:, None]).astype(np.float64)
            values["few_shot_accuracy"] = right.mean(1)
            spread["few_shot_accuracy"] = (float(right.mean(0).std(ddof=1)), right.shape[1])
        return Judged(values, spread, tuple(inner), given.get("logistic"), per_class, setting)

    def f1_items(self, predicted: NDArray) -> Floats:
        """Macro F1 as one number an item."""
        one_hot = np.eye(len(self.labels), dtype=bool)
        return of_counts(f1_counts(one_hot[predicted], one_hot[self.truth]), macro_f1)[1]
