"""The split into rows that are learned from and rows that are held out."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from classtoken.learning.data.batches import split


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=60), st.floats(0.05, 0.5), st.integers(0, 5))
def test_a_split_keeps_every_label_and_loses_no_row(labels: list[str], part: float, seed: int) -> None:
    learned, held = split(labels, part, seed)
    assert sorted([*learned.tolist(), *held.tolist()]) == list(range(len(labels)))
    assert {labels[i] for i in learned.tolist()} == set(labels)
    for label in set(labels):
        if labels.count(label) > 1:
            assert sum(labels[i] == label for i in held.tolist()) >= 1
    assert torch.equal(split(labels, part, seed)[1], held)
