"""Estimates with their uncertainty: intervals, paired tests, several tests at once, calibration.

Arrays in, `results.statistics` out. Everything that is drawn at random is drawn from a seed. Examples are rows: an
interval or a test says something about other examples of the same kind, not about other training runs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from classtoken.errors import OptionError
from classtoken.results.statistics import Calibration, CalibrationBin, Comparison, Interval

Floats = NDArray[np.float64]

LEAST = 12
"""examples, below which no interval of a mean is given: it would cover too seldom"""
TAIL = 0.3
"""tails of the studentised bootstrap as a share of 1 - level (0.5 would be nominal)"""
_AT_ONCE = 4_000_000
"""numbers held at once while resampling"""


def mean_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """A mean and its interval: on each side the wider of Student's t and the studentised bootstrap (Efron 1981).

    t covers what is spread symmetrically from the smallest n on, the studentised bootstrap what is skewed: its tails
    are taken at `TAIL` of the level's, since with few examples it is a little too narrow. `docs/trust.md` has the
    coverage. Below `LEAST` examples, and where so few examples differ that resamples have no spread, there is no
    interval: from -inf to inf, `none`.

    bounds: what no example can be below or above. Where all are at bounds of 0 and 1 the interval is `exact`; where all
    are equal, so many examples may be anything in between as the exact interval of n of n leaves. Without bounds equal
    examples say nothing of others, and have none. Raises `OptionError` for fewer than 2 examples, for numbers that are
    not finite, and for those out of bounds.
    """
    x = _finite(values)
    n = _same_length([x])
    _between("level", level, 0, 1)
    mean = float(x.mean())
    if bounds is not None and not (bounds[0] - 1e-3 <= x.min() and x.max() <= bounds[1] + 1e-3):
        raise OptionError(f"numbers lie between {bounds[0]:g} and {bounds[1]:g}, not from {x.min():g} to {x.max():g}.")
    if bounds == (0, 1) and np.isin(x, (0, 1)).all():
        return exact(int(x.sum()), n, level=level)
    equal = bool((x == x[0]).all())
    if equal and bounds is not None:
        sure = exact(n, n, level=level).low
        low, high = (sure * mean + (1 - sure) * bound for bound in bounds)
        return Interval(mean, low, high, level, n, "exact")
    if equal or n < LEAST:
        return Interval(mean, -np.inf, np.inf, level, n, "none")
    error, t = x.std(ddof=1) / np.sqrt(n), float(stats.t.ppf((1 + level) / 2, n - 1))
    tail = TAIL * (1 - level)
    below, above = np.quantile(_studentised(x, resamples, seed), [tail, 1 - tail], method="inverted_cdf")
    low, high = float(mean - max(t, above) * error), float(mean + max(t, -below) * error)
    if not np.isfinite([low, high]).all():
        return Interval(mean, -np.inf, np.inf, level, n, "none")
    return Interval(mean, low, high, level, n, "t")


def _studentised(x: Floats, resamples: int, seed: int) -> Floats:
    """(mean of the resample - mean) / standard error of the resample; infinite where the resample is constant."""
    generator, n = np.random.default_rng(seed), len(x)
    scale, found = x.std(), []
    for left in range(resamples, 0, -max(1, _AT_ONCE // n)):
        drawn = x[generator.integers(0, n, (min(left, max(1, _AT_ONCE // n)), n))]
        apart, errors = drawn.mean(1) - x.mean(), drawn.std(1, ddof=1) / np.sqrt(n)
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(np.where(errors > 1e-12 * scale, apart / errors, np.sign(apart) * np.inf))
    return np.concatenate(found)


def compare(
    first: ArrayLike,
    second: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Comparison:
    """Two ways on the same examples: mean of first - second with its interval, and a paired permutation test.

    When it does not matter which way gave which number, every difference could as well have the other sign: p is the
    share of sign patterns whose mean is at least as far from 0. All of them are counted where there are no more than
    `resamples` (then p is exact), otherwise `resamples` are drawn and the observed one counts as one of them.
    """
    a, b = _finite(first), _finite(second)
    n = _same_length([a, b])
    differences = a - b
    p, exact = _sign_flips(differences[differences != 0], resamples, seed)
    interval = mean_interval(differences, level=level, resamples=resamples, seed=seed)
    assert interval.n == n
    return Comparison(interval, p, int((differences > 0).sum()), int((differences < 0).sum()), exact)


def _sign_flips(differences: Floats, resamples: int, seed: int) -> tuple[float, bool]:
    """p of the sum, and whether it is exact. Differences of 0 have no sign to flip and are left out before.

    `scipy.stats.permutation_test` counts the same, and takes 26 times as long on 300 examples.
    """
    n = len(differences)
    if n == 0:
        return 1.0, True
    seen = abs(differences.sum()) * (1 - 1e-12)  # equal sums in another order differ in the last digit
    if n < 63 and 2**n <= resamples:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((abs(signs @ differences) >= seen).mean()), True
    generator, reached, left = np.random.default_rng(seed), 0, resamples
    while left:
        rows = min(left, max(1, _AT_ONCE // n))
        signs = 1 - 2 * generator.integers(0, 2, (rows, n), dtype=np.int8)
        reached += int((abs(signs @ differences) >= seen).sum())
        left -= rows
    return (reached + 1) / (resamples + 1), False


def independence(folds: int) -> float:
    """The part of the rows that is independent where all of them were judged in k folds: 1 / (1 + k / (k - 1)).

    The classifiers of the folds share most of what they learned from (Nadeau & Bengio 2003). 1 without folds.
    """
    return 1 / (1 + folds / (folds - 1)) if folds else 1.0


def exact(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """A share (an accuracy) of n independent yes-or-no examples with the exact interval (Clopper, Pearson 1934).

    Wilson's is shorter and covers as little as 83 % near 0 and 1, where accuracies lie; this one
    never less than `level`.
    """
    if n < 1 or not 0 <= successes <= n:
        raise OptionError(f"{successes} of {n} is no share; give 0 to n of n >= 1.")
    _between("level", level, 0, 1)
    found = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="exact")
    return Interval(successes / n, float(found.low), float(found.high), level, n, "exact")


def spearman(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Interval:
    """Spearman's rank correlation; ties have their mean rank. The interval is Fisher's z with the standard error
    sqrt((1 + r^2 / 2) / (n - 3)) (Bonett, Wright 2000).

    Raises `OptionError` for fewer than 4 pairs, and where one side is constant (it has no ranks).
    """
    a, b = _finite(first), _finite(second)
    n = _same_length([a, b])
    _between("level", level, 0, 1)
    if n < 4:
        raise OptionError(f"a rank correlation with an interval needs 4 pairs or more, and there are {n}.")
    for name, side in (("first", a), ("second", b)):
        if (side == side[0]).all():
            raise OptionError(f"all numbers of the {name} side are {side[0]:g}; a rank correlation needs differences.")
    r = float(stats.spearmanr(a, b).statistic)
    if abs(r) > 1 - 1e-12:
        return Interval(float(np.sign(r)), float(np.sign(r)), float(np.sign(r)), level, n, "fisher z")
    half = float(stats.norm.ppf((1 + level) / 2)) * np.sqrt((1 + r**2 / 2) / (n - 3))
    return Interval(r, float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half)), level, n, "fisher z")


def holm(p_values: ArrayLike) -> Floats:
    """p-values adjusted for being several, in their order: rejecting those below alpha errs at all in at most alpha of
    the cases, whatever they have to do with each other (Holm 1979)."""
    p = _finite(p_values)
    if len(p) and not ((p >= 0) & (p <= 1)).all():
        raise OptionError(f"p-values lie between 0 and 1, and one is {p[(p < 0) | (p > 1)][0]:g}.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def calibration(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 15, equal_counts: bool = False
) -> Calibration:
    """Expected calibration error: sum over bins of (count / n) |accuracy - mean confidence| (Guo et al. 2017).

    `confidence` is the probability given to each answer, `correct` whether it was right; for several labels a row,
    every label is an answer: its probability, and whether it applies. Bins have equal widths, or equal counts.
    """
    p, right = _finite(confidence), _finite(correct)
    n = _same_length([p, right], least=1)
    if bins < 1:
        raise OptionError(f"calibration needs 1 bin or more, not {bins}.")
    if ((p < 0) | (p > 1)).any():
        raise OptionError("confidences lie between 0 and 1; give probabilities, not logits.")
    if not np.isin(right, (0, 1)).all():
        raise OptionError("an answer is correct (1) or not (0); other numbers were given.")
    if equal_counts:
        parts = np.array_split(np.argsort(p, kind="stable"), min(bins, n))
    else:
        number = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)
        parts = [np.flatnonzero(number == b) for b in range(bins)]
    found = tuple(
        CalibrationBin(len(part), float(p[part].mean()), float(right[part].mean())) for part in parts if len(part)
    )
    gaps = [abs(part.accuracy - part.confidence) for part in found]
    ece = sum(gap * part.count for gap, part in zip(gaps, found, strict=True)) / n
    return Calibration(float(ece), max(gaps), found)


def effective_n(weights: ArrayLike) -> float:
    """How many equally weighted examples are worth these: (sum w)^2 / sum w^2 (Kish 1965), from 1 to their number."""
    w = _finite(weights)
    if not len(w) or (w < 0).any() or not w.any():
        raise OptionError("weights must be 0 or more, and one of them above 0.")
    w = w / w.max()
    return float(w.sum() ** 2 / (w**2).sum())


def effective_n_of_groups(values: ArrayLike, groups: ArrayLike) -> float:
    """How many independent examples are worth these, which come in groups: n / (1 + (m - 1) ICC), Kish's design effect.

    ICC is the correlation within groups by analysis of variance, not below 0; m is the groups' mean size weighted by
    size. Between the number of groups (all of a group alike) and n (groups say nothing).
    """
    x, names = _finite(values), np.asarray(groups)
    if len(names) != len(x):
        raise OptionError(f"there are {len(names)} group names for {len(x)} examples; give one for each.")
    _, group_of, sizes = np.unique(names, return_inverse=True, return_counts=True)
    n, k = len(x), len(sizes)
    if k < 2:
        raise OptionError("all examples are in one group; an effective number needs 2 groups or more.")
    if k == n or (x == x[0]).all():
        return float(n)
    means = np.bincount(group_of, x) / sizes
    between = (sizes * (means - x.mean()) ** 2).sum() / (k - 1)
    within = ((x - means[group_of]) ** 2).sum() / (n - k)
    typical = (n - (sizes**2).sum() / n) / (k - 1)
    icc = max(0.0, (between - within) / (between + (typical - 1) * within))
    return float(n / (1 + ((sizes**2).sum() / n - 1) * icc))


def _finite(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(array).all():
        raise OptionError(f"{int((~np.isfinite(array)).sum())} of {array.size} numbers are not finite; leave them out.")
    return array


def _same_length(samples: Sequence[Floats], least: int = 2) -> int:
    lengths = {len(sample) for sample in samples}
    if len(lengths) != 1:
        raise OptionError(f"paired samples have one number per example, and there are {sorted(lengths)} numbers.")
    n = lengths.pop()
    if n < least:
        raise OptionError(f"{least} examples or more are needed, and there {'is' if n == 1 else 'are'} {n}.")
    return n


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise OptionError(f"{name} must be between {low} and {high}, not {value:g}.")
