"""Learned poolings: the data choose what counts.

Every one starts from random numbers of a named seed, never from zeros: queries that start equal get equal gradients and
stay equal for ever.

Projections are folded around the attention: q . (W x) is (W^T q) . x, and a mean of W x is W times the mean of x.
Exact, and H numbers a token are computed instead of D. Attentions and means are computed in float32 or wider.
"""

import math
from abc import abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from classtoken.errors import OptionError
from classtoken.pooling.base import (
    Pooling,
    PoolingInput,
    PoolingOptions,
    WeightedPooling,
    ignoring_padding,
    kept,
    widened,
)
from classtoken.pooling.fixed import needed, refuse_length
from classtoken.tensors import ACTIVATIONS


class AttentivePooling(Pooling):
    """A pooling by H learned attentions: each gives a mean of the states, and `finish` makes a vector of the means."""

    @abstractmethod
    def scores(self, states_BLD: Float[Tensor, "B L D"]) -> Float[Tensor, "B H L"]:
        """How much each attention wants each token, before the softmax."""

    @abstractmethod
    def finish(self, means_BHD: Float[Tensor, "B H D"]) -> Float[Tensor, "B W"]:
        """The vector, from each attention's mean of the states."""

    def weights(self, given: PoolingInput) -> Float[Tensor, "B H L"]:
        """Each attention's share of every token: adds up to 1 over the tokens, 0 outside `over`."""
        kept_BL = kept(self, given.roles_BL, given.over)
        return self._attend(self._widened(given.states_BLD), kept_BL)

    def pool(self, given: PoolingInput) -> Float[Tensor, "B W"]:
        kept_BL = kept(self, given.roles_BL, given.over)

        def means(states_BLD: Tensor) -> Tensor:
            return torch.einsum("bhl,bld->bhd", self._attend(states_BLD, kept_BL), states_BLD).flatten(1)

        means_BM = ignoring_padding(means, self._widened(given.states_BLD), kept_BL)
        return self.finish(means_BM.unflatten(1, (-1, self.dim))).to(given.states_BLD.dtype)

    def _attend(self, states_BLD: Float[Tensor, "B L D"], kept_BL: Bool[Tensor, "B L"]) -> Float[Tensor, "B H L"]:
        return self.scores(states_BLD).masked_fill(~kept_BL[:, None], -torch.inf).softmax(-1)

    def _widened(self, states_BLD: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        return states_BLD.to(widened(next(self.parameters())).dtype)


class Map(AttentivePooling):
    """`map`: multi-head attention pooling. One learned probe attends to the states: y = out(concat of heads), then
    y + W2 act(W1 LN(y)) (Zhai et al. 2022; big_vision's MAPHead, SigLIP's head).

    About 12 D^2 + 12 D parameters. Weights named as here: probe (1, D), query, key, value, output, norm, up, down.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        inner: int | None = None,
        activation: str = "gelu_tanh",
        eps: float = 1e-6,
        seed: int = 0,
    ) -> None:
        super().__init__(dim)
        if dim % heads:
            raise OptionError(f"map cannot split a state of {dim} numbers into {heads} heads; give a divisor of {dim}.")
        if activation not in ACTIVATIONS:
            raise OptionError(f"map has no activation {activation!r}; write one of {', '.join(ACTIVATIONS)}.")
        self.heads = heads
        self.activation = activation
        inner = 4 * dim if inner is None else inner
        self.probe = nn.Parameter(torch.empty(1, dim))
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.up, self.down = nn.Linear(dim, inner), nn.Linear(inner, dim)
        generator = torch.Generator().manual_seed(seed)
        nn.init.xavier_uniform_(self.probe, generator=generator)
        for linear in (self.query, self.key, self.value, self.output, self.up, self.down):
            nn.init.xavier_uniform_(linear.weight, generator=generator)
            nn.init.zeros_(linear.bias)

    @classmethod
    def made(cls, dim: int, options: PoolingOptions) -> Pooling:
        """With as many heads as its name or `heads` says, else heads of 64 numbers."""
        written = options.argument if isinstance(options.argument, int) else None
        return cls(dim, written or options.heads or max(1, dim // 64), seed=options.seed)

    def scores(self, states_BLD: Float[Tensor, "B L D"]) -> Float[Tensor, "B H L"]:
        query_HK = widened(self.query(self.probe)).view(self.heads, -1) / math.sqrt(self.dim // self.heads)
        folded_HD = torch.einsum("hk,hkd->hd", query_HK, self._by_head(self.key.weight))
        offset_H = (query_HK * self._by_head(self.key.bias)).sum(-1)
        return (states_BLD @ folded_HD.T + offset_H).transpose(1, 2)

    def finish(self, means_BHD: Float[Tensor, "B H D"]) -> Float[Tensor, "B W"]:
        heads_BHK = torch.einsum("bhd,hkd->bhk", means_BHD, self._by_head(self.value.weight))
        heads_BHK = heads_BHK + self._by_head(self.value.bias)
        pooled_BD = self.output(heads_BHK.flatten(1).to(self.probe.dtype))
        return pooled_BD + self.down(ACTIVATIONS[self.activation](self.up(self.norm(pooled_BD))))

    def _by_head(self, weight: Tensor) -> Tensor:
        return widened(weight).unflatten(0, (self.heads, -1))


class Queries(AttentivePooling):
    """`queries(k)`: query j attends to the states themselves, softmax(q_j x / sqrt D), and averages the j-th of k equal
    slices of the values V x; the slices one after another are the vector (efficient probing, as in its code).

    D^2 + k D parameters; k divides D.
    """

    def __init__(self, dim: int, queries: int, *, seed: int = 0) -> None:
        super().__init__(dim)
        if dim % queries:
            raise OptionError(
                f"queries({queries}) cannot split a state of {dim} numbers into {queries} slices; "
                f"write a divisor of {dim}."
            )
        generator = torch.Generator().manual_seed(seed)
        self.queries = nn.Parameter(torch.randn(queries, dim, generator=generator) * 0.02)
        self.value = nn.Linear(dim, dim, bias=False)
        nn.init.xavier_uniform_(self.value.weight, generator=generator)

    @classmethod
    def made(cls, dim: int, options: PoolingOptions) -> Pooling:
        return cls(dim, count_of(options), seed=options.seed)

    def scores(self, states_BLD: Float[Tensor, "B L D"]) -> Float[Tensor, "B H L"]:
        return (states_BLD @ (widened(self.queries) / math.sqrt(self.dim)).T).transpose(1, 2)

    def finish(self, means_BHD: Float[Tensor, "B H D"]) -> Float[Tensor, "B W"]:
        slices_HKD = widened(self.value.weight).unflatten(0, (len(self.queries), -1))
        return torch.einsum("bhd,hkd->bhk", means_BHD, slices_HKD).flatten(1)


class Multihead(AttentivePooling):
    """`multihead(h)`: h attentions scored by one small network, softmax over tokens of W2 tanh(W1 x + b1) + b2; the h
    weighted means of the states stand one after another: h * D numbers (structured self-attention, Lin et al. 2017).

    D^2 + D + h (D + 1) parameters.
    """

    def __init__(self, dim: int, heads: int, *, seed: int = 0) -> None:
        super().__init__(dim)
        self.heads = heads
        generator = torch.Generator().manual_seed(seed)
        self.inner, self.score = nn.Linear(dim, dim), nn.Linear(dim, heads)
        for linear in (self.inner, self.score):
            nn.init.xavier_uniform_(linear.weight, generator=generator)
            nn.init.zeros_(linear.bias)

    @classmethod
    def made(cls, dim: int, options: PoolingOptions) -> Pooling:
        return cls(dim, count_of(options), seed=options.seed)

    @property
    def width(self) -> int:
        return self.heads * self.dim

    def scores(self, states_BLD: Float[Tensor, "B L D"]) -> Float[Tensor, "B H L"]:
        hidden_BLD = self.inner(states_BLD.to(self.inner.weight.dtype)).tanh()
        return widened(self.score(hidden_BLD)).transpose(1, 2)

    def finish(self, means_BHD: Float[Tensor, "B H D"]) -> Float[Tensor, "B W"]:
        return means_BHD.flatten(1)


class Weighted(WeightedPooling):
    """`weighted`: a mean with one learned weight per position, softmax(a) over the row's tokens in `over`.

    `positions` parameters. The i-th pooled token of a row has position i, so padding does not matter. With a `grid` the
    last grid[0] * grid[1] positions are patches; for an image with another grid they are resized (bilinear).
    """

    def __init__(self, dim: int, positions: int, *, grid: tuple[int, int] | None = None, seed: int = 0) -> None:
        super().__init__(dim)
        if grid is not None and grid[0] * grid[1] > positions:
            raise OptionError(
                f"weighted has {positions} positions for a grid of {grid[0]}x{grid[1]} patches; "
                f"give at least {grid[0] * grid[1]}."
            )
        self.grid = grid
        generator = torch.Generator().manual_seed(seed)
        self.logits = nn.Parameter(torch.randn(positions, generator=generator) * 0.02)

    @classmethod
    def made(cls, dim: int, options: PoolingOptions) -> Pooling:
        return cls(dim, needed("weighted", options.positions), grid=options.grid, seed=options.seed)

    def weights(self, given: PoolingInput) -> Float[Tensor, "B L"]:
        kept_BL = kept(self, given.roles_BL, given.over)
        logits_P = self.resized(given.grid)
        refuse_length("weighted", kept_BL, len(logits_P), exact=self.grid is not None)
        place_BL = (kept_BL.long().cumsum(1) - 1).clamp(min=0)
        return logits_P[place_BL].masked_fill(~kept_BL, -torch.inf).softmax(-1)

    def resized(self, grid: tuple[int, int] | None) -> Float[Tensor, " P"]:
        """The weights before the softmax, for an image of that patch grid."""
        logits_P = widened(self.logits)
        if grid is None or self.grid is None or grid == self.grid:
            return logits_P
        before = len(logits_P) - self.grid[0] * self.grid[1]
        image = logits_P[before:].unflatten(0, self.grid)[None, None]
        resized = nn.functional.interpolate(image, size=grid, mode="bilinear", align_corners=False, antialias=True)
        return torch.cat((logits_P[:before], resized.flatten()))


def count_of(options: PoolingOptions) -> int:
    """The number in a spec's parentheses, which has a default where none is written."""
    assert isinstance(options.argument, int)
    return options.argument
