"""Hooks on blocks of other libraries leave what a block returns as it is, unless a trace gave other states."""

from collections import namedtuple
from typing import Any

import torch
from torch import Tensor, nn

from classtoken.encoder.foreign.hooked import with_states

Named = namedtuple("Named", ["hidden_states", "attended"])


class Block(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return Named(x + 1, x)


def test_a_block_whose_output_has_names_keeps_them() -> None:
    block, kept = Block(), {}
    with with_states([block], None, {0}, kept):
        assert block(torch.zeros(1, 2, 3)).attended.shape == (1, 2, 3)  # its caller reads it by name
    assert torch.equal(kept[0], torch.ones(1, 2, 3))


class Nothing:
    """A trace that takes every block's states away."""

    def wants(self, name: str) -> bool:
        return True

    def __call__(self, name: str, value: Tensor) -> Tensor:
        return value * 0 if name == "blocks.0.states" else value


def test_other_states_take_their_place() -> None:
    block = Block()
    with with_states([block], Nothing(), set(), {}):
        assert torch.equal(block(torch.zeros(1, 2, 3))[0], torch.zeros(1, 2, 3))
