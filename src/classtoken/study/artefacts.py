"""Artefacts that attention maps are made of: high-norm outlier tokens and attention sinks.

Outliers (Darcet et al. 2024) are found relative to the model's own token norms: a fixed threshold (150 in the paper) is
for one model. Sinks come in two kinds: empty (much weight, tiny value: attention is parked) and broadcast (much weight
and a large value: every token is told the same) (arXiv 2606.08105).
"""

from dataclasses import dataclass

import torch
from scipy.stats import norm
from torch import Tensor

from classtoken.errors import OptionError
from classtoken.values import Role

ONE_HEAD_IN = 1e-4
"""share of heads without any sink in which one is found, roughly"""
MAD_TO_DEVIATION = 1.4826  # the deviation of a normal distribution, per median absolute deviation


@dataclass(frozen=True)
class Outliers:
    """Tokens whose norm stands apart. mask_BL; share_B of the CONTENT tokens; ratio_B: their mean norm over the median
    (1 where there are none); `threshold_B` is the norm above which a token counts."""

    mask_BL: Tensor
    share_B: Tensor
    ratio_B: Tensor
    threshold_B: Tensor


def outliers(states_BLD: Tensor, roles_BL: Tensor, *, deviations: float = 6.0, ratio: float = 2.0) -> Outliers:
    """CONTENT tokens whose norm is above both median + `deviations` * 1.4826 MAD and `ratio` * median, per input."""
    content = roles_BL == Role.CONTENT
    if not bool(content.any(1).all()):
        raise OptionError("an input has no patch or word piece; there is no norm to compare.")
    norms = states_BLD.norm(dim=-1)
    inside = norms.masked_fill(~content, torch.nan)
    median = _median(inside)
    spread = _median((inside - median[:, None]).abs()) * MAD_TO_DEVIATION
    threshold = torch.maximum(median + deviations * spread, ratio * median)
    mask = content & (norms > threshold[:, None])
    count = mask.sum(1)
    mean = (norms * mask).sum(1) / count.clamp_min(1)
    factor = torch.where(count > 0, mean / median, torch.ones_like(median))
    return Outliers(mask, count / content.sum(1), factor, threshold)


@dataclass(frozen=True)
class Sinks:
    """Keys that most queries look at, per head.

    received_BHL: mean weight that a key gets from other tokens; mask_BHL: the sinks; relative_value_BHL: length of the
    key's value over the median length; empty_BHL: sinks whose value is less than half the median: weight parked where
    nothing comes of it.
    """

    received_BHL: Tensor
    mask_BHL: Tensor
    relative_value_BHL: Tensor
    empty_BHL: Tensor


def sinks(weights_BHLL: Tensor, values_BHLK: Tensor, roles_BL: Tensor, *, share: float = 0.3) -> Sinks:
    """A sink receives on average at least `share` of the weight of the other tokens, and more than chance gives one of
    so few: the mean of as many weights as there are others, drawn from all of this head's, is exceeded in one head
    of 10,000 (normal approximation, for as many keys; of few and sharp weights in one of 100). Padding neither
    gives nor gets.
    """
    if not 0 < share < 1:
        raise OptionError(f"the share that makes a sink is between 0 and 1, not {share}.")
    present = (roles_BL != Role.PAD).to(weights_BHLL.dtype)
    L = weights_BHLL.shape[-1]
    others = 1 - torch.eye(L, dtype=weights_BHLL.dtype, device=weights_BHLL.device)
    total = torch.einsum("bhij,bi,ij->bhj", weights_BHLL, present, others)
    received = total / (present.sum(1)[:, None, None] - 1).clamp_min(1) * present[:, None]
    lengths = values_BHLK.norm(dim=-1)
    hidden = (present == 0)[:, None].expand_as(lengths)
    median = _median(lengths.masked_fill(hidden, torch.nan))[..., None]
    relative = lengths / median.clamp_min(torch.finfo(lengths.dtype).tiny)
    mask = (received >= share) & (received > _by_chance(weights_BHLL, present, others) + 1e-6)
    return Sinks(received, mask, relative, mask & (relative < 0.5))


def _median(values: Tensor) -> Tensor:
    """Along the last dimension, NaN left out: of an even count the mean of the two in the middle, where torch's own
    median is the lower one."""
    ordered = values.sort(-1).values  # NaN comes last
    count = (~values.isnan()).sum(-1, keepdim=True).clamp_min(1)
    two = ordered.gather(-1, torch.cat(((count - 1) // 2, count // 2), -1))
    return two.mean(-1)


def _by_chance(weights_BHLL: Tensor, present_BL: Tensor, others_LL: Tensor) -> Tensor:
    """What the most looked at of a head's keys receives where every query spreads its weights at random (B, H, 1)."""
    pairs = present_BL[:, None, :, None] * present_BL[:, None, None, :] * others_LL
    count = pairs.sum((-1, -2)).clamp_min(1)
    mean = (weights_BHLL * pairs).sum((-1, -2)) / count
    variance = ((weights_BHLL - mean[..., None, None]).square() * pairs).sum((-1, -2)) / count
    keys = present_BL.sum(1)[:, None]
    high = torch.from_numpy(norm.isf(ONE_HEAD_IN / keys.cpu().numpy())).to(mean)
    return (mean + high * (variance / (keys - 1).clamp_min(1)).sqrt())[..., None]
