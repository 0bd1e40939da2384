"""Odd rows and wrong labels that were planted are found."""

import numpy as np
import torch

from classtoken.nearest.graph import neighbours
from classtoken.nearest.outliers import contradicted_labels, odd_rows


def three_groups(each: int = 60, size: int = 16, spread: float = 0.25) -> tuple[torch.Tensor, list[str | None]]:
    numbers = np.random.default_rng(0)
    centres = np.eye(size)[:3]
    rows = np.repeat(centres, each, 0) + spread * numbers.standard_normal((3 * each, size))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.from_numpy(rows.astype(np.float32)), [name for name in "abc" for _ in range(each)]


def test_neighbours_are_those_of_brute_force_without_the_row_itself() -> None:
    rows, _ = three_groups()
    rows[5] = rows[4]
    scores = rows @ rows.T
    scores.fill_diagonal_(-2)
    near = neighbours(rows, 7)
    torch.testing.assert_close(near.scores, scores.topk(7).values)
    assert not (near.places == torch.arange(len(rows)).unsqueeze(1)).any()


def test_many_equal_rows_and_empty_ones() -> None:
    rows = torch.nn.functional.normalize(torch.ones(40, 4), dim=1)
    rows[3] = 0
    near = neighbours(rows, 3)
    assert near.places[3].tolist() == [-1, -1, -1]
    others = torch.arange(40) != 3
    assert ((near.places[others] >= 0) & (near.places[others] != 3)).all()
    few = neighbours(rows[:2], 5)
    assert few.places.tolist() == [[1, -1, -1, -1, -1], [0, -1, -1, -1, -1]]


def test_a_planted_stranger_is_the_oddest() -> None:
    rows, _ = three_groups()
    rows[17] = torch.eye(16)[9]
    odd = odd_rows(neighbours(rows, 10))
    assert odd[0].row == 17
    assert odd[0].deviations > odd[1].deviations > 0
    assert len(odd) == len(rows)
    assert odd_rows(neighbours(torch.zeros(3, 4), 2)) == []


def test_planted_wrong_labels_are_found_and_right_ones_are_not() -> None:
    rows, labels = three_groups()
    planted = {3: "b", 70: "c", 111: "a", 150: "a"}
    wrong = [planted.get(row, label) for row, label in enumerate(labels)]
    found = contradicted_labels(neighbours(rows, 12), wrong)
    assert {one.row: (one.label, one.suggested) for one in found} == {row: (wrong[row], labels[row]) for row in planted}
    assert all(one.votes > one.own for one in found)


def test_labels_that_say_nothing() -> None:
    rows, _ = three_groups()
    near = neighbours(rows, 5)
    assert contradicted_labels(near, [None] * len(rows)) == []
    assert contradicted_labels(near, ["a"] * len(rows)) == []
    assert contradicted_labels(near, ["a", *[None] * (len(rows) - 1)]) == []
