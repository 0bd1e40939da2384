"""What attention looks like: entropy, distance, mass by role, agreement of heads. Numbers about weights, not causes.

All functions take weights of one layer, (B, H, R, L): queries R (the class token's row, or all), keys L.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.errors import TraceError
from classtoken.values import Role


def entropy(weights_BHRL: Tensor) -> Tensor:
    """-sum a ln a in nats, (B, H, R), between 0 (one token) and ln L (all alike); 0 ln 0 = 0."""
    return -torch.xlogy(weights_BHRL, weights_BHRL).sum(-1).clamp_max(0.0)


def effective_tokens(weights_BHRL: Tensor) -> Tensor:
    """exp(entropy): over how many tokens the weights spread, (B, H, R), between 1 and L."""
    return entropy(weights_BHRL).exp()


def relative_entropy(weights_BHRL: Tensor, mask_BL: Tensor) -> Tensor:
    """entropy / ln(number of tokens): 0 is one token, 1 is uniform, (B, H, R). Padding does not count."""
    counts = mask_BL.sum(-1).clamp_min(2)
    return entropy(weights_BHRL) / counts.to(weights_BHRL.dtype).log()[:, None, None]


def mass_by_role(weights_BHRL: Tensor, roles_BL: Tensor) -> dict[Role, Tensor]:
    """The share of weight on every role that occurs, {role: (B, H, R)}; the shares sum to 1."""
    masses: dict[Role, Tensor] = {}
    for role in Role:
        here = roles_BL == role
        if role != Role.PAD and bool(here.any()):
            masses[role] = (weights_BHRL * here[:, None, None].to(weights_BHRL.dtype)).sum(-1)
    return masses


def self_mass(weights_BHRL: Tensor, places_BR: Tensor) -> Tensor:
    """The weight that each query puts on itself, (B, H, R); `places_BR` says where the queries stand."""
    index = places_BR[:, None, :, None].expand(-1, weights_BHRL.shape[1], -1, 1)
    return weights_BHRL.gather(-1, index)[..., 0]


def head_agreement(weights_BHRL: Tensor) -> Tensor:
    """1 - Jensen-Shannon divergence of the heads / ln H, (B, R): 1 where all heads look alike, 0 at disjoint tokens."""
    H = weights_BHRL.shape[1]
    if H == 1:
        return torch.ones_like(weights_BHRL[:, 0, :, 0])
    middle = entropy(weights_BHRL.mean(1, keepdim=True))[:, 0]
    return 1 - (middle - entropy(weights_BHRL).mean(1)) / math.log(H)


def patch_distances(grid: tuple[int, int], patch: float = 1.0, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Euclidean distance between patch centres, (P, P), in pixels when `patch` is a patch's side."""
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    centres = torch.stack((rows.flatten(), columns.flatten()), -1).to(dtype)
    return torch.cdist(centres, centres, compute_mode="donot_use_mm_for_euclid_dist") * patch


def attention_distance(
    weights_BHLL: Tensor, roles_BL: Tensor, grid: tuple[int, int] | None, patch: float = 1.0
) -> Tensor:
    """Mean distance between a patch and the patches it looks at, weighted by attention, (B, H).

    The mean over patch queries of sum_j a_ij |i - j| / sum_j a_ij over patch keys: class tokens, registers and others
    have no place and are left out, and the weights on patches are brought back to a sum of 1. Dosovitskiy et al. 2021
    (figure 7) do not do that: theirs are shorter where a token looks elsewhere. Raises `TraceError` without a grid that
    patches fill.
    """
    if grid is None:
        raise TraceError("attention distance needs a patch grid; this input has none.")
    content = roles_BL == Role.CONTENT
    P = grid[0] * grid[1]
    if not bool((content.sum(1) == P).all()):
        raise TraceError(f"attention distance needs all {P} patches of the {grid[0]}x{grid[1]} grid.")
    if bool((content == content[:1]).all()):
        content = content[:1]  # one layout for all rows: one matrix of distances
    # Distances between places in the sequence, 0 where one has none: a product and two sums, nothing is copied out.
    rows, places = content.nonzero().unbind(1)
    places = places.view(len(content), P)
    distances = weights_BHLL.new_zeros(len(content), *weights_BHLL.shape[2:])
    of_patches = patch_distances(grid, patch, dtype=weights_BHLL.dtype).to(weights_BHLL.device)
    distances[rows.view(-1, P, 1), places[:, :, None], places[:, None, :]] = of_patches
    total = (weights_BHLL * distances[:, None]).sum(-1)
    mass = (weights_BHLL * content[:, None, None].to(weights_BHLL.dtype)).sum(-1)
    seen = total / mass.clamp_min(torch.finfo(weights_BHLL.dtype).tiny)
    return (seen * content[:, None].to(seen.dtype)).sum(-1) / P


def class_distance(weights_BHRL: Tensor, roles_BL: Tensor, grid: tuple[int, int] | None, patch: float = 1.0) -> Tensor:
    """How far the patches that a query looks at lie from their own centre of mass, (B, H, R): small for one spot.

    The class token has no place, so the spread of what it sees takes the distance's part: sqrt(sum_j a_j |x_j - m|^2).
    """
    if grid is None:
        raise TraceError("the spread of attention needs a patch grid; this input has none.")
    content = roles_BL == Role.CONTENT
    places = content.nonzero()[:, 1].view(len(roles_BL), -1)
    if places.shape[1] != grid[0] * grid[1]:
        raise TraceError(f"the spread of attention needs all {grid[0] * grid[1]} patches of the grid.")
    _, H, R, _ = weights_BHRL.shape
    inner = weights_BHRL.gather(3, places[:, None, None, :].expand(-1, H, R, -1))
    inner = inner / inner.sum(-1, keepdim=True).clamp_min(torch.finfo(inner.dtype).tiny)
    index = torch.arange(grid[0] * grid[1], device=inner.device)
    centres = torch.stack((index // grid[1], index % grid[1]), -1).to(inner.dtype) * patch
    middle = inner @ centres
    squares = (centres[None, None, None] - middle[..., None, :]).square().sum(-1)
    return (inner * squares).sum(-1).clamp_min(0).sqrt()


@dataclass(frozen=True)
class ClassRow:
    """The class token's attention in numbers, per input, layer and head: (B, N, H), agreement (B, N).

    Where there are several class tokens, their mean. `masses` holds (B, N, H) per role; `itself` the self-attention.
    """

    entropy_BNH: Tensor
    relative_BNH: Tensor
    effective_BNH: Tensor
    itself_BNH: Tensor
    agreement_BN: Tensor
    masses: dict[Role, Tensor]


def describe_row(layers: Sequence[Tensor], roles_BL: Tensor, places_BR: Tensor) -> ClassRow:
    """Describe rows of attention weights of all layers, (B, H, R, L) each; `places_BR` is where the rows stand."""
    if not layers:
        raise TraceError("there are no attention weights to describe; trace them first.")
    mask = roles_BL != Role.PAD

    def over(values: list[Tensor]) -> Tensor:
        return torch.stack([v.mean(2) for v in values], 1)

    masses: dict[Role, list[Tensor]] = {}
    for weights in layers:
        for role, mass in mass_by_role(weights, roles_BL).items():
            masses.setdefault(role, []).append(mass)
    return ClassRow(
        over([entropy(w) for w in layers]),
        over([relative_entropy(w, mask) for w in layers]),
        over([effective_tokens(w) for w in layers]),
        over([self_mass(w, places_BR) for w in layers]),
        torch.stack([head_agreement(w).mean(1) for w in layers], 1),
        {role: over(values) for role, values in masses.items()},
    )
