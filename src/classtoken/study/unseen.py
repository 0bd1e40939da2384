"""What the class token did not look at, and what it looked at for nothing.

Three lists that an attention map hides: tokens with the least mass; tokens attended but unused (large weight, yet
taking them away changes nothing); tokens unattended but used indirectly (next to no weight, yet taking them away
matters).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.values import Role


@dataclass(frozen=True)
class Unseen:
    """Places of tokens of one input, most striking first, and the numbers that put them there."""

    least: tuple[int, ...]
    attended_unused: tuple[int, ...]
    unattended_used: tuple[int, ...]
    mass_of_least: float


def unseen(direct_L: Tensor, effect_L: Tensor, roles_L: Tensor, *, share: float = 0.25) -> Unseen:
    """direct_L: weight from the class token (its layers' mean); effect_L: |outcome lost by removal| per token.

    A token counts as attended in the top `share` by direct weight and as unattended in the bottom `share`; as used in
    the top `share` by effect, as unused in the bottom half. Within a list the order is by the gap of the two ranks.
    """
    if not 0 < share <= 0.5:
        raise OptionError(f"the share is above 0 and at most 0.5, not {share}.")
    places = (roles_L == Role.CONTENT).nonzero()[:, 0]
    n = len(places)
    count = max(1, round(share * n))
    direct, effects = _ranks(direct_L[places]), _ranks(effect_L[places].abs())
    attended, unattended = direct >= n - count, direct < count
    used, unused = effects >= n - count, effects < n // 2

    def listed(chosen: Tensor, gap: Tensor) -> tuple[int, ...]:
        found = chosen.nonzero()[:, 0]
        return tuple(places[found[torch.argsort(gap[found], descending=True, stable=True)]].tolist())

    order = torch.argsort(direct_L[places], stable=True)[:count]
    return Unseen(
        tuple(places[order].tolist()),
        listed(attended & unused, direct - effects),
        listed(unattended & used, effects - direct),
        float(direct_L[places[order]].sum() / direct_L.sum().clamp_min(torch.finfo(direct_L.dtype).tiny)),
    )


def _ranks(values: Tensor) -> Tensor:
    """0 for the smallest; equal values in their order."""
    order = torch.argsort(values, stable=True)
    return torch.empty_like(order).scatter(0, order, torch.arange(len(values), device=values.device))


@dataclass(frozen=True)
class Coverage:
    """Where the class token looks over a data set: mean share of weight per patch place, and its deviation over inputs.

    `never` are places whose share stays below half of an even share in all but 5 % of the inputs.
    """

    mean_P: Tensor
    deviation_P: Tensor
    never: tuple[int, ...]
    n: int


def coverage(direct_BP: Tensor) -> Coverage:
    """Coverage from the class token's weights on the patches of many inputs, (B, P)."""
    if direct_BP.dim() != 2 or len(direct_BP) == 0:
        raise OptionError("coverage is over at least one input with patches of one grid.")
    shares = direct_BP / direct_BP.sum(1, keepdim=True).clamp_min(torch.finfo(direct_BP.dtype).tiny)
    even = 1 / shares.shape[1]
    seldom = (shares >= even / 2).double().mean(0) <= 0.05
    deviation = shares.std(0, unbiased=False)
    return Coverage(shares.mean(0), deviation, tuple(seldom.nonzero()[:, 0].tolist()), len(shares))
