"""What the class token did not look at, and what it looked at for nothing.

Three lists that an attention map hides: tokens with the least mass; tokens attended but unused (large weight, yet
taking them away changes nothing); tokens unattended but used indirectly (next to no weight, yet taking them away
matters).
"""

import torch
from scipy.stats import hypergeom
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.results.explain import UnseenTokens
from classtoken.results.explain_data import Coverage
from classtoken.values import Role


def unseen(direct_L: Tensor, effect_L: Tensor, roles_L: Tensor, *, outcome: float, share: float = 0.25) -> UnseenTokens:
    """direct_L: weight from the class token (its layers' mean); effect_L: |outcome lost by removal| per token.

    A token counts as attended in the top `share` by direct weight and as unattended in the bottom `share`; as used in
    the top `share` by effect, as unused in the bottom half. Within a list the order is by the gap of the two ranks.
    Where weight and effect have nothing to do with each other, the number of tokens in a list is hypergeometric, which
    gives its p. `outcome` is what the effects are parts of.
    """
    if not 0 < share <= 0.5:
        raise OptionError(f"the share is above 0 and at most 0.5, not {share}.")
    places = (roles_L == Role.CONTENT).nonzero()[:, 0]
    n = len(places)
    count = max(1, round(share * n))
    direct, effects = _ranks(direct_L[places], 0), _ranks(effect_L[places].abs(), 1)
    attended, unattended = direct >= n - count, direct < count
    used, unused = effects >= n - count, effects < n // 2

    def chance(size: int, drawn: int, found: Tensor) -> tuple[float, float]:
        """p of as many or more, and the number to be expected."""
        return float(hypergeom.sf(int(found.sum()) - 1, n, size, drawn)), size * drawn / n

    (p_unused, some), (p_used, few) = (
        chance(n // 2, count, attended & unused),
        chance(count, count, unattended & used),
    )

    def listed(chosen: Tensor, gap: Tensor) -> tuple[int, ...]:
        found = chosen.nonzero()[:, 0]
        return tuple(places[found[torch.argsort(gap[found], descending=True, stable=True)]].tolist())

    order = torch.argsort(direct_L[places], stable=True)[:count]
    return UnseenTokens(
        tuple(places[order].tolist()),
        listed(attended & unused, direct - effects),
        listed(unattended & used, effects - direct),
        float(direct_L[places[order]].sum() / direct_L.sum().clamp_min(torch.finfo(direct_L.dtype).tiny)),
        p_unused,
        p_used,
        (some, few),
        float(effect_L[places].abs().max()) / abs(outcome) if outcome else 0.0,
    )


def _ranks(values: Tensor, seed: int) -> Tensor:
    """0 for the smallest; equal values in an order of their own, so that places in the input decide nothing."""
    drawn = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed)).to(values.device)
    order = drawn[torch.argsort(values[drawn], stable=True)]
    return torch.empty_like(order).scatter(0, order, torch.arange(len(values), device=values.device))


LEAST = 20
"""inputs, below which no place is said never to be looked at"""


def coverage(direct_BP: Tensor, group: str, grid: tuple[int, int]) -> Coverage:
    """Where the class token looks over many inputs, from its weights on the patches, (B, P).

    `never` are places whose share stays below half of an even share in all but 5 % of the inputs; nothing is said of
    fewer than 20 inputs.
    """
    if direct_BP.dim() != 2 or len(direct_BP) == 0:
        raise OptionError("coverage is over at least one input with patches of one grid.")
    shares = direct_BP / direct_BP.sum(1, keepdim=True).clamp_min(torch.finfo(direct_BP.dtype).tiny)
    even = 1 / shares.shape[1]
    seldom = ((shares >= even / 2).double().mean(0) <= 0.05) & (len(shares) >= LEAST)
    mean = tuple(round(float(v), 6) for v in shares.mean(0))
    return Coverage(group, len(shares), grid, mean, tuple(seldom.nonzero()[:, 0].tolist()))
