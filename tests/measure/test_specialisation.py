"""Specialisation of several class tokens: found where it was put in, and not where it was not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from classtoken.errors import OptionError
from classtoken.measure.specialisation import (
    average_precision,
    between_pairs,
    cosine_by_layer,
    map_overlap,
    specialisation,
)
from classtoken.results.statistics import Specialisation


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=2, max_size=25),
)
def test_average_precision_is_that_of_scikit_learn(rows: list[tuple[int, int, bool]]) -> None:
    """Ties too: few different scores."""
    table = np.array(rows)
    if not table[:, 2].any():
        table[0, 2] = 1
    found = average_precision(table[:, :2], table[:, 2])
    expected = [average_precision_score(table[:, 2], table[:, column]) for column in range(2)]
    np.testing.assert_allclose(found, expected)


def test_tokens_that_are_equal_deep_down_and_different_at_the_start() -> None:
    generator = np.random.default_rng(0)
    common = generator.normal(size=(1, 40, 1, 16))
    own = generator.normal(size=(3, 40, 4, 16))
    depth = np.array([0.0, 1.0, 30.0])[:, None, None, None]
    cosines = cosine_by_layer(own + depth * common)
    assert cosines.shape == (3, 4, 4)
    np.testing.assert_allclose(np.diagonal(cosines, axis1=1, axis2=2), 1)
    first, second, last = between_pairs(cosines)
    assert abs(first) < 0.1
    assert 0.4 < second < 0.6
    assert last > 0.99


def test_between_pairs_leaves_out_the_diagonal() -> None:
    assert between_pairs([[9, 1, 2], [1, 9, 3], [2, 3, 9]]) == pytest.approx(2)


def test_overlap_of_maps() -> None:
    maps = np.zeros((5, 3, 6))
    maps[:, 0, :2] = 1
    maps[:, 1, 2:4] = 4
    maps[:, 2, 1:3] = 0.5
    shared, apart = map_overlap(maps)
    np.testing.assert_allclose(shared, [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]])
    np.testing.assert_allclose(apart, np.log(2) * (1 - shared), atol=1e-12)


def world(*, specialists: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """3 tokens' scores for 3 labels of 200 inputs: each knows its own label, or all know all equally well."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(size=(200, 3)) < 0.3
    knows = np.eye(3) * 2 if specialists else np.full((3, 3), 2 / 3)
    return truth[:, None, :] * knows[None] + generator.normal(size=(200, 3, 3)), truth


def test_specialists_are_found() -> None:
    found = specialisation(*world(specialists=True), permutations=199)
    assert found.best_token == (0, 1, 2)
    assert found.p == 1 / 200
    assert found.observed > 3 * found.chance_high > 3 * found.by_chance > 0
    assert Specialisation.from_json(found.to_json()) == found


def test_equal_tokens_are_not_specialists() -> None:
    ps = [specialisation(*world(specialists=False, seed=s), permutations=59).p for s in range(20)]
    assert sum(p <= 0.05 for p in ps) <= 4
    assert np.mean(ps) > 0.3


def test_a_token_of_another_scale_is_no_specialist() -> None:
    scores, truth = world(specialists=False, seed=3)
    same = specialisation(scores, truth, permutations=99)
    scaled = specialisation(scores * [[[1], [100], [0.01]]] + [[[0], [5], [-3]]], truth, permutations=99)
    assert scaled.observed == pytest.approx(same.observed)
    assert scaled.p == pytest.approx(same.p)


def test_a_token_that_is_better_at_everything_is_no_specialist() -> None:
    generator = np.random.default_rng(0)
    truth = generator.uniform(size=(400, 3)) < 0.3
    scores = truth[:, None, :] * np.array([3.0, 1, 1])[None, :, None] + generator.normal(size=(400, 3, 3))
    found = specialisation(scores, truth, permutations=99)
    assert found.best_token == (0, 0, 0)
    assert found.observed < 0.05


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cosine_by_layer(np.ones((2, 3, 1, 4))), r"not \(2, 3, 1, 4\)"),
        (lambda: map_overlap(np.ones((2, 1, 4))), r"not \(2, 1, 4\)"),
        (lambda: average_precision(np.ones((3, 2)), [0, 0, 0]), "applies to no input"),
        (lambda: average_precision(np.ones((3, 2)), [1, 0]), "do not fit 2 truths"),
        (lambda: specialisation(np.ones((3, 1, 2)), np.ones((3, 2))), r"not \(3, 1, 2\) and \(3, 2\)"),
        (lambda: specialisation(np.ones((3, 2, 2)), np.ones((3, 3))), r"and \(3, 3\)"),
    ],
)
def test_what_cannot_be_computed_is_said(call: object, said: str) -> None:
    assert callable(call)
    with pytest.raises(OptionError, match=said):
        call()
