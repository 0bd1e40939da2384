"""Geometry: closed forms, invariants, and values for random vectors that are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ortho_group

from classtoken.errors import OptionError
from classtoken.measure.geometry import (
    alignment,
    anisotropy,
    cosine_matrix,
    effective_rank,
    js_divergence,
    linear_cka,
    overlap,
    uniformity,
    unit,
)

seeds = st.integers(0, 2**32 - 1)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_cosines_by_hand() -> None:
    found = cosine_matrix([[1, 0], [0, 2]], [[3, 3], [-1, 0], [0, 5]])
    np.testing.assert_allclose(found, [[math.sqrt(0.5), -1, 0], [math.sqrt(0.5), 0, 1]])
    np.testing.assert_allclose(np.diag(cosine_matrix(normal(5, 3))), 1)
    assert cosine_matrix(normal(2, 4, 5, 3)).shape == (2, 4, 5, 5)


@given(seeds, st.integers(1, 6), st.floats(0.1, 100), st.booleans())
def test_cka_is_blind_to_rotation_shift_and_scale(seed: int, size: int, scale: float, unbiased: bool) -> None:
    x = normal(20, size, seed=seed)
    turned = scale * x @ ortho_group.rvs(size, random_state=seed) + 3 if size > 1 else -scale * x + 3
    assert linear_cka(x, turned, unbiased=unbiased) == pytest.approx(1, abs=1e-6)
    y = normal(20, 4, seed=seed + 1)
    assert linear_cka(turned, y, unbiased=unbiased) == pytest.approx(linear_cka(x, y, unbiased=unbiased), abs=1e-6)
    assert linear_cka(y, x, unbiased=unbiased) == pytest.approx(linear_cka(x, y, unbiased=unbiased))


def test_cka_of_one_number_a_row_is_the_squared_correlation() -> None:
    x, y = normal(30, 1), normal(30, 1, seed=1) + 0.5 * normal(30, 1)
    assert linear_cka(x, y) == pytest.approx(np.corrcoef(x[:, 0], y[:, 0])[0, 1] ** 2)


def test_cka_of_unrelated_vectors_is_biased_and_the_unbiased_one_is_not() -> None:
    biased = [linear_cka(normal(50, 50, seed=s), normal(50, 50, seed=1000 + s)) for s in range(20)]
    fair = [linear_cka(normal(50, 50, seed=s), normal(50, 50, seed=1000 + s), unbiased=True) for s in range(20)]
    assert np.mean(biased) > 0.4
    assert abs(np.mean(fair)) < 0.02


def test_effective_rank_of_known_spectra() -> None:
    assert effective_rank(np.outer(normal(30), normal(8, seed=1))) == pytest.approx(1, abs=1e-6)
    sides = np.vstack((np.eye(6), -np.eye(6)))
    assert effective_rank(sides) == pytest.approx(6)
    assert effective_rank(sides * [1, 1, 1, 0, 0, 0] + 7) == pytest.approx(3)
    assert effective_rank(sides * [3, 1, 0, 0, 0, 0]) == pytest.approx(
        math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    )


@given(seeds)
def test_effective_rank_is_blind_to_rotation_and_scale(seed: int) -> None:
    x = normal(12, 5, seed=seed)
    turned = 4 * x @ ortho_group.rvs(5, random_state=seed) + 1
    assert effective_rank(turned) == pytest.approx(effective_rank(x))
    assert 1 <= effective_rank(x) <= 5


@given(seeds, st.integers(2, 9))
def test_anisotropy_is_the_mean_cosine_of_different_rows(seed: int, n: int) -> None:
    x = normal(n, 4, seed=seed)
    cosines = cosine_matrix(x)
    expected = np.mean([cosines[i, j] for i in range(n) for j in range(n) if i != j])
    assert anisotropy(x) == pytest.approx(expected)


def test_anisotropy_of_known_clouds() -> None:
    assert abs(anisotropy(normal(2000, 64))) < 0.005
    assert anisotropy(normal(2000, 64) * 0.01 + 1) > 0.99
    assert anisotropy([[1, 2], [2, 4], [3, 6]]) == pytest.approx(1)


def test_alignment_and_uniformity_by_hand() -> None:
    assert alignment([[1, 0], [0, 1]], [[2, 0], [1, 0]]) == pytest.approx((0 + 2) / 2)
    assert uniformity([[1, 0], [-1, 0]]) == pytest.approx(-8)
    x = unit(normal(40, 3))
    pairs = [math.exp(-2 * np.sum((x[i] - x[j]) ** 2)) for i in range(40) for j in range(40) if i != j]
    assert uniformity(x) == pytest.approx(math.log(np.mean(pairs)))
    assert uniformity(x, block=7) == pytest.approx(uniformity(x))
    assert uniformity(normal(400, 8) + 5) > uniformity(normal(400, 8)), "a narrow cone is not uniform"


@given(seeds, st.integers(2, 8))
def test_js_divergence_is_the_square_of_scipys_distance(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    p, q = generator.dirichlet(np.full(size, 0.3), 3), generator.dirichlet(np.full(size, 0.3), 3)
    found = js_divergence(p, q)
    np.testing.assert_allclose(found, [jensenshannon(a, b) ** 2 for a, b in zip(p, q, strict=True)], atol=1e-9)
    np.testing.assert_allclose(found, js_divergence(q * 7, p), atol=1e-12)
    assert ((found >= 0) & (found <= math.log(2) + 1e-12)).all()


def test_maps_that_never_meet_and_maps_that_are_equal() -> None:
    left, right = [1, 1, 0, 0], [0, 0, 3, 1]
    assert js_divergence(left, right) == pytest.approx(math.log(2))
    assert js_divergence(left, left) == 0
    assert overlap(left, right) == 0
    assert overlap(left, left) == 1
    assert overlap([1, 1, 0, 0], [0, 1, 1, 0]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: unit([[0, 0], [1, 0]]), "1 vectors are all zeros"),
        (lambda: linear_cka(normal(4, 2), normal(5, 2)), "4 and 5"),
        (lambda: linear_cka(np.ones((4, 2)), normal(4, 2)), "nothing to align"),
        (lambda: linear_cka(normal(3, 2), normal(3, 2), unbiased=True), "4 inputs or more, and there are 3"),
        (lambda: effective_rank(np.ones((4, 2))), "all vectors are equal"),
        (lambda: anisotropy(normal(1, 3)), r"shape is \(1, 3\)"),
        (lambda: effective_rank([[1, np.nan], [1, 2]]), "1 of 2 vectors"),
        (lambda: js_divergence([1, -1], [1, 1]), "0 or more"),
        (lambda: overlap([0, 0], [1, 1]), "some above 0"),
    ],
)
def test_what_cannot_be_computed_is_said(call: object, said: str) -> None:
    assert callable(call)
    with pytest.raises(OptionError, match=said):
        call()
