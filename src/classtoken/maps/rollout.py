"""Attention rollout and the largest indirect routes: what reaches the class token through other tokens.

Abnar & Zuidema 2020: with A_l the head-averaged weights of layer l and M_l = (1 - s) A_l + s I (s: the residual's
share, one half), the rollout is R = M_{N-1} ... M_0. Row i says how much of each input token is in token i at the end
if every block only mixed tokens. It uses weights alone: not values, not feed-forward, not signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.errors import OptionError, TraceError
from classtoken.probe.traced import Traced


def with_residual(matrix_BLL: Tensor, share: float = 0.5) -> Tensor:
    """(1 - share) A + share I: rows still sum to 1."""
    if not 0 <= share <= 1:
        raise OptionError(f"the residual's share is between 0 and 1, not {share}.")
    return (1 - share) * matrix_BLL + share * torch.eye(
        matrix_BLL.shape[-1], dtype=matrix_BLL.dtype, device=matrix_BLL.device
    )


def rollout(matrices: Sequence[Tensor], *, share: float = 0.5) -> Tensor:
    """R (B, L, L) from head-fused weights of every layer, first layer first. Raises `TraceError` for an empty list."""
    if not matrices:
        raise TraceError("there is no attention to roll out: no layer was captured.")
    R = with_residual(matrices[0], share)
    for matrix in matrices[1:]:
        R = with_residual(matrix, share) @ R
    return R


def roll(traced: Traced, *, share: float = 0.5) -> Tensor:
    """The rollout (B, L, L) of a traced batch, heads averaged."""
    return rollout(fused(traced), share=share)


def fused(traced: Traced) -> list[Tensor]:
    """Weights of every layer averaged over heads, (B, L, L) each."""
    return [weights.mean(1) for weights in traced.part("weights")]


def read_rows(matrix_BLL: Tensor, reader_BL: Tensor) -> Tensor:
    """What the readout sees: the rows of `matrix` averaged with the reader's weights, (B, L)."""
    return torch.einsum("bi,bij->bj", reader_BL.to(matrix_BLL.dtype), matrix_BLL)


@dataclass(frozen=True)
class Routes:
    """An exact partition of one token's rollout row by the first other token on the way.

    via_BLL[b, a, j]: share of input token j that comes through token a (the last stop before the start token);
    stay_B: share that never left the start token. Sum over a of via, plus stay at the start token itself, is the row.
    """

    via_BLL: Tensor
    stay_B: Tensor
    start_B: Tensor

    def row(self) -> Tensor:
        """The rollout row (B, L) that the routes add up to."""
        row = self.via_BLL.sum(1)
        return row.scatter_add(1, self.start_B[:, None], self.stay_B[:, None].to(row.dtype))

    def largest(self, row: int, count: int = 10) -> tuple[tuple[int, int, float], ...]:
        """(via, source, share) of the largest truly indirect routes of one input: source is neither via nor start."""
        via = self.via_BLL[row].clone()
        via.fill_diagonal_(0.0)
        via[:, self.start_B[row]] = 0.0
        values, places = via.flatten().topk(min(count, via.numel()))
        L = via.shape[-1]
        return tuple((int(p) // L, int(p) % L, float(v)) for v, p in zip(values, places, strict=True) if v > 0)


def routes(traced: Traced, start_B: Tensor, *, share: float = 0.5) -> Routes:
    """Split the rollout row of token `start_B[b]` by the token through which it came: start -> A -> B.

    For layer l: (product over later layers of M[start, start]) * M_l[start, A] * R_{l-1}[A, B], summed over l.
    """
    mixed = [with_residual(matrix, share) for matrix in fused(traced)]
    before = [torch.eye(mixed[0].shape[-1]).to(mixed[0]).expand_as(mixed[0])]
    for matrix in mixed[:-1]:
        before.append(matrix @ before[-1])
    index = torch.arange(len(start_B), device=start_B.device)
    stay = torch.ones_like(start_B, dtype=mixed[0].dtype)
    via = torch.zeros_like(mixed[0])
    for matrix, reached in zip(reversed(mixed), reversed(before), strict=True):
        leave = matrix[index, start_B].clone()
        own = leave[index, start_B].clone()
        leave[index, start_B] = 0.0
        via += stay[:, None, None] * leave[:, :, None] * reached
        stay = stay * own
    return Routes(via, stay, start_B)
