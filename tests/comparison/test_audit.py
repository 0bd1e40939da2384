"""Gaps between parts: chance gives them as often as is said, and their intervals hold the truth."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from classtoken.comparison.audit import Audit, gaps_of
from classtoken.comparison.contest import Entrant
from classtoken.comparison.task import Judged
from classtoken.measure.paired import Units
from classtoken.results.compare import Cost, Gap


def gap_of(values: np.ndarray, parts: np.ndarray, units: Units) -> Gap:
    """The gap of a candidate that got these numbers."""
    task = SimpleNamespace(metric="accuracy", units=units, choices=SimpleNamespace(seed=0))
    entrant = Entrant("one", "model", "cls", Judged({"accuracy": values}), Cost(8, 32))
    return gaps_of([entrant], cast(Any, task), Audit(parts, tuple(np.unique(parts)), ()))[0]


@pytest.mark.slow
@pytest.mark.parametrize("across", [False, True], ids=["a cluster in one part", "clusters in both parts"])
def test_clusters_make_no_gap_where_there_is_none(across: bool) -> None:
    generator, runs, seen, held = np.random.default_rng(1), 60, 0, 0
    for _ in range(runs):
        of = np.repeat(np.arange(40), 6)
        right = generator.beta(1.0, 0.6, 40)
        values = (generator.random(240) < right[of]).astype(float)
        parts = np.array(["a", "b"])[generator.integers(0, 2, 240) if across else of % 2]
        gap = gap_of(values, parts, Units(of, 40))
        seen += gap.p < 0.05
        held += gap.low <= 0 <= gap.high
    assert seen <= stats.binom.ppf(0.999, runs, 0.05)  # 22 % where items are handed about one by one
    assert held >= stats.binom.ppf(0.001, runs, 0.95)


def test_a_gap_that_is_there_is_found() -> None:
    generator = np.random.default_rng(2)
    of = np.repeat(np.arange(60), 4)
    values = (generator.random(240) < np.where(of % 2, 0.9, 0.5)).astype(float)
    gap = gap_of(values, np.where(of % 2, "a", "b"), Units(of, 60))
    assert (gap.best, gap.worst) == ("a", "b")
    assert gap.p < 0.01
    assert 0 < gap.low < gap.value < gap.high <= 1


def test_items_that_are_all_right_leave_room_for_a_gap() -> None:
    parts = np.repeat(["a", "b"], 15)
    gap = gap_of(np.ones(30), parts, Units.each(30))
    sure = stats.binomtest(15, 15).proportion_ci(method="exact").low
    assert (gap.value, gap.p) == (0, 1)
    assert gap.low == pytest.approx(sure - 1)
    assert gap.high == pytest.approx(1 - sure)


def test_parts_of_few_clusters_have_no_interval() -> None:
    of = np.repeat(np.arange(10), 5)
    gap = gap_of(np.random.default_rng(3).random(50), np.where(of % 2, "a", "b"), Units(of, 10))
    assert (gap.low, gap.high) == (-np.inf, np.inf)
