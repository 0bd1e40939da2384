"""Do several class tokens become different? Cosines by layer, overlap of their maps, and what each knows of each label.

Letters: S layers, N inputs, K class tokens, D size of a state, P tokens looked at, C labels. Several class tokens do
not specialise by themselves (DeiT measured a cosine of 0.999): every number here is to be read beside its control.
"""

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from classtoken.errors import OptionError
from classtoken.measure.geometry import cosine_matrix, js_divergence, overlap
from classtoken.results.statistics import Specialisation

Floats = NDArray[np.float64]


def cosine_by_layer(states_SNKD: ArrayLike) -> Floats:
    """The mean over inputs of the cosine of every pair of class tokens, per layer: (S, K, K), 1 on the diagonal."""
    states = np.asarray(states_SNKD, dtype=np.float64)
    if states.ndim != 4 or states.shape[2] < 2:
        raise OptionError(f"states of 2 class tokens or more are needed, shape (S, N, K, D), not {states.shape}.")
    return cosine_matrix(states).mean(1)


def between_pairs(matrix_KK: ArrayLike) -> Floats:
    """The mean over pairs of different tokens of a (..., K, K) matrix: one number for how alike they are."""
    matrix = np.asarray(matrix_KK, dtype=np.float64)
    rows, columns = np.triu_indices(matrix.shape[-1], 1)
    return (matrix[..., rows, columns] + matrix[..., columns, rows]).mean(-1) / 2


def map_overlap(maps_NKP: ArrayLike) -> tuple[Floats, Floats]:
    """Of every pair of class tokens, the mean over inputs of the mass that their attention maps share (0 to 1), and of
    the Jensen-Shannon divergence of the maps (0 to ln 2): two (K, K) matrices."""
    maps = np.asarray(maps_NKP, dtype=np.float64)
    if maps.ndim != 3 or maps.shape[1] < 2:
        raise OptionError(f"maps of 2 class tokens or more are needed, shape (N, K, P), not {maps.shape}.")
    tokens = maps.shape[1]
    shared, apart = np.eye(tokens), np.zeros((tokens, tokens))
    for i, j in combinations(range(tokens), 2):
        shared[i, j] = shared[j, i] = overlap(maps[:, i], maps[:, j]).mean()
        apart[i, j] = apart[j, i] = js_divergence(maps[:, i], maps[:, j]).mean()
    return shared, apart


def average_precision(scores_NM: ArrayLike, truth_N: ArrayLike) -> Floats:
    """The area under precision over recall of every column of scores for one truth (0 or 1): sum over thresholds of
    (recall step) * precision; equal scores share a threshold. (M,). scikit-learn's `average_precision_score` of every
    column; its own takes 17 times as long, and `specialisation` asks a thousand times.

    Raises `OptionError` where nothing is true: precision has no recall to go over.
    """
    scores, truth = np.asarray(scores_NM, dtype=np.float64), np.asarray(truth_N).astype(bool)
    if scores.ndim != 2 or len(scores) != len(truth):
        raise OptionError(f"scores of shape {scores.shape} do not fit {len(truth)} truths; give a row for each.")
    if not truth.any():
        raise OptionError("the label applies to no input; an average precision needs one that it applies to.")
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, 0)
    hits = truth[order]
    places = np.arange(1, len(scores) + 1)[:, None]
    found = hits.cumsum(0)
    # A threshold takes all equal scores at once: its precision is that at the last of them.
    last = np.vstack((ranked[1:] != ranked[:-1], np.ones((1, scores.shape[1]), dtype=bool)))
    index = np.where(last, np.arange(len(scores))[:, None], len(scores))
    index = np.minimum.accumulate(index[::-1], 0)[::-1]
    precision = np.take_along_axis(found / places, index, 0)
    return (hits * precision).sum(0) / truth.sum()


def readable(truth_NC: ArrayLike, folds: int = 5) -> NDArray[np.bool_]:
    """Labels that at least `folds` inputs have and as many have not, (C): fewer cannot be probed fold by fold."""
    truth = np.asarray(truth_NC).astype(bool)
    return (truth.sum(0) >= folds) & ((~truth).sum(0) >= folds)


def read_out(states_NKD: ArrayLike, truth_NC: ArrayLike, *, folds: int = 5, seed: int = 0) -> Floats:
    """What a linear probe reads of each label in each class token's state alone, (N, K, C).

    Logistic regression (C = 1) on standardised states, a probe per token and label; every input is scored by the probe
    of the folds that it is not in. Raises `OptionError` for a label that is not `readable`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    states, truth = np.asarray(states_NKD, dtype=np.float64), np.asarray(truth_NC).astype(bool)
    if not readable(truth, folds).all():
        raise OptionError(f"a label needs {folds} inputs that have it and {folds} that have not; leave rare ones out.")
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = np.empty((len(states), states.shape[1], truth.shape[1]))
    for k in range(scores.shape[1]):
        for c in range(scores.shape[2]):
            scores[:, k, c] = cross_val_predict(probe, states[:, k], truth[:, c], cv=split, method="decision_function")
    return scores


def specialisation(
    scores_NKC: ArrayLike, truth_NC: ArrayLike, *, permutations: int = 999, seed: int = 0
) -> Specialisation:
    """What each of K class tokens knows of each of C labels, against tokens that are interchangeable.

    `scores` are every token's own scores for every label (a linear read-out of that token alone, say). Measured is the
    interaction of token and label in average precision: the root mean square of what remains when the token's mean, the
    label's mean and the total mean are accounted for. A token that is better at everything is no specialist, and adds
    nothing. The null exchanges the tokens within every input, at random; scores are turned into ranks within their
    token first, so that tokens which differ in scale alone do not count as different.
    p = (1 + exchanges that reach `observed`) / (1 + permutations).
    """
    scores, truth = np.asarray(scores_NKC, dtype=np.float64), np.asarray(truth_NC).astype(bool)
    if scores.ndim != 3 or scores.shape[1] < 2 or (len(scores), scores.shape[2]) != truth.shape:
        raise OptionError(
            f"scores (N, K, C) of 2 class tokens or more and truth (N, C) are needed, not {scores.shape} and "
            f"{truth.shape}."
        )
    ranks = stats.rankdata(scores, axis=0)
    precision_KC = _precision(ranks, truth)
    observed = _interaction(precision_KC)
    generator = np.random.default_rng(seed)
    chance = np.empty(permutations)
    for i in range(permutations):
        order_NK = generator.permuted(np.tile(np.arange(scores.shape[1]), (len(scores), 1)), axis=1)
        chance[i] = _interaction(_precision(np.take_along_axis(ranks, order_NK[..., None], 1), truth))
    return Specialisation(
        precision=tuple(tuple(map(float, row)) for row in precision_KC),
        best_token=tuple(map(int, precision_KC.argmax(0))),
        observed=observed,
        by_chance=float(chance.mean()),
        chance_high=float(np.quantile(chance, 0.95)),
        p=float((1 + (chance >= observed).sum()) / (1 + permutations)),
    )


def _precision(ranks_NKC: Floats, truth_NC: NDArray[np.bool_]) -> Floats:
    return np.stack([average_precision(ranks_NKC[:, :, c], truth_NC[:, c]) for c in range(truth_NC.shape[1])], axis=1)


def _interaction(precision_KC: Floats) -> float:
    means = precision_KC.mean(0) + precision_KC.mean(1, keepdims=True) - precision_KC.mean()
    return float(np.sqrt(np.square(precision_KC - means).mean()))
