"""Logistic regression over a grid of C: what every other head has to beat, and often the best one.

DINOv2's protocol (45 values of C from 1e-6 to 1e5, C chosen on a held-out tenth) with three changes: vectors are
standardised or not, whichever is better; on fewer than 5,000 rows C is chosen by five-fold cross-validation; and it is
chosen by the loss. On few rows many C have nearly the same accuracy, and probabilities that are worlds apart: the
error of calibration was three times as large where accuracy chose, and the accuracy no better (`benchmarks/training`).

Three things make it quick and leave the optimum where it is: Newton's steps by conjugate gradients, which do not mind
raw vectors of which a few directions carry nearly everything (L-BFGS, DINOv2's choice, takes thousands of steps there,
and ends before the optimum; `benchmarks/training/solvers.py`); C rises, and each fit begins with the weights of the
last; and one thread computes, because on matrices this small several spend their time waiting for each other.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from classtoken.errors import TrainingError
from classtoken.head import LinearHead
from classtoken.learning.data.labels import Task
from classtoken.learning.objectives.base import score_of
from classtoken.learning.objectives.supervised import classification_scores, metric_for
from classtoken.results.base import counted
from classtoken.results.train import Trial

Floats = NDArray[np.float64]
GRID = tuple(float(c) for c in 10.0 ** np.linspace(-4, 4, 17))
FOLDED_BELOW = 5000
FOLDS = 5
SOLVER = "newton-cg"
MOST_STEPS = 2000
CHOOSING, SHIPPED = 1e-5, 1e-8
"""how nearly a regression is solved that only chooses a setting, and one that is used: the largest slope left"""


@dataclass(frozen=True)
class LogisticSetting:
    """How a logistic regression is fitted: C, and whether the vectors are standardised first."""

    c: float
    standardised: bool

    def __str__(self) -> str:
        return f"C = {self.c:.3g}, {'standardised' if self.standardised else 'raw'} vectors"


@dataclass(frozen=True)
class FitTask:
    """What a regression is fitted for: one label a row of `classes`, or several; whether every class weighs the same;
    the seed of the folds; the score that chooses (None: the loss).

    rows: how many there are in all, where a part of them is fitted as the whole is; it decides on the number of folds.
    """

    several: bool
    balanced: bool
    seed: int
    classes: int
    metric: str | None = None
    rows: int = 0

    @property
    def chooses(self) -> str:
        """The score that chooses."""
        return self.metric or "loss"

    def folds(self, targets: NDArray, groups: NDArray | None = None) -> list[tuple[NDArray, NDArray]]:
        """Rows to learn from and rows held out, five times: or as often as the largest class has records, or as there
        are groups, which stay whole. A rare class does not make parts fewer for all others: one of three records is
        held out in three parts, one of a single record is in one part only.

        Raises `TrainingError` where nothing can be held out: no class has two records, or all are in one group.
        """
        counts = np.array([len(targets)]) if self.several else np.bincount(targets)
        if counts.max() < 2 or (groups is not None and len(np.unique(groups)) < 2):
            if self.rows > len(targets):
                raise TrainingError(
                    f"{self.rows} records are too few to choose settings on some of them and judge on others; give "
                    "four or more of a class, and where records come in groups, four groups or more."
                )
            why = "no class has two" if counts.max() < 2 else "all are in one group, or hold the same"
            raise TrainingError(
                f"{counted(len(targets), 'record')}, and {why}: nothing can be held out to choose settings on. "
                "Give more."
            )
        number = max(2, min(FOLDS, int(counts.max())))
        kinds = (KFold, StratifiedKFold)
        if groups is not None:
            number, kinds = min(number, len(np.unique(groups))), (GroupKFold, StratifiedGroupKFold)
        made = kinds[not self.several](number, shuffle=True, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # scikit-learn's word on classes of one record
            return list(made.split(np.zeros((len(targets), 1)), targets, groups))


def fit_logistic(
    vectors: NDArray,
    targets: NDArray,
    task: FitTask,
    *,
    groups: NDArray | None = None,
    grid: Sequence[float] = GRID,
) -> tuple[LinearHead, LogisticSetting, tuple[Trial, ...]]:
    """The best setting, refitted on all rows, as a linear head on the raw vectors; and everything that was tried.

    score: that of `task.chooses`, the loss turned so that larger is better. Few rows make many settings equal; among
    these the one of least loss is taken, whose probabilities are the most to be trusted.
    """
    x = np.asarray(vectors, dtype=np.float64)
    folds = task.folds(targets, groups)[: 1 if max(len(x), task.rows) >= FOLDED_BELOW else None]
    tried: list[tuple[tuple[float, float], bool, float]] = []
    with threadpool_limits(1):
        for standardised in (True, False):
            paths = [
                Regressions(x[learned], targets[learned], standardised, task, tolerance=CHOOSING)
                for learned, _ in folds
            ]
            for c in sorted(grid):
                tried.append((_score(x, targets, [path.at(c) for path in paths], folds, task), standardised, c))
                recent = [score for (score, _), same, _ in tried if same == standardised]
                if len(recent) > 4 and max(recent[-4:]) < max(recent) - 0.01:
                    break  # past the top: larger C only take longer
        _, standardised, c = max(tried, key=lambda t: t[0])
    best = LogisticSetting(c, standardised)
    trials = tuple(
        Trial(str(LogisticSetting(c, standardised)), score, task.chooses) for (score, _), standardised, c in tried
    )
    return logistic_head(x, targets, task, best), best, trials


def logistic_head(vectors: NDArray, targets: NDArray, task: FitTask, setting: LogisticSetting) -> LinearHead:
    """A logistic regression with one setting, as a linear head on the raw vectors."""
    x = np.asarray(vectors, dtype=np.float64)
    with threadpool_limits(1):
        weight, bias = Regressions(x, targets, setting.standardised, task).at(setting.c)
    head = LinearHead(x.shape[1], len(bias))
    with torch.no_grad():
        head.output.weight.copy_(torch.from_numpy(weight))
        head.output.bias.copy_(torch.from_numpy(bias))
    return head


def _score(
    x: Floats,
    targets: NDArray,
    fitted: Sequence[tuple[Floats, Floats]],
    folds: Sequence[tuple[NDArray, NDArray]],
    task: FitTask,
) -> tuple[float, float]:
    """Score and loss (turned, so that larger is better) of all held-out rows together, each by the weights that were
    fitted without it."""
    logits = np.concatenate([x[held] @ w.T + b for (w, b), (_, held) in zip(fitted, folds, strict=True)])
    truth = np.concatenate([targets[held] for _, held in folds])
    kind: Task = "multi" if task.several else "single"
    scores = classification_scores(torch.from_numpy(logits), torch.from_numpy(truth), kind)
    return score_of(scores, metric_for(kind, task.chooses)), -scores["loss"]


def deviations(x: Floats) -> Floats:
    """The standard deviation of every column (V,); 1 of one that does not vary beyond the rounding of 32-bit vectors.

    Divided by its own, such a column would be noise as large as any other column, and what a new record has there
    would outweigh everything that was learned. Nothing was learned from it.
    """
    found = x.std(0)
    rounding = 1e-6 * np.maximum(np.abs(x).max(0), np.sqrt(np.square(x).mean()))
    return np.where(found > rounding, found, 1.0)


class Regressions:
    """Logistic regressions on the same rows for one C after another; each begins where the last one ended."""

    def __init__(
        self, x: Floats, targets: NDArray, standardised: bool, task: FitTask, *, tolerance: float = SHIPPED
    ) -> None:
        self.mean = x.mean(0) if standardised else np.zeros(x.shape[1])
        self.scale = deviations(x) if standardised else np.ones(x.shape[1])
        self.z, self.targets, self.task = (x - self.mean) / self.scale, targets, task
        weights = "balanced" if task.balanced else None
        self.models = [
            LogisticRegression(solver=SOLVER, max_iter=MOST_STEPS, tol=tolerance, class_weight=weights, warm_start=True)
            for _ in range(task.classes if task.several else 1)
        ]

    def at(self, c: float) -> tuple[Floats, Floats]:
        """Weights (C, V) and biases (C,) for raw vectors: the standardisation is folded into them."""
        if self.task.several:
            columns = [self._binary(model, self.targets[:, i], c) for i, model in enumerate(self.models)]
            weight, bias = np.stack([w for w, _ in columns]), np.array([b for _, b in columns])
        else:
            weight, bias = self._softmax(c)
        weight = weight / self.scale
        return weight, bias - weight @ self.mean

    def _fitted(self, model: LogisticRegression, targets: NDArray, c: float) -> LogisticRegression:
        with warnings.catch_warnings():
            # At large C, and where no step lowers the loss by a last digit: the score decides.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "Line Search failed", UserWarning)
            return model.set_params(C=c).fit(self.z, targets)

    def _softmax(self, c: float) -> tuple[Floats, Floats]:
        """One logit a class; a class without rows here keeps a logit far below the others."""
        weight, bias = np.zeros((self.task.classes, self.z.shape[1])), np.full(self.task.classes, -30.0)
        if self.targets.min() == self.targets.max():  # one class alone: nothing to tell apart
            bias[self.targets[0]] = 0.0
            return weight, bias
        model = self._fitted(self.models[0], self.targets, c)
        if len(model.classes_) == 2:  # scikit-learn keeps one row: the second class against the first
            low, high = model.classes_
            weight[low], weight[high] = -model.coef_[0] / 2, model.coef_[0] / 2
            bias[low], bias[high] = -model.intercept_[0] / 2, model.intercept_[0] / 2
        else:
            weight[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
        return weight, bias

    def _binary(self, model: LogisticRegression, column: NDArray, c: float) -> tuple[Floats, float]:
        """One label against the rest; a label that all or no rows have gets a constant logit."""
        if column.min() == column.max():
            return np.zeros(self.z.shape[1]), 30.0 if column.max() > 0 else -30.0
        model = self._fitted(model, column, c)
        return model.coef_[0], float(model.intercept_[0])
