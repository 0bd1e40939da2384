"""Batches hold every row once, and keep to their budget."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classtoken.errors import OptionError
from classtoken.tokens.batching import batches_by_length, pad

LENGTHS = st.lists(st.integers(0, 300), max_size=60)
ROWS = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=8)


@given(LENGTHS, st.integers(1, 600), st.one_of(st.none(), st.integers(1, 9)))
def test_every_row_once_within_the_budget(lengths: list[int], budget: int, most: int | None) -> None:
    batches = batches_by_length(lengths, budget, most_rows=most)
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        assert sum(lengths[row] for row in rows) <= budget or len(rows) == 1
        assert most is None or len(rows) <= most
    order = [lengths[row] for rows in batches for row in rows]
    assert order == sorted(order, reverse=True)  # so rows of a batch are alike, and the longest come first


@given(st.lists(st.integers(1, 30), min_size=1, max_size=200), st.integers(60, 600))
def test_no_batch_is_much_smaller_than_the_others(lengths: list[int], budget: int) -> None:
    """There are no more of them than full ones would be; what the last one lacks, the others have too much."""
    batches = batches_by_length(lengths, budget)
    held = [sum(lengths[row] for row in rows) for rows in batches]
    longest, share = max(lengths), sum(lengths) / len(batches)
    assert len(batches) <= -(-sum(lengths) // (budget - longest + 1))
    assert all(min(budget - longest, share) < one <= share + longest + 1 for one in held[:-1])
    assert held[-1] >= share - (longest + 1) * (len(batches) - 1)


def test_equal_lengths_keep_their_order() -> None:
    assert batches_by_length([5] * 7, 15) == [[0, 1, 2], [3, 4, 5], [6]]


def padding_of(lengths: list[int], batches: list[list[int]]) -> float:
    return 1 - sum(lengths) / sum(len(rows) * max(lengths[row] for row in rows) for rows in batches)


def test_sorting_pads_less_than_taking_rows_as_they_come() -> None:
    lengths = np.random.default_rng(0).integers(5, 200, 500).tolist()
    as_they_come = [list(range(first, first + 20)) for first in range(0, 500, 20)]
    assert padding_of(lengths, batches_by_length(lengths, 2000)) < 0.1 < padding_of(lengths, as_they_come)


@given(ROWS, st.sampled_from(["left", "right"]), st.integers(0, 5))
def test_padding_puts_rows_on_one_side(rows: list[list[int]], side: str, extra: int) -> None:
    arrays = [np.array(row, dtype=np.int64) for row in rows]
    longest = max(len(row) for row in rows)
    padded = pad(arrays, -1, side=side, length=longest + extra)  # type: ignore[arg-type]
    assert padded.shape == (len(rows), longest + extra)
    for target, row in zip(padded, rows, strict=True):
        kept = target[len(target) - len(row) :] if side == "left" else target[: len(row)]
        assert kept.tolist() == row
        assert (target == -1).sum() == len(target) - len(row)


def test_options_that_make_no_sense() -> None:
    with pytest.raises(OptionError, match="a batch of 0 tokens"):
        batches_by_length([1], 0)
    with pytest.raises(OptionError, match="and 0 rows"):
        batches_by_length([1], 5, most_rows=0)
    with pytest.raises(OptionError, match="a row of 3 tokens does not fit into 2"):
        pad([np.zeros(3, dtype=np.int64)], 0, length=2)
    assert pad([], 0).shape == (0, 0)
