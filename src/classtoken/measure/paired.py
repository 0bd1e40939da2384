"""Several ways judged on the same items: intervals, paired tests, groups that cannot be told apart, what can be seen.

Letters: M candidates, N items, G units, R resamples. A unit is what was drawn at random: an item, or a whole cluster of
items (pairs that share a sentence, photographs of one product). What is said holds for other units of the same kind.

Every metric comes as one number an item whose mean is the metric (`measure.scores`), so that one interval and one test
serve all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from classtoken.errors import OptionError
from classtoken.measure.statistics import LEAST, exact, holm, independence
from classtoken.results.statistics import Interval

Floats = NDArray[np.float64]
RESAMPLES = 4999
LEVEL = 0.95
POWER = 0.8
_AT_ONCE = 4_000_000
"""numbers held at once while resampling"""


@dataclass(frozen=True)
class Units:
    """Which unit each of N items belongs to, numbered from 0.

    folds: parts of the items, each judged by what has learned from the others; 0: nothing learned from judged items.
    """

    of: NDArray[np.intp]
    count: int
    folds: int = 0

    @classmethod
    def each(cls, items: int) -> "Units":
        """Every item is a unit of its own."""
        return cls(np.arange(items), items)

    @classmethod
    def clusters(cls, names: Sequence[object]) -> "Units":
        """Items of equal name are one unit; an item without a name (None) is one of its own."""
        numbers: dict[object, int] = {}
        keys = [("", i) if name is None else ("cluster", name) for i, name in enumerate(names)]
        found = [numbers.setdefault(key, len(numbers)) for key in keys]
        return cls(np.array(found, dtype=np.intp), len(numbers))

    @property
    def sizes(self) -> Floats:
        """Items of each unit, (G,)."""
        return np.bincount(self.of, minlength=self.count).astype(np.float64)

    @property
    def alone(self) -> bool:
        """Every unit is one item."""
        return self.count == len(self.of)

    def sums(self, values_MN: ArrayLike) -> Floats:
        """The sum over each unit's items, (M, G)."""
        values = np.atleast_2d(np.asarray(values_MN, dtype=np.float64))
        if values.shape[1] != len(self.of):
            raise OptionError(f"there are {values.shape[1]} numbers for {len(self.of)} items; give one for each.")
        if self.alone:
            found = np.empty_like(values)
            found[:, self.of] = values
            return found
        return np.stack([np.bincount(self.of, row, self.count) for row in values])

    def of_items(self, rows: ArrayLike) -> "Units":
        """The units of some of the items, numbered anew."""
        _, numbers = np.unique(self.of[np.asarray(rows)], return_inverse=True)
        return Units(numbers, int(numbers.max()) + 1 if len(numbers) else 0, self.folds)


def standard_errors(values_MN: ArrayLike, units: Units) -> Floats:
    """The standard error of each mean over items by the jackknife over units, (M,)."""
    influence = _jackknife(units.sums(values_MN), units.sizes)
    g = units.count
    return np.sqrt(np.square(influence).sum(1) * (g - 1) / g) if g > 1 else np.full(len(influence), np.inf)


def intervals(
    values_MN: ArrayLike,
    units: Units,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    differences: bool = False,
) -> tuple[Interval, ...]:
    """The mean of each row over its items with its interval: on each side the wider of BCa's over units (Efron 1987)
    and Student's t, since BCa alone is too narrow on few units. The same resamples serve all rows.

    A share (0 and 1 only) of items that are units has the exact interval, unless the values are `differences` (which
    may be below 0 elsewhere). Where each item was judged in one of several folds by a classifier that learned from the
    others, fewer are independent (`statistics.independence`): every interval is that of so many, but for differences,
    since candidates share most of what their folds have in common. Below `LEAST` units, and where all items are equal,
    which says nothing of others, there is none.
    """
    values = np.atleast_2d(np.asarray(values_MN, dtype=np.float64))
    if not np.isfinite(values).all():
        raise OptionError("an interval was asked for of numbers that are not finite; leave those items out.")
    means, g = values.mean(1), units.count
    low, high = np.full(len(values), -np.inf), np.full(len(values), np.inf)
    shares = ((values == 0) | (values == 1)).all(1) & (not differences and units.alone and g >= 2)
    drawn = ~shares & (values != values[:, :1]).any(1)
    if g >= LEAST and drawn.any():
        some = values[drawn]
        error = standard_errors(some, units) * stats.t.ppf((1 + level) / 2, g - 1)
        below, above = bca(some, units, level=level, resamples=resamples, seed=seed)
        wider = 1.0 if differences else independence(units.folds) ** -0.5
        low[drawn] = means[drawn] - wider * (means[drawn] - np.fmin(below, means[drawn] - error))
        high[drawn] = means[drawn] + wider * (np.fmax(above, means[drawn] + error) - means[drawn])
    found = []
    for row, mean, least, most, share in zip(values, means, low, high, shares, strict=True):
        if share:
            alone = max(1, round(g * independence(units.folds)))
            found.append(replace(exact(round(mean * alone), alone, level=level), estimate=float(mean), n=g))
        elif g < LEAST or (row == row[0]).all():
            found.append(Interval(float(mean), -np.inf, np.inf, level, g, "none"))
        else:
            found.append(Interval(float(mean), float(least), float(most), level, g, "bca"))
    return tuple(found)


def bca(
    values_MN: ArrayLike, units: Units, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Floats, Floats]:
    """Both ends of the bias-corrected and accelerated bootstrap interval of each mean over items, units resampled.

    As `scipy.stats.bootstrap(method="BCa")` where every item is a unit. NaN where no resample differs.
    """
    sums, sizes = units.sums(values_MN), units.sizes
    means = sums.sum(1) / sizes.sum()
    drawn_RM = np.concatenate([(w @ sums.T) / (w @ sizes)[:, None] for w in _draws(units.count, resamples, seed)])
    below = ((drawn_RM < means).sum(0) + (drawn_RM <= means).sum(0)) / (2 * len(drawn_RM))
    influence = _jackknife(sums, sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = stats.norm.ppf(below)
        rate = (influence**3).sum(1) / (6 * np.square(influence).sum(1) ** 1.5)
        ends = []
        for tail in ((1 - level) / 2, (1 + level) / 2):
            z = bias + stats.norm.ppf(tail)
            ends.append(stats.norm.cdf(bias + z / (1 - rate * z)))
    found = np.full((2, len(means)), np.nan)
    for m in range(len(means)):
        if np.isfinite([ends[0][m], ends[1][m]]).all():
            found[:, m] = np.quantile(drawn_RM[:, m], [ends[0][m], ends[1][m]])
    return found[0], found[1]


def _draws(units: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each resample holds each unit, in blocks (R, G)."""
    generator, most = np.random.default_rng(seed), max(1, _AT_ONCE // units)
    for begin in range(0, resamples, most):
        rows = min(most, resamples - begin)
        drawn = generator.integers(0, units, (rows, units)) + units * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)


def _jackknife(sums_MG: Floats, sizes: Floats) -> Floats:
    """(mean of the leave-one-out means) - (leave-one-out mean), (M, G)."""
    if len(sizes) < 2:
        return np.zeros_like(sums_MG)
    without = (sums_MG.sum(1, keepdims=True) - sums_MG) / (sizes.sum() - sizes)
    return without.mean(1, keepdims=True) - without


@dataclass(frozen=True)
class PairTests:
    """Every pair of M candidates: difference of means (row - column), p, and p after Holm; (M, M) each."""

    differences: Floats
    p: Floats
    adjusted: Floats
    exact: bool
    resamples: int


def pair_tests(values_MN: ArrayLike, units: Units, *, resamples: int | None = None, seed: int = 0) -> PairTests:
    """A paired permutation test of every pair: where it does not matter which candidate gave which number, a unit's
    difference could as well have the other sign.

    p is the share of sign patterns whose mean is at least as far from 0; all patterns where there are few, else
    `resamples` drawn ones (as many as Holm's correction over all pairs needs, if left out), the observed one included.
    The same patterns serve all pairs. Adjusted by Holm (1979) over all pairs.
    """
    sums = units.sums(values_MN)
    m, g = sums.shape
    first, second = np.triu_indices(m, 1)
    if resamples is None:
        resamples = max(9999, 100 * len(first))
    seen = abs((sums[first] - sums[second]).sum(1))
    bar = seen * (1 - 1e-12) - 1e-12
    every = g < 20 and 2**g <= resamples
    reached = np.zeros(len(first))
    for signs in _signs(g, resamples, seed, every):
        flipped = signs @ sums.T
        reached += (abs(flipped[:, first] - flipped[:, second]) >= bar).sum(0)
    p = reached / 2**g if every else (reached + 1) / (resamples + 1)
    adjusted = holm(p) if len(p) else p
    whole = np.ones((2, m, m))
    whole[0, first, second] = whole[0, second, first] = p
    whole[1, first, second] = whole[1, second, first] = adjusted
    means = sums.sum(1) / units.sizes.sum()
    return PairTests(means[:, None] - means, whole[0], whole[1], every, 2**g if every else resamples)


def _signs(units: int, resamples: int, seed: int, every: bool) -> Iterator[Floats]:
    if every:
        yield (1 - 2 * ((np.arange(2**units)[:, None] >> np.arange(units)) & 1)).astype(np.float64)
        return
    generator, most = np.random.default_rng(seed), max(1, _AT_ONCE // units)
    for begin in range(0, resamples, most):
        rows = min(most, resamples - begin)
        yield (1 - 2 * generator.integers(0, 2, (rows, units), dtype=np.int8)).astype(np.float64)


def groups(means: ArrayLike, adjusted_MM: ArrayLike, *, alpha: float = 0.05) -> tuple[int, ...]:
    """The group of each candidate, from 1: the best, and all that cannot be told apart from it, are group 1; of the
    others again the best, and all that cannot be told apart from that one, are group 2, and so on.

    The truly best candidate is missing from group 1 in at most `alpha` of all comparisons: for that it must have been
    taken for worse than another, and all of these tests together err so rarely (Holm).
    """
    order = list(np.argsort(-np.asarray(means, dtype=np.float64), kind="stable"))
    adjusted, found, number = np.asarray(adjusted_MM), [0] * len(order), 0
    while order:
        number += 1
        leader = order[0]
        tied = [one for one in order if one == leader or adjusted[leader, one] >= alpha]
        for one in tied:
            found[one] = number
        order = [one for one in order if one not in tied]
    return tuple(found)


def detectable(deviation: float, units: int, *, tests: int = 1, alpha: float = 0.05, power: float = POWER) -> float:
    """The smallest true difference of two means that a paired test at `alpha` / `tests` finds with `power`:
    (z(1 - alpha / 2 tests) + z(power)) * deviation / sqrt(units), for units whose differences spread by `deviation`."""
    z = stats.norm.ppf(1 - alpha / (2 * max(1, tests))) + stats.norm.ppf(power)
    return float(z * deviation / np.sqrt(units))


def effect_size(differences: ArrayLike) -> float:
    """Mean over standard deviation of paired differences (Cohen's d_z); 0 where all are 0, infinite where all are
    equal and not 0."""
    d = np.asarray(differences, dtype=np.float64)
    mean, spread = float(d.mean()), float(d.std(ddof=1)) if len(d) > 1 else 0.0
    if spread <= 1e-15:
        return 0.0 if abs(mean) <= 1e-15 else float(np.sign(mean) * np.inf)
    return mean / spread
