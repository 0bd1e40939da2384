"""Statistics: against closed forms and scipy, and against what they promise (coverage, error rates)."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from classtoken.errors import OptionError
from classtoken.measure.statistics import (
    LEAST,
    calibration,
    compare,
    effective_n,
    effective_n_of_groups,
    exact,
    holm,
    mean_interval,
    spearman,
)
from classtoken.results.statistics import Calibration, Comparison, Interval

numbers = st.floats(-10, 10).map(lambda x: round(x, 3))


def test_of_many_symmetric_examples_the_interval_is_that_of_t() -> None:
    data = np.random.default_rng(1).normal(5, 2, size=400)
    found = mean_interval(data)
    low, high = stats.t.interval(0.95, 399, data.mean(), data.std(ddof=1) / 20)
    assert (found.n, found.method, found.level) == (400, "t", 0.95)
    assert found.low <= low
    assert found.high >= high
    assert found.high - found.low < 1.2 * (high - low)
    assert found == mean_interval(data) != mean_interval(np.append(data[:-1], 0))


def test_the_studentised_bootstrap_is_that_of_the_definition() -> None:
    """Resample by resample, with a skewed sample: its long side is the bootstrap's, its short one t's."""
    x = np.random.default_rng(0).lognormal(size=20)
    found = mean_interval(x, resamples=999, seed=3)
    drawn = x[np.random.default_rng(3).integers(0, 20, (999, 20))]
    t = sorted((row.mean() - x.mean()) / (row.std(ddof=1) / np.sqrt(20)) for row in drawn)
    error = x.std(ddof=1) / np.sqrt(20)
    assert found.high == pytest.approx(x.mean() - error * t[14])  # 1.5 % of 999: the 15th
    assert found.low == pytest.approx(x.mean() - error * stats.t.ppf(0.975, 19))


@pytest.mark.parametrize("n", range(2, LEAST))
def test_few_examples_have_no_interval(n: int) -> None:
    found = mean_interval(np.arange(n))
    assert (found.known, found.low, found.high) == (False, -np.inf, np.inf)
    assert str(found).endswith("[no interval]")
    assert type(found).from_json(found.to_json()) == found


def test_where_hardly_any_example_differs_there_is_no_interval() -> None:
    assert not mean_interval([0.0] * 39 + [1.0]).known


def test_examples_that_are_all_equal_do_not_promise_that_others_are() -> None:
    """Twelve hits of twelve are found in 28 of 100 samples where nine in ten are hits."""
    assert mean_interval([3.0] * 40) == Interval(3, -np.inf, np.inf, 0.95, 40, "none")
    hits = mean_interval([1.0] * 12, bounds=(0, 1))
    assert (hits.low, hits.high) == (pytest.approx(0.025 ** (1 / 12)), 1.0)
    inside = mean_interval([0.5] * 12, bounds=(-1, 1))
    assert (inside.low, inside.high) == (pytest.approx(1.5 * hits.low - 1), pytest.approx(1 - 0.5 * hits.low))
    some = [1.0] * 11 + [0.0]
    assert mean_interval(some, bounds=(0, 1)) == exact(11, 12)


@given(st.lists(numbers, min_size=2, max_size=9))
def test_sign_flips_of_few_examples_are_counted_one_by_one(differences: list[float]) -> None:
    found = compare(differences, np.zeros(len(differences)), resamples=999)
    patterns = itertools.product((1, -1), repeat=len(differences))
    sums = [abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) for signs in patterns]
    expected = np.mean([total >= abs(sum(differences)) - 1e-9 for total in sums])
    assert found.exact
    assert found.p == pytest.approx(expected)


def test_sign_flips_of_many_examples_agree_with_scipy() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(0.25, 1, size=60), generator.normal(0, 1, size=60)
    found = compare(a, b)
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis),
        permutation_type="samples",
        n_resamples=9999,
        vectorized=True,
        rng=np.random.default_rng(5),
    ).pvalue
    assert not found.exact
    assert found.p == pytest.approx(expected, abs=0.012)
    assert found.p == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.02)
    assert found.difference.estimate == pytest.approx((a - b).mean())
    assert found.wins + found.losses == 60


def test_a_sampled_p_is_never_zero() -> None:
    found = compare(np.ones(100) + np.arange(100) * 1e-3, np.zeros(100), resamples=499)
    assert found.p == 1 / 500


def test_right_and_wrong_answers_are_mcnemar_exact() -> None:
    """Examples that both get right or wrong say nothing; the rest is a coin."""
    first = np.array([1] * 50 + [1] * 9 + [0] * 2 + [0] * 30)
    second = np.array([1] * 50 + [0] * 9 + [1] * 2 + [0] * 30)
    found = compare(first, second)
    assert (found.wins, found.losses, found.exact) == (9, 2, True)
    assert found.p == pytest.approx(stats.binomtest(9, 11).pvalue)
    assert compare(first, first).p == 1


def test_the_permutation_test_errs_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    ps = [compare(generator.normal(size=12), generator.normal(size=12), resamples=300).p for _ in range(300)]
    assert 4 <= sum(p <= 0.05 for p in ps) <= 30, "15 of 300 are meant"


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (58, 69), (69, 69), (5000, 10000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_interval_of_a_share_is_that_of_scipy(successes: int, n: int, level: float) -> None:
    found = exact(successes, n, level=level)
    expected = stats.binomtest(successes, n).proportion_ci(level, method="exact")
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)


def test_a_share_by_hand() -> None:
    found = exact(58, 69)
    assert str(found) == "0.8406 [0.7326, 0.9176]"
    assert 0.85 in found
    assert 0.72 not in found


@given(st.lists(st.tuples(numbers, numbers), min_size=4, max_size=30))
def test_spearman_is_that_of_scipy(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T
    if len(set(a)) == 1 or len(set(b)) == 1:
        with pytest.raises(OptionError, match="needs differences"):
            spearman(a, b)
        return
    found = spearman(a, b)
    assert found.estimate == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)
    assert -1 <= found.low <= found.estimate <= found.high <= 1


def test_the_interval_of_spearman_covers_as_often_as_it_says() -> None:
    generator, truth = np.random.default_rng(0), 6 / np.pi * np.arcsin(0.7 / 2)
    hits = 0
    for _ in range(400):
        x = generator.normal(size=80)
        y = 0.7 * x + np.sqrt(1 - 0.49) * generator.normal(size=80)
        hits += truth in spearman(x, y)
    assert 366 <= hits <= 394, "380 of 400 are meant"


def test_perfect_ranks_have_no_interval() -> None:
    assert spearman([1, 2, 3, 4], [1, 8, 27, 64]).low == 1
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]).estimate == -1


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1, 1])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_stepping_down_rejects(p: list[float]) -> None:
    adjusted, ordered = holm(p), sorted(p)
    for alpha in (0.01, 0.05, 0.3):
        steps = 0
        while steps < len(p) and ordered[steps] * (len(p) - steps) <= alpha:
            steps += 1
        assert (adjusted <= alpha).sum() == steps
    assert (adjusted >= np.array(p)).all()


def test_calibration_by_hand() -> None:
    found = calibration([0.95, 0.95, 0.85, 0.55], [1, 0, 1, 1], bins=10)
    assert [(b.count, round(b.confidence, 2), b.accuracy) for b in found.bins] == [
        (1, 0.55, 1),
        (1, 0.85, 1),
        (2, 0.95, 0.5),
    ]
    assert found.ece == pytest.approx((0.45 + 0.15 + 2 * 0.45) / 4)
    assert found.largest == pytest.approx(0.45)


def test_honest_confidences_are_calibrated_and_bold_ones_are_not() -> None:
    generator = np.random.default_rng(0)
    p = generator.uniform(0.3, 1, size=20_000)
    right = generator.uniform(size=20_000) < p
    for equal_counts in (False, True):
        assert calibration(p, right, equal_counts=equal_counts).ece < 0.015
        bold = calibration(np.sqrt(p), right, equal_counts=equal_counts)
        assert bold.ece == pytest.approx((np.sqrt(p) - p).mean(), abs=0.01)
    assert [b.count for b in calibration(p, right, bins=8, equal_counts=True).bins] == [2500] * 8


@pytest.mark.parametrize("edge", [0.0, 1.0, 0.2])
def test_confidences_on_the_edge_of_a_bin(edge: float) -> None:
    assert calibration([edge], [1], bins=5).bins[0].count == 1


def test_effective_n() -> None:
    assert effective_n([2, 2, 2]) == pytest.approx(3)
    assert effective_n([1, 0, 0]) == 1
    assert effective_n([3, 1]) == pytest.approx(16 / 10)
    assert effective_n([1e-300, 1e-300]) == pytest.approx(2)


def test_effective_n_of_groups() -> None:
    generator = np.random.default_rng(0)
    base = generator.normal(size=50)
    assert effective_n_of_groups(np.repeat(base, 8), np.repeat(np.arange(50), 8)) == pytest.approx(50)
    assert effective_n_of_groups(generator.normal(size=400), np.repeat(np.arange(50), 8)) > 300
    assert effective_n_of_groups(base, np.arange(50)) == 50
    assert effective_n_of_groups([1, 1, 1], ["a", "a", "b"]) == 3
    half = np.repeat(base, 8) + generator.normal(size=400)  # half of the variance is the group's: ICC 0.5
    assert effective_n_of_groups(half, np.repeat(np.arange(50), 8)) == pytest.approx(400 / (1 + 7 * 0.5), rel=0.25)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: mean_interval([1.0, 2.0], bounds=(0, 1)), "between 0 and 1, not from 1 to 2"),
        (lambda: mean_interval([1.0]), "2 examples or more are needed, and there is 1"),
        (lambda: mean_interval([1.0, np.nan]), "1 of 2 numbers are not finite"),
        (lambda: compare([1.0, 2.0], [1.0]), r"\[1, 2\] numbers"),
        (lambda: mean_interval([1.0, 2.0], level=95), "between 0 and 1, not 95"),
        (lambda: compare([1.0, 2.0], [1.0, 2.0, 3.0]), r"\[2, 3\] numbers"),
        (lambda: exact(3, 2), "3 of 2 is no share"),
        (lambda: exact(0, 0), "0 of 0 is no share"),
        (lambda: spearman([1, 2, 3], [1, 2, 3]), "4 pairs or more, and there are 3"),
        (lambda: holm([0.1, 1.5]), "one is 1.5"),
        (lambda: calibration([1.5], [1]), "probabilities, not logits"),
        (lambda: calibration([0.5], [2]), "correct"),
        (lambda: calibration([0.5], [1], bins=0), "not 0"),
        (lambda: calibration([], []), "1 examples or more"),
        (lambda: effective_n([-1, 2]), "0 or more"),
        (lambda: effective_n([0, 0]), "0 or more"),
        (lambda: effective_n_of_groups([1, 2], ["a", "a"]), "one group"),
        (lambda: effective_n_of_groups([1, 2], ["a"]), "1 group names for 2"),
    ],
)
def test_what_cannot_be_computed_is_said(call: object, said: str) -> None:
    assert callable(call)
    with pytest.raises(OptionError, match=said):
        call()


def test_results_go_to_json_and_come_back() -> None:
    for result in (compare([1, 2, 3.5], [1, 1, 1]), calibration([0.5, 0.9], [0, 1]), exact(3, 9)):
        assert type(result).from_json(result.to_json()) == result
        assert isinstance(result, Comparison | Calibration | Interval)
        json.loads(result.to_json())
