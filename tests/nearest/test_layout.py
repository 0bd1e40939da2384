"""The layout keeps neighbours together better than a projection; its judge agrees with scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_swiss_roll
from sklearn.manifold import trustworthiness

from classtoken.nearest.clusters import clusters, described
from classtoken.nearest.graph import neighbours
from classtoken.nearest.layout import layout, main_directions, most_trusted, trust


def groups(each: int = 40, of: int = 6, size: int = 24) -> tuple[torch.Tensor, np.ndarray]:
    numbers = np.random.default_rng(0)
    rows = np.repeat(np.eye(size)[:of], each, 0) + 0.15 * numbers.standard_normal((each * of, size))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.from_numpy(unit.astype(np.float32)), np.repeat(np.arange(of), each)


def test_groups_stay_together_and_a_seed_decides_everything() -> None:
    rows, of = groups()
    near = neighbours(rows, 10)
    flat = layout(rows, near, seed=3)
    assert flat.shape == (240, 2)
    np.testing.assert_array_equal(flat, layout(rows, near, seed=3))
    distances = np.linalg.norm(flat[:, None] - flat[None], axis=2) + 1e9 * np.eye(len(flat))
    assert (of[distances.argmin(1)] == of).mean() > 0.98
    found = trust(rows, flat, k=10)
    assert found is not None
    assert found.value > 0.9
    assert found.value > found.main_directions + 0.02


def test_trustworthiness_is_that_of_scikit_learn() -> None:
    rows, _ = groups()
    flat = main_directions(rows)
    found = trust(rows, flat, k=7)
    assert found is not None
    assert abs(found.value - trustworthiness(rows.numpy(), flat, n_neighbors=7)) < 1e-3
    assert found.low == found.value == found.high == found.main_directions  # every row was looked at


@pytest.mark.parametrize("each", [4, 10, 40])
def test_what_is_drawn_is_not_trusted_less_than_a_plain_projection(each: int) -> None:
    rows, _ = groups(each, 3)
    for seed in range(3):
        flat = layout(rows, neighbours(rows, 15), seed=seed)
        drawn, found = most_trusted(rows, flat)
        assert found is not None
        assert found == trust(rows, drawn)
        assert found.value > found.main_directions - 0.01
        assert (drawn is flat) == (each == 40)


def test_a_roll_is_unrolled_as_far_as_its_neighbours_go() -> None:
    points, _ = make_swiss_roll(600, random_state=0)
    lifted = np.concatenate([points / 20, np.ones((600, 1))], axis=1)
    rows = torch.from_numpy((lifted / np.linalg.norm(lifted, axis=1, keepdims=True)).astype(np.float32))
    found = trust(rows, layout(rows, neighbours(rows, 12)), k=12)
    assert found is not None
    assert found.value > 0.95


@pytest.mark.slow
def test_few_rows_equal_rows_and_one_dimension() -> None:
    for count in (1, 2, 3, 5):
        rows = torch.nn.functional.normalize(torch.randn(count, 4), dim=1)
        assert np.isfinite(layout(rows, neighbours(rows, 15))).all()
        assert len(clusters(rows)) == count
        trust(rows, layout(rows, neighbours(rows, 15)))
    same = torch.ones(30, 4) / 2
    assert np.isfinite(layout(same, neighbours(same, 5))).all()
    assert set(clusters(same)) == {0}
    assert layout(torch.ones(5, 1), neighbours(torch.ones(5, 1), 2)).shape == (5, 2)
    assert trust(torch.ones(1, 4), np.zeros((1, 2))) is None


def test_clusters_have_names_typical_and_odd_members() -> None:
    rows, of = groups(each=60, of=3)
    texts = [f"the {('red apple', 'green pear', 'blue plum')[i]} number {n}" for n, i in enumerate(of)]
    members = clusters(rows)
    found = described(rows, members, [None] * 180, texts)
    assert sum(cluster.size for cluster in found) == 180
    assert [cluster.size for cluster in found] == sorted((cluster.size for cluster in found), reverse=True)
    assert {word for cluster in found for word in cluster.name.split(", ")} >= {"apple", "pear", "plum"}
    middle = rows[members == 0].mean(0)
    near, far = found[0].typical[0], found[0].odd[0]
    assert rows[near] @ middle > rows[far] @ middle
    labels = described(rows, members, ["abc"[i] for i in of], [None] * 180)
    assert labels[0].name[0] in "abc"


def test_a_group_without_a_majority_is_called_mixed() -> None:
    """A label that a fifth of the rows have is no name for all of them."""
    members = np.array([0] * 10 + [1] * 4)
    labels = [*"aaaabbbccd", "e", "e", "e", None]
    found = described(torch.eye(14), members, labels, [None] * 14)
    assert [cluster.name for cluster in found] == ["mixed: a (40%), b (30%)", "e (75%)"]
