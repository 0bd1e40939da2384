"""Intervals cover and tests err as often as they say: in small here, in full as soak tests and in docs/trust.md."""

import pytest
from scipy.stats import binom
from tests.simulations import (
    CUTS,
    DRAWN,
    OFTEN,
    SHARES,
    SIZES,
    covered,
    covered_share,
    never_said,
    said,
    taken_away,
    wrong_comparisons,
    wrong_cuts,
)

from classtoken.measure.statistics import LEAST

SMALL = pytest.param(150)
FULL = pytest.param(2000, marks=pytest.mark.soak)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [SMALL, FULL])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", DRAWN)
def test_intervals_of_means_cover_in_93_percent_or_are_not_given(kind: str, n: int, runs: int) -> None:
    held, given = covered(kind, n, runs)
    assert held >= binom.ppf(0.001, given, 0.93)
    if kind in OFTEN:
        assert given == (runs if n >= LEAST else 0)
    assert kind != "normal" or held <= binom.ppf(0.999, runs, 0.975)  # nor are they wide for nothing


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("p", SHARES)
def test_intervals_of_shares_cover(p: float, n: int) -> None:
    assert covered_share(p, n) >= 0.95 - 1e-9


@pytest.mark.soak
@pytest.mark.parametrize(("things", "size"), CUTS)
def test_cuts_that_are_like_all_others_are_called_so(things: int, size: int) -> None:
    assert wrong_cuts(things, size, 1000) <= binom.ppf(0.999, 1000, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [pytest.param(30), pytest.param(200, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", ["even", "unread"])
def test_what_does_not_matter_is_called_needed_in_at_most_five_percent(kind: str, runs: int) -> None:
    """Of all layers of an input together, as the walkthrough shows them; in its way counts as well."""
    assert said(kind, runs, "needed", "in its way") <= binom.ppf(0.999, runs, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [pytest.param(15), pytest.param(200, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", ["needed", "in its way"])
def test_what_matters_is_said_in_at_least_eighty_percent_with_its_direction(kind: str, runs: int) -> None:
    assert said(kind, runs, kind) >= 0.8 * runs
    other = "in its way" if kind == "needed" else "needed"
    assert said(kind, runs, other) <= binom.ppf(0.999, runs, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("runs", [pytest.param(8), pytest.param(200, marks=pytest.mark.soak)])
def test_explain_calls_needed_what_is_and_seldom_what_is_not(runs: int) -> None:
    """The best of several maps, chosen by the same test that judges it."""
    assert taken_away("even", runs, blindly=True) <= binom.ppf(0.999, runs, 0.05)
    assert taken_away("unread", runs, blindly=False) <= binom.ppf(0.999, runs, 0.05)
    assert taken_away("needed", runs, blindly=False) >= 0.8 * runs


@pytest.mark.parametrize("runs", [SMALL, FULL])
@pytest.mark.parametrize("n", [3, 5, 8, 16])
def test_equal_ways_are_seldom_called_different(n: int, runs: int) -> None:
    assert wrong_comparisons(n, runs) <= binom.ppf(0.999, runs, 0.05)


@pytest.mark.parametrize("n", [5, 20, 60])
def test_where_attention_is_even_no_place_is_never_looked_at(n: int) -> None:
    assert never_said(n, 10) == 0
