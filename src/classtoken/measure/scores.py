"""Metrics as one number an item: the metric is their mean.

Of an accuracy these are 0 and 1. Metrics that are no mean over items (a rank correlation, an average precision, an F1,
a V-measure, an intersection over union) become one by the jackknife: item i counts as
value + (n - 1) (value - value without i), brought to the mean `value` (pseudo-values, Tukey 1958). Their spread gives
the metric's standard error, and sums over a cluster that of clustered items.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from classtoken.errors import OptionError
from classtoken.measure.specialisation import average_precision

Floats = NDArray[np.float64]
Counts = Callable[[Floats], Floats]
"""sums of what is counted, (..., K) -> the metric, (...)"""


def pseudo_values(value: float, without: ArrayLike) -> Floats:
    """One number an item with the mean `value`, from the metric without each item."""
    left = np.asarray(without, dtype=np.float64)
    influence = (len(left) - 1) * (value - left)
    return value + influence - influence.mean()


def of_counts(counted_NK: ArrayLike, metric: Counts) -> tuple[float, Floats]:
    """A metric of sums over items (hits, misses, pixels): its value, and one number an item."""
    counted = np.asarray(counted_NK, dtype=np.float64)
    total = counted.sum(0)
    value = float(metric(total))
    return value, pseudo_values(value, metric(total - counted))


def pearson(first: ArrayLike, second: ArrayLike) -> tuple[float, Floats]:
    """Pearson's correlation, and one number an item. Raises `OptionError` where one side is constant."""
    x, y = _two(first, second)
    x, y = x - x.mean(), y - y.mean()
    sums = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)

    def correlation(s: Floats) -> Floats:
        n, sx, sy, sxx, syy, sxy = np.moveaxis(s, -1, 0)
        return (n * sxy - sx * sy) / np.sqrt(np.maximum((n * sxx - sx**2) * (n * syy - sy**2), 1e-300))

    return of_counts(sums, correlation)


def spearman_items(first: ArrayLike, second: ArrayLike, *, block: int = 512) -> tuple[float, Floats]:
    """Spearman's rank correlation, and one number an item. Raises `OptionError` where one side is constant."""
    x, y = _two(first, second)
    a, b = stats.rankdata(x), stats.rankdata(y)
    value = float(np.corrcoef(a, b)[0, 1])
    without = np.empty(len(a))
    for begin in range(0, len(a), block):
        rows = np.arange(begin, min(begin + block, len(a)))
        left = [_ranks_without(side, rows) for side in (a, b)]
        keep = np.ones(left[0].shape)
        keep[np.arange(len(rows)), rows] = 0
        without[rows] = _correlation(left[0], left[1], keep)
    return value, pseudo_values(value, without)


def _ranks_without(ranks: Floats, rows: NDArray[np.intp]) -> Floats:
    """The ranks of all others when one is taken away, a row for each: those above fall by 1, equal ones by a half."""
    own = ranks[rows][:, None]
    return ranks - (ranks > own) - 0.5 * (ranks == own)


def _correlation(a: Floats, b: Floats, keep: Floats) -> Floats:
    n = keep.sum(1, keepdims=True)
    a = (a - (a * keep).sum(1, keepdims=True) / n) * keep
    b = (b - (b * keep).sum(1, keepdims=True) / n) * keep
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def precision_items(scores: ArrayLike, truth: ArrayLike) -> tuple[float, Floats]:
    """Average precision of one label, and one number an item. Scores that are equal share a threshold.

    The value is `specialisation.average_precision`'s; the numbers of items break ties by their order.
    """
    s, t = np.asarray(scores, dtype=np.float64), np.asarray(truth).astype(bool)
    value = float(average_precision(s[:, None], t)[0])
    order = np.argsort(-s, kind="stable")
    hits = t[order]
    places, found, positives = np.arange(1, len(s) + 1), hits.cumsum(), int(hits.sum())
    above = np.concatenate([[0.0], np.cumsum(hits * found / places)])[:-1]

    def below(numbers: Floats) -> Floats:
        return numbers.sum() - np.cumsum(numbers)

    later = np.maximum(places - 1, 1)
    without = np.where(
        hits,
        (above + below(hits * (found - 1) / later)) / max(positives - 1, 1),
        (above + below(hits * found / later)) / positives,
    )
    if positives == 1:
        without[hits] = value  # without its only positive item the label has no precision
    items = np.empty(len(s))
    ranked = (above[-1] + hits[-1] * found[-1] / places[-1]) / positives
    items[order] = pseudo_values(float(ranked), without)
    return value, items - ranked + value


def f1_counts(predicted_NC: ArrayLike, truth_NC: ArrayLike) -> Floats:
    """True positives, false positives and false negatives of every label for every item, (N, 3 C)."""
    p, t = np.asarray(predicted_NC).astype(bool), np.asarray(truth_NC).astype(bool)
    return np.concatenate([p & t, p & ~t, ~p & t], axis=1).astype(np.float64)


def micro_f1(sums: Floats) -> Floats:
    """2 TP / (2 TP + FP + FN) over all labels together."""
    tp, fp, fn = (part.sum(-1) for part in np.split(sums, 3, axis=-1))
    return _share(2 * tp, 2 * tp + fp + fn)


def macro_f1(sums: Floats) -> Floats:
    """The mean of 2 TP / (2 TP + FP + FN) over the labels that occur or are predicted: of others nothing is known."""
    tp, fp, fn = np.split(sums, 3, axis=-1)
    return _mean_where(_share(2 * tp, 2 * tp + fp + fn), tp + fp + fn > 0)


def mean_iou(sums: Floats) -> Floats:
    """The mean over classes of TP / (TP + FP + FN), over the classes that occur."""
    tp, fp, fn = np.split(sums, 3, axis=-1)
    return _mean_where(_share(tp, tp + fp + fn), tp + fn > 0)


def v_measure_items(truth: ArrayLike, found: ArrayLike) -> tuple[float, Floats]:
    """V-measure (Rosenberg, Hirschberg 2007): the harmonic mean of homogeneity and completeness; one number an item."""
    classes, c = np.unique(np.asarray(truth), return_inverse=True)
    clusters, k = np.unique(np.asarray(found), return_inverse=True)
    table = np.zeros((len(classes), len(clusters)))
    np.add.at(table, (c, k), 1)
    value = _v(table)
    cells = {cell: 0.0 for cell in zip(c.tolist(), k.tolist(), strict=True)}
    for row, column in cells:
        table[row, column] -= 1
        cells[row, column] = _v(table)
        table[row, column] += 1
    return value, pseudo_values(value, [cells[cell] for cell in zip(c.tolist(), k.tolist(), strict=True)])


def _v(table: Floats) -> float:
    p = table / table.sum()
    of_class, of_cluster = p.sum(1), p.sum(0)
    joint, entropy_c, entropy_k = _entropy(p.ravel()), _entropy(of_class), _entropy(of_cluster)
    homogeneity = 1.0 if entropy_c == 0 else (entropy_c + entropy_k - joint) / entropy_c
    completeness = 1.0 if entropy_k == 0 else (entropy_c + entropy_k - joint) / entropy_k
    total = homogeneity + completeness
    return 0.0 if total == 0 else float(2 * homogeneity * completeness / total)


def _entropy(shares: Floats) -> float:
    p = shares[shares > 0]
    return float(-(p * np.log(p)).sum())


def ranking_items(
    relevance_ranked_QD: ArrayLike, relevant_total_Q: ArrayLike, ideal_QD: ArrayLike
) -> dict[str, Floats]:
    """nDCG@10, MRR@10, Recall@1, Recall@10 and mAP of every query, from the relevance of its documents, best first.

    nDCG: gain / log2(rank + 1), over that of the best order (`ideal_QD`, relevances from large to small); a document is
    relevant for the others where its relevance is above 0. mAP is over the whole ranking that is given.
    """
    gains = np.asarray(relevance_ranked_QD, dtype=np.float64)
    hits, totals = gains > 0, np.maximum(np.asarray(relevant_total_Q, dtype=np.float64), 1)
    places = np.arange(1, gains.shape[1] + 1)
    discount = 1 / np.log2(places[:10] + 1)
    ideal = np.asarray(ideal_QD, dtype=np.float64)[:, :10]
    best = (ideal / np.log2(np.arange(1, ideal.shape[1] + 1) + 1)).sum(1)
    first = np.where(hits[:, :10].any(1), 1 / (hits[:, :10].argmax(1) + 1), 0.0)
    return {
        "ndcg@10": (gains[:, :10] * discount).sum(1) / np.where(best > 0, best, 1),
        "mrr@10": first,
        "recall@1": hits[:, :1].sum(1) / totals,
        "recall@10": hits[:, :10].sum(1) / totals,
        "map": (hits * hits.cumsum(1) / places).sum(1) / totals,
    }


def _mean_where(shares: Floats, there: NDArray[np.bool_]) -> Floats:
    return np.where(there, shares, 0).sum(-1) / np.maximum(there.sum(-1), 1)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)


def _two(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(first, dtype=np.float64).ravel(), np.asarray(second, dtype=np.float64).ravel()
    if len(x) != len(y) or len(x) < 4:
        raise OptionError(f"a correlation needs 4 pairs or more, and there are {len(x)} and {len(y)} numbers.")
    for side in (x, y):
        if np.ptp(side) <= 1e-12 * max(1.0, float(abs(side).max())):
            raise OptionError(f"all numbers of one side are {side[0]:g}; a correlation needs differences.")
    return x, y
