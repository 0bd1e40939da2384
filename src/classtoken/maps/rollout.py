"""Attention rollout and the largest indirect routes: what reaches the class token through other tokens.

Abnar & Zuidema 2020: with A_l the head-averaged weights of layer l and M_l = (1 - s) A_l + s I (s: the residual's
share, one half), the rollout is R = M_{N-1} ... M_0. Row i says how much of each input token is in token i at the end
if every block only mixed tokens. It uses weights alone: not values, not feed-forward, not signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from classtoken.errors import OptionError, TraceError
from classtoken.probe.subject import Subject
from classtoken.tensors import Tokens

Fusion = Literal["mean", "max", "min"]


def fuse_heads(weights_BHLL: Tensor, how: Fusion = "mean") -> Tensor:
    """One (B, L, L) matrix out of all heads; `max` and `min` are brought back to rows that sum to 1."""
    if how == "mean":
        return weights_BHLL.mean(1)
    if how not in ("max", "min"):
        raise OptionError(f"heads are fused by mean, max or min, not '{how}'.")
    fused = weights_BHLL.amax(1) if how == "max" else weights_BHLL.amin(1)
    return fused / fused.sum(-1, keepdim=True).clamp_min(torch.finfo(fused.dtype).tiny)


def discard_lowest(matrix_BLL: Tensor, ratio: float, keep_BL: Tensor | None = None) -> Tensor:
    """Set the lowest `ratio` of each input's entries to zero and bring every row back to a sum of 1.

    keep_BL: True for tokens whose columns are never discarded (the class token). Every input of the batch is filtered,
    and division is by row sums; a row that loses everything keeps its largest entry.
    """
    if not 0 <= ratio < 1:
        raise OptionError(f"the share to discard is at least 0 and below 1, not {ratio}.")
    B, L, _ = matrix_BLL.shape
    count = int(ratio * L * L)
    if count == 0:
        return matrix_BLL
    guarded = matrix_BLL.clone()
    if keep_BL is not None:
        guarded = guarded.masked_fill(keep_BL[:, None, :], torch.inf)
    lowest = guarded.view(B, -1).topk(count, dim=-1, largest=False).indices
    kept = matrix_BLL.reshape(B, -1).scatter(1, lowest, 0.0).view_as(matrix_BLL)
    if keep_BL is not None:
        kept = torch.where(keep_BL[:, None, :], matrix_BLL, kept)
    empty = kept.sum(-1, keepdim=True) == 0
    largest = torch.zeros_like(kept).scatter(-1, matrix_BLL.argmax(-1, keepdim=True), 1.0)
    kept = torch.where(empty, largest, kept)
    return kept / kept.sum(-1, keepdim=True)


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


class Roller:
    """A trace that multiplies the rollout up while the forward runs: no layer's weights are kept.

    `matrix_BLL` is the product so far; `history`, where asked for, holds M_l and the product before it, per layer.
    """

    def __init__(
        self,
        *,
        share: float = 0.5,
        fusion: Fusion = "mean",
        discard: float = 0.0,
        keep_BL: Tensor | None = None,
        history: bool = False,
    ):
        self.share, self.fusion, self.discard, self.keep_BL = share, fusion, discard, keep_BL
        self.matrix_BLL: Tensor | None = None
        self.layers = 0
        self.history: list[tuple[Tensor, Tensor]] | None = [] if history else None

    def wants(self, name: str) -> bool:
        return name.endswith(".weights")

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if not self.wants(name):
            return value
        fused = fuse_heads(value.detach(), self.fusion)
        mixed = with_residual(discard_lowest(fused, self.discard, self.keep_BL), self.share)
        before = torch.eye(mixed.shape[-1]).to(mixed).expand_as(mixed) if self.matrix_BLL is None else self.matrix_BLL
        if self.history is not None:
            self.history.append((mixed, before))
        self.matrix_BLL = mixed @ before
        self.layers += 1
        return value


def roll(
    subject: Subject,
    tokens: Tokens,
    *,
    share: float = 0.5,
    fusion: Fusion = "mean",
    discard: float = 0.0,
    keep_BL: Tensor | None = None,
) -> Tensor:
    """The rollout (B, L, L) of a batch in one forward. Raises `TraceError` when a layer's weights did not come."""
    return _rolled(subject, tokens, Roller(share=share, fusion=fusion, discard=discard, keep_BL=keep_BL))


def _rolled(subject: Subject, tokens: Tokens, roller: Roller) -> Tensor:
    if "weights" in subject.encoder.gaps:
        raise TraceError("this model's attention weights cannot be captured; there is no rollout without them.")
    with torch.no_grad():
        subject.states(tokens, roller)
    if roller.matrix_BLL is None or roller.layers != subject.depth:
        raise TraceError(f"attention of {roller.layers} of {subject.depth} layers was captured; that is no rollout.")
    return roller.matrix_BLL


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


def routes(subject: Subject, tokens: Tokens, start_B: Tensor, *, share: float = 0.5) -> Routes:
    """Split the rollout row of token `start_B[b]` by the token through which it came: start -> A -> B.

    For layer l: (product over later layers of M[start, start]) * M_l[start, A] * R_{l-1}[A, B], summed over l.
    """
    roller = Roller(share=share, history=True)
    _rolled(subject, tokens, roller)
    assert roller.history is not None
    index = torch.arange(len(start_B), device=start_B.device)
    stay = torch.ones_like(start_B, dtype=roller.history[0][0].dtype)
    via = torch.zeros_like(roller.history[0][0])
    for mixed, before in reversed(roller.history):
        leave = mixed[index, start_B].clone()
        own = leave[index, start_B].clone()
        leave[index, start_B] = 0.0
        via += stay[:, None, None] * leave[:, :, None] * before
        stay = stay * own
    return Routes(via, stay, start_B)
