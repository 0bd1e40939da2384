"""Rows of different lengths -> batches: by a budget of tokens; and padded."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from classtoken.errors import OptionError

Side = Literal["left", "right"]


def batches_by_length(lengths: Sequence[int], budget: int, *, most_rows: int | None = None) -> list[list[int]]:
    """Row numbers, grouped so that a batch holds rows of like length and at most `budget` tokens, about as many each.

    The longest rows come first, so that what does not fit into memory shows at once. Every row is in exactly one batch;
    a row longer than the budget has a batch of its own. There are as many batches as full ones would be, but what is
    left over is not the last one's alone: small ones cost more a token, and every other number of tokens is a shape of
    its own for those who compute. Raises `OptionError` for a budget below 1.
    """
    if budget < 1 or (most_rows is not None and most_rows < 1):
        raise OptionError(f"a batch of {budget} tokens and {most_rows} rows; both must be at least 1.")
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    full = _filled(order, lengths, budget, most_rows)
    if len(full) < 2:
        return full
    share = -(-sum(lengths) // len(full)) + lengths[order[0]]  # of which a batch lacks less than the longest row
    return _filled(order, lengths, min(budget, share), most_rows)


def _filled(order: Sequence[int], lengths: Sequence[int], budget: int, most_rows: int | None) -> list[list[int]]:
    batches: list[list[int]] = []
    spent = 0
    for row in order:
        if not batches or spent + lengths[row] > budget or len(batches[-1]) == most_rows:
            batches.append([])
            spent = 0
        batches[-1].append(row)
        spent += lengths[row]
    return batches


def pad(rows: Sequence[np.ndarray], value: int, *, side: Side = "right", length: int | None = None) -> np.ndarray:
    """(n, L): rows filled up with `value` on one side, to the longest of them or to `length`."""
    if side not in ("left", "right"):
        raise OptionError(f"padding side {side!r}; allowed are left and right.")
    longest = max((len(row) for row in rows), default=0)
    if length is None:
        length = longest
    if longest > length:
        raise OptionError(f"a row of {longest} tokens does not fit into {length}.")
    padded = np.full((len(rows), length), value, dtype=rows[0].dtype if rows else np.int64)
    for target, row in zip(padded, rows, strict=True):
        begin = length - len(row) if side == "left" else 0
        target[begin : begin + len(row)] = row
    return padded
