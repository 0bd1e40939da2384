"""Poolings without a parameter (`gem` may learn its power).

All but `Max`, `Gem` and `All` are weighted sums of the states: they differ in `shares` alone.
"""

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from classtoken.errors import ContractError, OptionError
from classtoken.pooling.base import (
    Over,
    Pooling,
    PoolingInput,
    PoolingOptions,
    WeightedPooling,
    filled,
    kept,
    refuse_empty,
    to_front,
    widened,
)
from classtoken.values import Role

EVERYTHING = frozenset(Role) - {Role.PAD}


class RolePooling(WeightedPooling):
    """A weighted sum whose weights follow from the roles alone, not from the states."""

    @abstractmethod
    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        """How much each token counts."""

    def weights(self, given: PoolingInput) -> Float[Tensor, "B L"]:
        return self.shares(given.roles_BL, given.over)


class Cls(RolePooling):
    """`cls`: the class token's state; of several their mean; with `number`, the class token of that number (from 0)."""

    def __init__(self, dim: int, number: int | None = None) -> None:
        super().__init__(dim)
        self.number = number

    @classmethod
    def made(cls, dim: int, options: PoolingOptions) -> Pooling:
        return cls(dim, options.argument if isinstance(options.argument, int) else None)

    def reads(self, over: Over) -> Over:
        return frozenset({Role.CLASS})

    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        kept_BL = kept(self, roles_BL, self.reads(over))
        if self.number is None:
            return _shares(kept_BL)
        one_BL = kept_BL & (kept_BL.long().cumsum(1) == self.number + 1)
        refuse_empty(self, one_BL, f"CLASS (number {self.number}, counted from 0)")
        return one_BL.float()


class Dist(RolePooling):
    """`dist`: the distillation token's state (DeiT)."""

    def reads(self, over: Over) -> Over:
        return frozenset({Role.DISTILLATION})

    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        return _shares(kept(self, roles_BL, self.reads(over)))


class ClsDist(RolePooling):
    """`cls_dist`: (class token + distillation token) / 2, what timm's distilled DeiT gives before its heads."""

    def reads(self, over: Over) -> Over:
        return frozenset({Role.CLASS, Role.DISTILLATION})

    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        two = [_shares(kept(self, roles_BL, frozenset({role}))) for role in (Role.CLASS, Role.DISTILLATION)]
        return (two[0] + two[1]) / 2


class Mean(RolePooling):
    """`mean`: (1 / n) sum of the n states."""

    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        return _shares(kept(self, roles_BL, over))


class MeanSqrtLen(RolePooling):
    """`mean_sqrt_len`: (1 / sqrt n) sum of the n states. The weights do not add up to one."""

    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        kept_BL = kept(self, roles_BL, over)
        return kept_BL / kept_BL.sum(1, keepdim=True).sqrt()


class WeightedMean(RolePooling):
    """`weightedmean`: sum of i * states[i] over sum of i, where i = 1, 2, ... is a token's place in its row (SGPT).

    Padding has no place, so the side of the padding does not matter; tokens that are not pooled over (a prompt) have
    theirs, as in sentence-transformers.
    """

    def reads(self, over: Over) -> Over:
        return EVERYTHING

    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        place_BL = (roles_BL != Role.PAD).long().cumsum(1) * kept(self, roles_BL, over)
        return place_BL / place_BL.sum(1, keepdim=True)


class Last(RolePooling):
    """`last`: the state of the last token in `over`."""

    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        kept_BL = kept(self, roles_BL, over)
        return (kept_BL & (kept_BL.long().cumsum(1) == kept_BL.sum(1, keepdim=True))).float()


class First(RolePooling):
    """`first`: the state of the first token in `over`."""

    def shares(self, roles_BL: Int[Tensor, "B L"], over: Over) -> Float[Tensor, "B L"]:
        kept_BL = kept(self, roles_BL, over)
        return (kept_BL & (kept_BL.long().cumsum(1) == 1)).float()


class Max(Pooling):
    """`max`: the largest value of every dimension over the states."""

    def pool(self, given: PoolingInput) -> Float[Tensor, "B W"]:
        kept_BlD, _ = filled(given.states_BLD, kept(self, given.roles_BL, given.over), -torch.inf)
        return kept_BlD.amax(1)


class Gem(Pooling):
    """`gem`: (mean over tokens of max(x, eps)^p)^(1/p), per dimension; p = 1 is the mean of the positive parts, p ->
    infinity the maximum (Radenovic, Tolias, Chum 2019). `learned`: p is one trained number, never below 0.1.

    Negative values count as eps, as in its origin (features after ReLU); transformer states have both signs.
    """

    def __init__(self, dim: int, power: float = 3.0, *, learned: bool = False, eps: float = 1e-6) -> None:
        super().__init__(dim)
        self.eps = eps
        start = torch.tensor(float(power))
        self.power: Tensor
        if learned:
            self.power = nn.Parameter(start)
        else:
            self.register_buffer("power", start, persistent=False)

    @classmethod
    def made(cls, dim: int, options: PoolingOptions) -> Pooling:
        learned = options.argument == "learned"
        return cls(dim, 3.0 if learned else float(options.argument or 3.0), learned=learned)

    def pool(self, given: PoolingInput) -> Float[Tensor, "B W"]:
        states_BlD, kept_Bl = filled(given.states_BLD, kept(self, given.roles_BL, given.over), 0.0)
        positive_BlD = widened(states_BlD).clamp(min=self.eps)
        power = widened(self.power).clamp(min=0.1)
        # Taken out before the power and put back after the root: 30^100 is no float32. Exact for any constant.
        largest_B1D = positive_BlD.amax(1, keepdim=True).detach()
        shares_BlD = (positive_BlD / largest_B1D).pow(power) * kept_Bl[..., None]
        mean_BD = shares_BlD.sum(1) / kept_Bl.sum(1, keepdim=True)
        return (largest_B1D[:, 0] * mean_BD.pow(1 / power)).to(given.states_BLD.dtype)


class All(Pooling):
    """`all`: the states of every token but padding, one after another: a vector of `positions` * dim.

    With `exact` (images) every row must have `positions` tokens; without (texts) what is left over is zero. Raises
    `ContractError` for rows of another length.
    """

    def __init__(self, dim: int, positions: int, *, exact: bool) -> None:
        super().__init__(dim)
        self.positions = positions
        self.exact = exact

    @classmethod
    def made(cls, dim: int, options: PoolingOptions) -> Pooling:
        return cls(dim, needed("all", options.positions), exact=options.grid is not None)

    @property
    def width(self) -> int:
        return self.positions * self.dim

    def reads(self, over: Over) -> Over:
        return EVERYTHING

    def pool(self, given: PoolingInput) -> Float[Tensor, "B W"]:
        kept_BL = kept(self, given.roles_BL, EVERYTHING)
        refuse_length("all", kept_BL, self.positions, exact=self.exact)
        return to_front(given.states_BLD, kept_BL, self.positions).flatten(1)


def needed(name: str, positions: int | None) -> int:
    """The number of tokens a row, for a pooling that must know it. Raises `OptionError` where nobody says it."""
    if positions is None or positions < 1:
        raise OptionError(f"{name} needs the number of pooled tokens, and positions is {positions}; give 1 or more.")
    return positions


def refuse_length(name: str, kept_BL: Tensor, positions: int, *, exact: bool) -> None:
    """Raise `ContractError` where a row has more tokens than a pooling has positions, or fewer and `exact`."""
    lengths_B = kept_BL.sum(1)
    wrong_B = lengths_B != positions if exact else lengths_B > positions
    if wrong_B.any():
        rule = "exactly" if exact else "at most"
        raise ContractError(
            f"{name} was made for {rule} {positions} tokens a row, and a row has {int(lengths_B[wrong_B][0])}. "
            "Give inputs of that size, or make the pooling for this size."
        )


def _shares(kept_BL: Tensor) -> Tensor:
    return kept_BL / kept_BL.sum(1, keepdim=True)
