"""The rule for random controls: distinct sets, never the tested one, and an error rate that is what it says."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom
from tests.simulations import CUTS, knocked, wrong_cuts

from classtoken.results.explain import KnockOut
from classtoken.study.control import ENOUGH, controls_for, judged_together


@pytest.mark.parametrize(("things", "size"), [*CUTS, (4, 3), (200, 1), (201, 1), (3, 1)])
def test_controls_are_distinct_and_never_the_tested_set(things: int, size: int) -> None:
    tested = tuple(range(1, size + 1)) if size < things else tuple(range(size))
    for seed in range(3):
        found = controls_for(range(things), tested, seed=seed)
        sets = [frozenset(s) for s in found.sets]
        assert len(set(sets)) == len(sets)
        assert frozenset(tested) not in sets
        assert all(len(s) == size and s <= set(range(things)) for s in sets)
        assert found.possible == min(math.comb(things, size) - 1, 10**9)
        if found.possible <= 200:
            every = {frozenset(s) for s in combinations(range(things), size)}
            assert set(sets) == every - {frozenset(tested)}
        else:
            assert len(sets) == min(79, found.possible)


def test_what_has_no_control() -> None:
    assert controls_for(range(5), (7,)).sets == ()  # a class token among patches
    assert controls_for(range(5), range(5)).sets == ()  # all of them
    assert controls_for(range(5), ()).sets == ()
    assert KnockOut("x", "zero", (), 1.0, 0.5, ()).verdict == "no control"


@pytest.mark.slow
@pytest.mark.parametrize(("things", "size"), CUTS)
def test_chance_is_called_more_than_chance_in_at_most_five_percent(things: int, size: int) -> None:
    assert wrong_cuts(things, size, 400) <= binom.ppf(0.999, 400, 0.05)


def test_side_by_side_they_err_in_at_most_five_percent_together() -> None:
    generator, n, wrong = np.random.default_rng(5), 100, 0
    for seed in range(n):
        several = [
            knocked(generator.normal(size=40), (i, i + 1, i + 2), 50 * seed + i, tests=6) for i in range(0, 36, 6)
        ]
        wrong += any(k.verdict in ("needed", "in its way") for k in judged_together(several))
    assert wrong <= binom.ppf(0.999, n, 0.05)


@pytest.mark.parametrize(("sign", "verdict"), [(-1.0, "needed"), (1.0, "in its way")])
def test_what_matters_is_found_with_its_direction(sign: float, verdict: str) -> None:
    generator, found = np.random.default_rng(1), 0
    for seed in range(40):
        effects = generator.normal(size=60) * 0.1
        effects[:6] = sign
        several = judged_together([knocked(effects, tuple(range(6)), seed, tests=12)] * 12)
        found += all(k.verdict == verdict for k in several)
    assert found >= 38


def test_drawing_stops_where_chance_is_plain() -> None:
    effects = np.linspace(0.1, 1.0, 60)
    least = knocked(effects, (0, 1, 2), 0)
    assert len(least.null) == ENOUGH  # every other set does more
    assert least.verdict == "no more than chance"
    most = knocked(effects, (57, 58, 59), 0)
    assert len(most.null) == 79
    assert most.p == pytest.approx(1 / 80)
    assert len(knocked(effects, (57, 58, 59), 0, tests=12).null) == 239  # so that p can reach 0.05 of 12


def test_too_few_to_tell() -> None:
    found = knocked(np.array([5.0, 0, 0, 0, 0, 0, 0, 0, 0]), (0,), 0)
    assert found.p == pytest.approx(1 / 9)
    assert found.verdict == "too few to tell"
    assert found.beside_null == "none of 8 others changes it as much (p = 0.11): too few others to tell"
    enough = knocked(np.array([5.0, *np.zeros(24)]), (0,), 0)
    assert enough.verdict == "in its way"
    assert judged_together([enough, enough])[0].verdict == "too few to tell"  # two of them need p = 0.025


def test_an_answer_that_moves_by_rounding_alone_needs_nothing() -> None:
    """A model that does not look at its input: its answers differ in the last digit of 32-bit numbers."""
    null = tuple(0.9 + 6e-8 * (i % 3) for i in range(79))
    assert KnockOut("x", "zero", (), 0.9, 0.9 - 2e-7, null, 10**6).verdict == "no more than chance"


def test_rare_alone_and_not_among_several_is_said_as_both() -> None:
    null = (0.89, 0.9, 0.91) * 79 + (0.2, 0.1)
    found = KnockOut("x", "removed", (), 0.9, 0.25, null, 10**6, together=12, p_together=0.14)
    assert found.verdict == "no more than chance"
    assert found.beside_null == (
        "2 of 239 others change it as much: rare here (p = 0.013), but one of 12 cuts that are shown may be so by "
        "chance (0.14)"
    )
    often = KnockOut("x", "removed", (), 0.9, 0.895, null, 10**6, together=12, p_together=1.0)
    assert often.beside_null.endswith("no more than chance")


def test_what_others_do_as_well_is_not_called_too_few() -> None:
    """Where most others do as much there is nothing that more of them could tell."""
    all_do = KnockOut("x", "removed", (), 0.58, 0.581, (0.5,) * 77, 77, together=4, p_together=1.0)
    assert all_do.verdict == "too few to tell"
    assert all_do.beside_null == "77 of 77 others change it as much (p = 1, corrected 1)"
    one = KnockOut("x", "zero", (), 0.9, 0.5, (0.8,), 1)
    assert one.beside_null == "the only other one does not change it as much (p = 0.5): too few others to tell"
    assert KnockOut("x", "zero", (), 0.9, 0.5, ()).beside_null == "no random control"


def test_equal_effects_count_as_equal() -> None:
    found = KnockOut("x", "zero", (), 0.9482, 0.9, (0.9 + 1e-12, 0.9 - 1e-12), 2)
    assert found.as_much == 2
