"""Integrated gradients with a checked baseline (Sundararajan et al. 2017).

    relevance_j = sum over D of (x_j - b_j) * integral over t in [0, 1] of d f / d x_j at b + t (x - b)

at the states that enter block 0. The sum over tokens must be f(x) - f(b); the error of that is printed, and above 1 %
the result is refused. A baseline of zero states is refused outright: a norm is scale free, so the path from zero is
nearly singular at its start (16 % error at 50 steps on a pre-norm model). The baseline is an input (a mean or blurred
image, [MASK] or padding words) through the same stem, so that positions are those of the input.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from classtoken.analysis.capture import Leaf
from classtoken.analysis.interventions import record
from classtoken.analysis.relevance import check_targets
from classtoken.analysis.subject import Subject
from classtoken.errors import OptionError
from classtoken.tensors import Tokens
from classtoken.values import Role

LIMIT = 0.01
STEPS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Integrated:
    """Signed relevance (B, L), what it should sum to (B), the relative error of that (B), and the steps it took."""

    relevance_BL: Tensor
    difference_B: Tensor
    error_B: Tensor
    steps: int


def path_rule(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on [0, 1]: exact for polynomials up to degree 2 * steps - 1."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


def mean_image(tokens: Tokens) -> Tokens:
    """Every picture as one flat colour: its own mean, channel by channel."""
    if tokens.pixels is None:
        raise OptionError("a mean image needs images; give word pieces a masked baseline.")
    if tokens.pixels.dim() == 4:
        flat = tokens.pixels.mean((-2, -1), keepdim=True).expand_as(tokens.pixels)
    else:
        flat = tokens.pixels.mean(1, keepdim=True).expand_as(tokens.pixels)
    return replace(tokens, pixels=flat.contiguous())


def masked_text(tokens: Tokens, id: int) -> Tokens:
    """Every word piece replaced by one id ([MASK], or padding); special tokens stay."""
    if tokens.ids_BL is None:
        raise OptionError("a masked text needs word pieces; give images a mean image.")
    content = tokens.roles_BL == Role.CONTENT
    return replace(tokens, ids_BL=torch.where(content, torch.full_like(tokens.ids_BL, id), tokens.ids_BL))


def integrate(
    subject: Subject, tokens: Tokens, targets_B: Tensor, baseline: Tokens | Tensor, *, steps: int, batch: int = 32
) -> Integrated:
    """Integrated gradients with a given number of steps, whatever its error; `integrated` refuses a large one.

    baseline: an input, or states (B, L, D) that enter block 0.
    """
    x_BLD = record(subject, tokens, ["embeddings"])["embeddings"]
    b_BLD = baseline if isinstance(baseline, Tensor) else record(subject, baseline, ["embeddings"])["embeddings"]
    if b_BLD.shape != x_BLD.shape:
        raise OptionError(f"the baseline's states are {tuple(b_BLD.shape)}, the input's {tuple(x_BLD.shape)}.")
    points, weights = path_rule(steps)
    total = torch.zeros_like(x_BLD)
    B = len(x_BLD)
    at_once = max(1, batch // B)
    for start in range(0, steps, at_once):
        t = torch.tensor(points[start : start + at_once], dtype=x_BLD.dtype, device=x_BLD.device)
        w = torch.tensor(weights[start : start + at_once], dtype=x_BLD.dtype, device=x_BLD.device)
        inside = b_BLD + t[:, None, None, None] * (x_BLD - b_BLD)
        gradient = _gradient_at(subject, tokens, targets_B, inside.flatten(0, 1), len(t))
        total += torch.einsum("t,tbld->bld", w, gradient.view(len(t), *x_BLD.shape))
    relevance = ((x_BLD - b_BLD) * total).sum(-1)
    f_x, f_b = (_value_at(subject, tokens, targets_B, states) for states in (x_BLD, b_BLD))
    difference = f_x - f_b
    tiny = torch.finfo(x_BLD.dtype).eps
    error = (relevance.sum(-1) - difference).abs() / difference.abs().clamp_min(tiny)
    return Integrated(relevance, difference, error, steps)


def integrated(
    subject: Subject, tokens: Tokens, targets_B: Tensor, baseline: Tokens | Tensor, *, limit: float = LIMIT
) -> Integrated:
    """Integrated gradients with as many steps as completeness needs, 16 to 256.

    Raises `OptionError` when the error stays above `limit`: then the numbers do not add up to what they explain.
    """
    for steps in STEPS:
        found = integrate(subject, tokens, targets_B, baseline, steps=steps)
        if bool((found.error_B <= limit).all()):
            return found
    worst = float(found.error_B.max())
    raise OptionError(
        f"integrated gradients do not add up: {100 * worst:.1f} % off after {STEPS[-1]} steps (at most "
        f"{100 * limit:.0f} % is shown). Choose another baseline: a mean or blurred image, or [MASK] words."
    )


class _Given(Leaf):
    """Puts states in for the embeddings, as the leaf of the graph."""

    def __init__(self, states: Tensor):
        super().__init__()
        self.states = states

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if name != self.name:
            return value
        self.value = self.states.detach().requires_grad_()
        return self.value


def _gradient_at(subject: Subject, tokens: Tokens, targets_B: Tensor, states: Tensor, times: int) -> Tensor:
    many, targets, aim = _repeated(tokens, times), targets_B.repeat(times), subject
    if subject.towards_BD is not None:
        aim = replace(subject, towards_BD=subject.towards_BD.repeat(times, 1))
    leaf = _Given(states)
    with torch.enable_grad():
        outcome = aim(many, leaf)
        check_targets(targets_B, outcome.shape[1])
        assert leaf.value is not None
        (gradient,) = torch.autograd.grad(outcome.gather(1, targets[:, None]).sum(), leaf.value)
    return gradient


def _value_at(subject: Subject, tokens: Tokens, targets_B: Tensor, states: Tensor) -> Tensor:
    with torch.no_grad():
        return subject(tokens, _Given(states)).gather(1, targets_B[:, None])[:, 0].detach()


def _repeated(tokens: Tokens, times: int) -> Tokens:
    """The whole batch, `times` over."""

    def again(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.repeat(times, *(1,) * (value.dim() - 1))

    roles = tokens.roles_BL.repeat(times, 1)
    grids = None if tokens.grids is None else tokens.grids * times
    return Tokens(roles, again(tokens.ids_BL), again(tokens.pixels), tokens.grid, grids)
