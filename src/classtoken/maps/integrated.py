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

from classtoken.errors import OptionError
from classtoken.probe.capture import Keep, Leaf
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, check_targets
from classtoken.tensors import Tokens
from classtoken.values import Role

LIMIT = 0.01
STEPS = (16, 32, 64, 128, 256)
AT_ONCE = 8  # points of the path with their graphs in memory


@dataclass(frozen=True)
class IntegratedGradients:
    """Signed relevance (B, L), what it should sum to (B), the relative error of that (B), and the steps it took."""

    relevance_BL: Tensor
    difference_B: Tensor
    error_B: Tensor
    steps: int


def path_rule(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Clenshaw-Curtis points and weights on [0, 1], `steps` (even) + 1 of them.

    Exact for polynomials up to degree `steps`. Points of a rule are points of the rule with twice as many steps, so
    that none is computed twice.
    """
    k, j = np.arange(steps + 1), np.arange(1, steps // 2 + 1)
    angles = np.pi * k / steps
    halved = np.where(j == steps // 2, 1.0, 2.0) / (4.0 * j**2 - 1)
    ends = np.where((k == 0) | (k == steps), 1.0, 2.0)
    weights = ends / steps * (1 - (halved * np.cos(2 * np.outer(angles, j))).sum(1))
    return (1 - np.cos(angles)) / 2, weights / 2


def mean_image(tokens: Tokens) -> Tokens:
    """Every picture as one flat colour: its own mean, channel by channel."""
    if tokens.pixels is None:
        raise OptionError("a mean image needs images; give word pieces a masked baseline.")
    if tokens.pixels.dim() == 4:
        flat = tokens.pixels.mean((-2, -1), keepdim=True).expand_as(tokens.pixels)
    else:
        channels = tokens.pixels.unflatten(-1, (-1, 3))
        flat = channels.mean((1, 2), keepdim=True).expand_as(channels).flatten(2)
    return replace(tokens, pixels=flat.contiguous())


def masked_text(tokens: Tokens, id: int) -> Tokens:
    """Every word piece replaced by one id ([MASK], or padding); special tokens stay."""
    if tokens.ids_BL is None:
        raise OptionError("a masked text needs word pieces; give images a mean image.")
    content = tokens.roles_BL == Role.CONTENT
    return replace(tokens, ids_BL=torch.where(content, torch.full_like(tokens.ids_BL, id), tokens.ids_BL))


class _Path:
    """Slopes on the way from a baseline to an input, each computed once: sum over D of (x - b) df/dx, (B, L)."""

    def __init__(self, traced: Traced, targets_B: Tensor, baseline: Tokens | Tensor, batch: int):
        self.subject, self.tokens, self.targets_B, self.batch = traced.subject, traced.tokens, targets_B, batch
        check_targets(targets_B, traced.outcome_BC.shape[1])
        self.x_BLD = traced.entering(0)
        self.b_BLD, start_B = self._baseline(baseline)
        self.difference_B = traced.outcome_BC.gather(1, targets_B[:, None])[:, 0] - start_B
        self.slopes: dict[float, Tensor] = {}
        if traced.graph is not None:  # the end of the path is the input itself
            gradient = traced.gradients(targets_B).embeddings_BLD
            if gradient is not None:
                self.slopes[1.0] = (gradient * (self.x_BLD - self.b_BLD)).sum(-1)

    @torch.no_grad()
    def _baseline(self, baseline: Tokens | Tensor) -> tuple[Tensor, Tensor]:
        """The states at the start of the path, and the target's outcome there."""
        given = baseline.roles_BL if isinstance(baseline, Tokens) else baseline
        if given.shape[:2] != self.x_BLD.shape[:2]:
            raise OptionError(
                f"the baseline has {given.shape[1]} tokens and the input {self.x_BLD.shape[1]}; give as many."
            )
        if isinstance(baseline, Tokens):
            keep = Keep({"embeddings": lambda value: value})
            outcome_BC = self.subject(baseline, keep)
            states_BLD = keep.kept["embeddings"]
        else:
            outcome_BC, states_BLD = self.subject(self.tokens, _Given(baseline)), baseline
        return states_BLD, outcome_BC.detach().gather(1, self.targets_B[:, None])[:, 0]

    def at(self, points: np.ndarray) -> list[Tensor]:
        """The slopes at some points, first those that are not there yet."""
        wanted = [p for p in points.tolist() if round(p, 12) not in self.slopes]
        at_once = max(1, self.batch // len(self.x_BLD))
        gap = self.x_BLD - self.b_BLD
        for start in range(0, len(wanted), at_once):
            part = wanted[start : start + at_once]
            t = torch.tensor(part, dtype=self.x_BLD.dtype, device=self.x_BLD.device)
            inside = self.b_BLD + t[:, None, None, None] * gap
            gradient = _gradient_at(self.subject, self.tokens, self.targets_B, inside.flatten(0, 1), len(t))
            for p, slope in zip(part, (gradient.view(len(t), *gap.shape) * gap).sum(-1), strict=True):
                self.slopes[round(p, 12)] = slope
        return [self.slopes[round(p, 12)] for p in points.tolist()]

    def integral(self, steps: int) -> IntegratedGradients:
        """The integral by the rule with so many steps, and how far it is from adding up."""
        points, weights = path_rule(steps)
        total = torch.zeros_like(self.x_BLD[..., 0])
        for weight, slope in zip(weights.tolist(), self.at(points), strict=True):
            total += weight * slope
        tiny = torch.finfo(total.dtype).eps
        error = (total.sum(-1) - self.difference_B).abs() / self.difference_B.abs().clamp_min(tiny)
        return IntegratedGradients(total, self.difference_B, error, steps)


def integrated(
    traced: Traced, targets_B: Tensor, baseline: Tokens | Tensor, *, limit: float = LIMIT
) -> IntegratedGradients:
    """Integrated gradients with as many steps as they need, 32 to 256.

    baseline: an input, or states (B, L, D) that enter block 0. Steps are doubled until the sum is complete to `limit`
    and no token moved by more than `limit` of the largest. Raises `OptionError` when that is not reached: then the
    numbers do not add up to what they explain.
    """
    path = _Path(traced, targets_B, baseline, AT_ONCE)
    found = path.integral(STEPS[0])
    moved = float("inf")
    for steps in STEPS[1:]:
        last, found = found, path.integral(steps)
        largest_B = found.relevance_BL.abs().amax(1).clamp_min(torch.finfo(found.relevance_BL.dtype).tiny)
        moved = float(((found.relevance_BL - last.relevance_BL).abs().amax(1) / largest_B).max())
        if moved <= limit and bool((found.error_B <= limit).all()):
            return found
    worst = max(moved, float(found.error_B.max()))
    raise OptionError(
        f"integrated gradients do not add up: {100 * worst:.3g} % off after {STEPS[-1]} steps (at most "
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
    if subject.direction_BD is not None:
        aim = replace(subject, direction_BD=subject.direction_BD.repeat(times, 1))
    leaf = _Given(states)
    with torch.enable_grad():
        outcome = aim(many, leaf)
        check_targets(targets_B, outcome.shape[1])
        assert leaf.value is not None
        (gradient,) = torch.autograd.grad(outcome.gather(1, targets[:, None]).sum(), leaf.value)
    return gradient


def _repeated(tokens: Tokens, times: int) -> Tokens:
    """The whole batch, `times` over."""

    def again(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.repeat(times, *(1,) * (value.dim() - 1))

    roles = tokens.roles_BL.repeat(times, 1)
    grids = None if tokens.grids is None else tokens.grids * times
    return Tokens(roles, again(tokens.ids_BL), again(tokens.pixels), tokens.grid, grids)
