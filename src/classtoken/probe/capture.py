"""Internal values by name, kept or reduced while the forward runs."""

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from classtoken.errors import TraceError
from classtoken.probe.subject import Subject
from classtoken.tensors import Trace
from classtoken.values import Role

Reduction = Callable[[Tensor], Tensor]
ROW_TOLERANCE = 1e-3


class Chain:
    """Several traces as one, called in order: edits first, then those that look at what came of them."""

    def __init__(self, *traces: Trace | None):
        self.traces = tuple(trace for trace in traces if trace is not None)

    def wants(self, name: str) -> bool:
        return any(trace.wants(name) for trace in self.traces)

    def __call__(self, name: str, value: Tensor) -> Tensor:
        for trace in self.traces:
            value = trace(name, value)
        return value


class Keep:
    """A trace that keeps named values after `reductions[name]`; what is passed on is unchanged.

    A reduction runs as soon as the value exists, so that a whole (B, H, L, L) tensor lives no longer than its layer.
    """

    def __init__(self, reductions: Mapping[str, Reduction], *, gradients: bool = False):
        self.reductions = reductions
        self.gradients = gradients
        self.kept: dict[str, Tensor] = {}

    def wants(self, name: str) -> bool:
        return name in self.reductions

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if name in self.reductions:
            self.kept[name] = self.reductions[name](value if self.gradients else value.detach())
        return value


class Leaf:
    """A trace that makes one value the leaf of a new graph, so that gradients exist whatever the parameters say."""

    def __init__(self, name: str = "embeddings"):
        self.name = name
        self.value: Tensor | None = None

    def wants(self, name: str) -> bool:
        return name == self.name

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if name != self.name:
            return value
        self.value = value.detach().requires_grad_()
        return self.value


def refuse_gaps(subject: Subject, parts: Collection[str]) -> None:
    """Raise `TraceError` when the encoder cannot give one of these parts: an empty map is never drawn."""
    gaps = set(subject.encoder.gaps)
    missing = sorted(p for p in parts if p in gaps or f"blocks.*.{p}" in gaps or f"blocks.i.{p}" in gaps)
    if missing:
        raise TraceError(
            f"this model cannot give {', '.join(missing)}: it comes in as a foreign module. "
            "Ask for attention scores or weights, or load a family that is read natively."
        )


def row_places(roles_BL: Tensor, rows: Collection[Role]) -> Tensor:
    """Places (B, R) of the tokens of some roles; every row must have the same number of them."""
    wanted = torch.isin(roles_BL, torch.tensor(sorted(rows), device=roles_BL.device))
    counts = wanted.sum(1)
    names = ", ".join(sorted(role.name for role in rows))
    if int(counts.min()) == 0:
        raise TraceError(f"a row has no token of the roles {names}; its attention cannot be captured.")
    if int(counts.min()) != int(counts.max()):
        raise TraceError(f"rows have different numbers of {names} tokens; capture all rows, or one input at a time.")
    return wanted.nonzero()[:, 1].view(len(roles_BL), -1)


def refuse_missing(names: Collection[str], kept: Collection[str]) -> None:
    """Raise `TraceError` when some values never came by: an empty map must not be drawn."""
    missing = sorted(set(names) - set(kept))
    if missing:
        raise TraceError(
            f"{len(missing)} of {len(names)} values were not captured ({missing[0]} first): this model's attention "
            "does not pass through the trace. Load it so that attention is written out (attn_implementation='eager')."
        )


def take(value: Tensor, places_BR: Tensor, dim: int) -> Tensor:
    """Rows `places_BR` of dimension `dim` of (B, ...)."""
    shape = [1] * value.dim()
    shape[0], shape[dim] = places_BR.shape
    expanded = list(value.shape)
    expanded[dim] = places_BR.shape[1]
    return value.gather(dim, places_BR.view(shape).expand(expanded))


def check_rows(weights_BHLL: Tensor) -> None:
    """Raise `TraceError` unless every row of attention weights sums to 1."""
    sums = weights_BHLL.sum(-1)
    if weights_BHLL.dim() != 4 or not bool((sums - 1).abs().max() < ROW_TOLERANCE):
        raise TraceError(
            f"captured attention of shape {tuple(weights_BHLL.shape)} has rows that do not sum to 1; it is no "
            "attention and is not drawn."
        )
