"""The probes of frozen vectors: weighted nearest neighbours, logistic regression, few-shot draws."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from classtoken.comparison.transform import unit_rows
from classtoken.learning.ways.logistic import FitTask, Regressions
from classtoken.measure.specialisation import average_precision

Floats = NDArray[np.float64]
GRID = tuple(float(c) for c in 10.0 ** np.linspace(-5, 2, 8))
"""values of C"""
NEIGHBOURS, TEMPERATURE = 20, 0.07
CHOOSING = 1e-4
"""how nearly a regression is solved that only chooses C; what judges is solved to 1e-8"""
MOST_CHOOSING = 3000
"""training items that C is chosen on, at most"""


@dataclass(frozen=True)
class Fitted:
    """Logits (n, C) of judged vectors, the C that was chosen, and its score on held-out training vectors."""

    logits: Floats
    c: float
    inner: float


def nearest_neighbours(learned: NDArray, targets: NDArray, judged: NDArray, classes: int) -> Floats:
    """DINO's weighted k-NN: the votes (n, C) of the k = 20 nearest by cosine, each with weight exp(cosine / 0.07).

    k is the number of learned vectors where there are fewer. For several labels a row, each neighbour votes for all of
    its labels. facebookresearch/dino, eval_knn.py.
    """
    similar = unit_rows(judged) @ unit_rows(learned).T
    k = min(NEIGHBOURS, similar.shape[1])
    nearest = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    weights = np.exp(np.take_along_axis(similar, nearest, 1) / TEMPERATURE)
    votes = np.zeros((len(similar), classes))
    if targets.ndim == 2:
        return np.einsum("nk,nkc->nc", weights, targets[nearest]) / weights.sum(1, keepdims=True)
    for column in range(k):
        np.add.at(votes, (np.arange(len(votes)), targets[nearest[:, column]]), weights[:, column])
    return votes


def logistic(
    learned: NDArray, targets: NDArray, judged: NDArray, task: FitTask, groups: NDArray | None = None
) -> Fitted:
    """Logistic regression on standardised vectors, C chosen on a held-out fifth of the learned vectors (classes in
    proportion, clusters whole), then fitted on all of them."""
    x = np.asarray(learned, dtype=np.float64)
    rows = np.arange(len(x))
    if len(x) > MOST_CHOOSING:
        rows = np.sort(np.random.default_rng(task.seed).choice(len(x), MOST_CHOOSING, replace=False))
    some = x[rows], targets[rows]
    fitting, held = task.folds(some[1], None if groups is None else groups[rows])[0]
    with threadpool_limits(1):
        path = Regressions(some[0][fitting], some[1][fitting], True, task, tolerance=CHOOSING)
        tried = []
        for c in GRID:
            weight, bias = path.at(c)
            tried.append((score(some[0][held] @ weight.T + bias, some[1][held]), c))
            if len(tried) > 3 and max(s for s, _ in tried[-3:]) < max(tried)[0] - 0.005:
                break  # past the top: larger C only take longer
        inner, c = max(tried, key=lambda t: t[0])
        weight, bias = Regressions(x, targets, True, task).at(c)
    return Fitted(np.asarray(judged, dtype=np.float64) @ weight.T + bias, c, inner)


def score(logits: Floats, targets: NDArray) -> float:
    """Accuracy, or mean average precision over the labels that occur."""
    if targets.ndim == 1:
        return float((logits.argmax(1) == targets).mean())
    present = np.flatnonzero(targets.sum(0) > 0)
    if not len(present):
        return 0.0
    return float(np.mean([average_precision(logits[:, [c]], targets[:, c])[0] for c in present]))


def few_shot(
    learned: NDArray, targets: NDArray, judged: NDArray, *, shots: int, generator: np.random.Generator
) -> NDArray[np.intp]:
    """MTEB's classification: logistic regression (C = 1, raw vectors) on `shots` drawn examples a class; the classes
    given to the judged vectors. Classes with fewer examples give all they have."""
    order = generator.permutation(len(targets))
    drawn = np.concatenate([order[targets[order] == c][:shots] for c in np.unique(targets)])
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=1000).fit(learned[drawn], targets[drawn])
    return model.predict(judged)
