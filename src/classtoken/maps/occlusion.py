"""Occlusion: what the outcome loses when a token is truly not there, token by token or window by window."""

import torch
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.probe.removal import masks, remove
from classtoken.probe.traced import Traced, check_targets
from classtoken.values import Role


def windows(roles_BL: Tensor, row: int, grid: tuple[int, int] | None, size: int) -> list[list[int]]:
    """Places of the CONTENT tokens in groups: single tokens, or size x size patches of the grid."""
    places = (roles_BL[row] == Role.CONTENT).nonzero()[:, 0].tolist()
    if size == 1:
        return [[place] for place in places]
    if size < 1 or grid is None or grid[0] * grid[1] != len(places):
        raise OptionError(f"windows of {size} need a patch grid; give 1 to remove tokens one by one.")
    groups: dict[tuple[int, int], list[int]] = {}
    for n, place in enumerate(places):
        groups.setdefault((n // grid[1] // size, n % grid[1] // size), []).append(place)
    return list(groups.values())


def occlusion(traced: Traced, targets_B: Tensor, *, window: int = 1, batch: int = 32) -> Tensor:
    """outcome with everything - outcome without the token (or its window), signed (B, L); other roles 0.

    A window's effect is shared by its tokens, so that the sum over tokens is the sum over windows.
    """
    tokens, whole_BC = traced.tokens, traced.outcome_BC
    check_targets(targets_B, whole_BC.shape[1])
    relevance = torch.zeros(tokens.roles_BL.shape, dtype=whole_BC.dtype, device=whole_BC.device)
    for b in range(len(tokens)):
        groups = windows(tokens.roles_BL, b, tokens.grid, window)
        target = int(targets_B[b])
        for start in range(0, len(groups), batch):
            part = groups[start : start + batch]
            gone = masks(part, tokens.roles_BL)
            without = remove(traced, gone, row=b)[:, target]
            for i, places in enumerate(part):
                relevance[b, places] = (whole_BC[b, target] - without[i]) / len(places)
    return relevance
