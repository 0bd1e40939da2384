"""Intervals and tests of several candidates: against scipy, and their promises by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.measure import calibration

from classtoken.errors import OptionError
from classtoken.measure.paired import (
    Units,
    bca,
    effect_size,
    groups,
    intervals,
    pair_tests,
    standard_errors,
)
from classtoken.measure.scores import spearman_items

SOME = (200, pytest.param(2000, marks=pytest.mark.soak))
"""simulated comparisons: few in every run, many in the soak"""


def within_binomial(hits: int, n: int, share: float) -> bool:
    """Whether so many hits of n are what `share` gives in 99.9 % of all cases, or fewer."""
    return hits <= stats.binom.ppf(0.999, n, share)


def test_bca_is_scipys_but_for_the_resamples_drawn() -> None:
    x = np.random.default_rng(0).exponential(size=80)
    low, high = bca(x, Units.each(80), resamples=40000)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=40000, method="BCa", rng=np.random.default_rng(1))
    error = x.std() / np.sqrt(80)
    assert low[0] == pytest.approx(theirs.confidence_interval.low, abs=0.05 * error)
    assert high[0] == pytest.approx(theirs.confidence_interval.high, abs=0.05 * error)


@pytest.mark.slow
def test_the_interval_of_a_rank_correlation_is_that_of_the_correlation_resampled() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=300)
    y = x + generator.normal(size=300)
    value, items = spearman_items(x, y)
    (ours,) = intervals(items, Units.each(300))
    theirs = stats.bootstrap(
        (x, y), lambda a, b: stats.spearmanr(a, b).statistic, paired=True, vectorized=False, n_resamples=2000
    ).confidence_interval
    error = float(standard_errors(items, Units.each(300))[0])
    assert ours.estimate == pytest.approx(value)
    assert abs(ours.low - theirs.low) < 0.35 * error
    assert abs(ours.high - theirs.high) < 0.35 * error


def test_p_is_scipys_permutation_test() -> None:
    generator = np.random.default_rng(2)
    few = generator.normal(size=(2, 12)) + np.array([[0.4], [0]])
    ours = pair_tests(few, Units.each(12))
    theirs = stats.permutation_test(
        tuple(few), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", vectorized=True
    )
    assert ours.exact
    assert ours.p[0, 1] == pytest.approx(theirs.pvalue, abs=1e-12)
    assert ours.differences[0, 1] == pytest.approx(theirs.statistic)
    many = generator.normal(size=(2, 60)) + np.array([[0.3], [0]])
    drawn, theirs = pair_tests(many, Units.each(60), resamples=20000), stats.permutation_test(
        tuple(many), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", n_resamples=20000,
        vectorized=True, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert not drawn.exact
    assert drawn.p[0, 1] == pytest.approx(theirs.pvalue, abs=5 * np.sqrt(theirs.pvalue / 20000))


def test_clusters_are_resampled_whole() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=40), 5)
    clustered = Units.clusters(np.repeat(np.arange(40), 5).tolist())
    alone = standard_errors(values, Units.each(200))[0]
    together = standard_errors(values, clustered)[0]
    assert together / alone == pytest.approx(np.sqrt(5), rel=0.05)
    (interval,) = intervals(values, clustered)
    assert interval.n == 40
    assert intervals(values, Units.each(200))[0].high < interval.high
    assert Units.clusters(["a", None, "a", None]).count == 3


def test_rows_of_several_kinds_have_the_intervals_that_they_have_alone() -> None:
    generator = np.random.default_rng(4)
    rows = np.stack(
        [generator.random(40) < 0.6, np.full(40, 0.3), generator.normal(size=40), generator.exponential(size=40)]
    )
    together = intervals(rows, Units.each(40))
    assert [one.method for one in together] == ["exact", "none", "bca", "bca"]
    assert together == tuple(intervals(row, Units.each(40))[0] for row in rows)


def test_what_has_no_interval_says_so() -> None:
    assert intervals(np.arange(5.0), Units.each(5))[0].method == "none"
    assert intervals(np.full(20, 0.3), Units.each(20))[0].method == "none"
    assert intervals(np.ones(20), Units.each(20))[0].method == "exact"
    assert intervals(np.zeros(20), Units.each(20), differences=True)[0].method == "none"
    with pytest.raises(OptionError, match="not finite"):
        intervals([1.0, np.nan], Units.each(2))
    with pytest.raises(OptionError, match="3 numbers for 4 items"):
        Units.each(4).sums([1.0, 2, 3])


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("repeats", SOME)
def test_equal_candidates_are_told_apart_in_5_percent_at_most(clustered: bool, repeats: int) -> None:
    single, family = calibration.told_apart(repeats, clustered=clustered)
    assert within_binomial(single, repeats, 0.05)
    assert within_binomial(family, repeats, 0.05)
    assert single > 0


@pytest.mark.parametrize("repeats", SOME)
def test_clusters_that_are_not_named_give_false_findings(repeats: int) -> None:
    single, _ = calibration.told_apart(repeats, clustered=True, named=False)
    assert not within_binomial(single, repeats, 0.05)


@pytest.mark.parametrize("repeats", SOME)
def test_planted_differences_are_found_as_often_as_promised_and_groups_hold_the_truth(repeats: int) -> None:
    seen, held = calibration.planted(repeats)
    assert seen / repeats == pytest.approx(0.8, abs=0.08 if repeats < 1000 else 0.03)
    assert held / repeats >= 0.75  # one finding more than the two that are true breaks it
    for truths in (calibration.ALMOST, (0.2, 0.2, 0.0, 0.0)):
        missed = repeats - calibration.best_in_first_group(repeats, truths)
        assert within_binomial(missed, repeats, 0.05)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("repeats", SOME)
def test_intervals_cover(clustered: bool, repeats: int) -> None:
    assert within_binomial(repeats - calibration.covered(repeats, clustered=clustered), repeats, 0.05)


def test_groups_are_told_by_their_best() -> None:
    adjusted = np.array([[1, 0.2, 0.01, 0.01], [0.2, 1, 0.2, 0.01], [0.01, 0.2, 1, 0.3], [0.01, 0.01, 0.3, 1]])
    assert groups([0.9, 0.8, 0.7, 0.6], adjusted) == (1, 1, 2, 2)
    assert groups([0.6, 0.7, 0.8, 0.9], adjusted[::-1, ::-1]) == (2, 2, 1, 1)


def test_effect_sizes() -> None:
    assert effect_size([1.0, 3.0]) == pytest.approx(2 / np.sqrt(2))
    assert effect_size([0.0, 0.0]) == 0
    assert effect_size([2.0, 2.0]) == np.inf


def test_of_items_judged_in_folds_fewer_are_independent() -> None:
    values = np.array([[1.0, 0.0] * 45 + [1.0] * 10])
    whole, folds = (intervals(values, replace(Units.each(100), folds=k))[0] for k in (0, 5))
    (fewer,) = intervals(values[:, :44], Units.each(44))
    assert (folds.estimate, folds.n) == (whole.estimate, 100)
    assert folds.high - folds.low == pytest.approx(fewer.high - fewer.low, abs=0.01)
    assert folds.low < whole.low < whole.high < folds.high


@pytest.mark.parametrize("clusters", [1, 2])
def test_what_is_no_share_is_as_unsure_in_folds(clusters: int) -> None:
    """An F1, a learned pooling's mean over seeds, an accuracy of clusters: else they would look surer than the accuracy
    beside them, and in folds of records without any meaning held the truth in 88 of 100 draws."""
    values = np.random.default_rng(0).normal(size=(1, 100))
    units = Units.clusters(np.repeat(np.arange(100 // clusters), clusters).tolist())
    whole, folds = (intervals(values, replace(units, folds=k))[0] for k in (0, 5))
    assert (folds.high - folds.low) / (whole.high - whole.low) == pytest.approx(1.5)
    apart = [intervals(values, replace(units, folds=k), differences=True)[0] for k in (0, 5)]
    assert apart[0] == apart[1] == whole
