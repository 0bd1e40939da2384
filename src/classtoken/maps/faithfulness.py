"""Does a map say what matters? Deletion and insertion by real removal, SaCo, and the baselines every map must beat.

A curve is worth nothing without its definition, so the definition stands beside it (`results.explain.CurveDefinition`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.probe.removal import masks, remove
from classtoken.probe.subject import Subject, check_target
from classtoken.probe.traced import Traced
from classtoken.results.explain import ROUNDING, CurveDefinition
from classtoken.tensors import Tokens
from classtoken.values import Role

Order = Literal["deletion", "insertion"]


@dataclass(frozen=True)
class Curve:
    """The target's value with a growing share of tokens taken away (or put in), and the area under it."""

    fractions: tuple[float, ...]
    values: tuple[float, ...]
    area: float


def token_order(scores_L: Tensor, places: Tensor, seed: int) -> Tensor:
    """`places` from the highest to the lowest score; equal scores in a random order fixed by `seed`."""
    shuffled = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(seed)).to(places.device)]
    return shuffled[torch.argsort(scores_L[shuffled], descending=True, stable=True)]


def area_under(fractions: np.ndarray, values: np.ndarray) -> float:
    """Trapezoid rule."""
    return float(np.sum((values[1:] + values[:-1]) / 2 * np.diff(fractions)))


def curves(
    traced: Traced, target: int, scores: Mapping[str, Tensor], order: Order, definition: CurveDefinition
) -> dict[str, Curve]:
    """A curve for every map of one input: maps are (L) or (1, L), higher is more relevant.

    order: `deletion` takes the most relevant tokens away first, `insertion` puts the most relevant in first. Runs that
    leave equally many tokens go through the model together, one row a method; with all tokens there, the traced outcome
    is the value.
    """
    if len(traced) != 1:
        raise OptionError(f"curves are drawn for one input at a time, not {len(traced)}.")
    if not scores:
        return {}
    subject, tokens = traced.subject, traced.tokens
    places = (tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]
    special = set(tokens.roles_BL[0].tolist()) - {Role.CONTENT, Role.PAD}
    most = len(places) - (0 if subject.readable(special) else 1)
    counts = np.unique(np.rint(np.linspace(0, most, definition.points)).astype(int))
    orders = {name: token_order(s.flatten(), places, definition.seed) for name, s in scores.items()}
    values = np.zeros((len(orders), len(counts)))
    for column, count in enumerate(counts.tolist()):
        taken = count if order == "deletion" else most - count
        if taken == 0:
            values[:, column] = float(scaled(subject, traced.outcome_BC, target, definition.scale)[0])
            continue
        sets = [ranked[:taken] if order == "deletion" else ranked[-taken:] for ranked in orders.values()]
        gone = masks([places.tolist() for places in sets], tokens.roles_BL)
        # Without any token all methods are the same, but for ties: one run does for all.
        same = bool((gone == gone[:1]).all())
        outcome = remove(traced, gone[:1] if same else gone)
        values[:, column] = scaled(subject, outcome, target, definition.scale).cpu().numpy()
    fractions = counts / len(places)
    return {
        name: Curve(tuple(fractions.tolist()), tuple(row.tolist()), area_under(fractions, row))
        for name, row in zip(orders, values, strict=True)
    }


def scaled(subject: Subject, outcome_BC: Tensor, target: int, scale: str) -> Tensor:
    """The target's answer (`probability`), or its outcome as it is (`outcome`), (B)."""
    check_target(target, outcome_BC.shape[1])
    return subject.probability(outcome_BC, target) if scale == "probability" else outcome_BC.double()[:, target]


def saco(traced: Traced, target: int, scores_L: Tensor, *, groups: int = 10, seed: int = 0) -> float:
    """SaCo, -1 to 1: do the sizes of scores match the sizes of effects (Wu et al. 2024, arXiv 2404.01415)?

    Tokens in descending order of score, in `groups` equal groups; s_k: the sum of a group's scores, d_k: how far the
    target's probability falls when that group alone is removed. Over pairs i < j: +(s_i - s_j) when d_i > d_j, and
    -(s_i - s_j) when d_i < d_j; divided by the sum of |s_i - s_j|. A map that says the same of every group has no
    ranking: 0. Equal effects (within rounding) count for neither side, where the authors' algorithm counts them as
    right: of a model that does not look at its input it would say 1 for every map.
    """
    subject, tokens = traced.subject, traced.tokens
    places = (tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]
    groups = min(groups, len(places))
    if groups < 2:
        raise OptionError("SaCo compares groups of tokens; this input has fewer than two word pieces or patches.")
    scores = scores_L.flatten()
    parts = torch.tensor_split(token_order(scores, places, seed), groups)
    gone = masks([part.tolist() for part in parts], tokens.roles_BL)
    whole = subject.probability(traced.outcome_BC, target)
    fall = (whole - subject.probability(remove(traced, gone), target)).cpu().numpy()
    sums = np.array([float(scores[part].sum()) for part in parts])
    return saco_coefficient(sums, fall)


def saco_coefficient(sums: np.ndarray, falls: np.ndarray) -> float:
    """The coefficient from group scores (descending) and group effects."""
    i, j = np.triu_indices(len(sums), 1)
    gap = sums[i] - sums[j]
    total = np.abs(gap).sum()
    apart = falls[i] - falls[j]
    return 0.0 if total == 0 else float((np.sign(apart) * (abs(apart) > ROUNDING) * gap).sum() / total)


def random_scores(tokens: Tokens, seed: int = 0) -> Tensor:
    """The baseline that knows nothing: random scores (B, L) from one seed, the global random state untouched."""
    return torch.rand(tokens.roles_BL.shape, generator=torch.Generator().manual_seed(seed)).to(tokens.roles_BL.device)


def edge_scores(tokens: Tokens, patch: int) -> Tensor:
    """The baseline that knows the picture but no model: mean Sobel edge strength per patch, (B, L)."""
    if tokens.pixels is None or tokens.pixels.dim() != 4:
        raise OptionError("an edge detector needs images.")
    grey = tokens.pixels.mean(1, keepdim=True)
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).to(grey)
    kernels = torch.stack((across, across.T))[:, None]
    padded = torch.nn.functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    strength = torch.nn.functional.conv2d(padded, kernels).norm(dim=1, keepdim=True)
    patches = torch.nn.functional.avg_pool2d(strength, patch).flatten(1)
    scores = torch.zeros(tokens.roles_BL.shape, dtype=patches.dtype, device=patches.device)
    scores[tokens.roles_BL == Role.CONTENT] = patches.flatten()
    return scores


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two maps, ties at their mean rank; 0 when one of them is constant."""
    x, y = (t.detach().cpu().double().numpy().ravel() for t in (a, b))
    if (x == x[0]).all() or (y == y[0]).all():
        return 0.0
    return float(spearmanr(x, y).statistic)
