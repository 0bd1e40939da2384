"""Internal values by name: only the layers, heads and rows that are asked for, reduced while the forward runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from classtoken.errors import TraceError
from classtoken.probe.subject import Subject
from classtoken.tensors import States, Tokens, Trace
from classtoken.values import Role

Reduction = Callable[[Tensor], Tensor]
PER_QUERY = frozenset({"scores", "weights"})
PER_HEAD = frozenset({"scores", "weights", "values", "heads"})
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


@dataclass(frozen=True)
class Captured:
    """What was kept of one forward: `parts["weights"][i]` of layer `layers[i]`; roles and grid of the batch."""

    layers: tuple[int, ...]
    parts: Mapping[str, tuple[Tensor, ...]]
    states: States
    outcome_BC: Tensor
    roles_BL: Tensor
    grid: tuple[int, int] | None = None
    embeddings_BLD: Tensor | None = None
    heads: tuple[int, ...] = field(default=())

    def stack(self, part: str) -> Tensor:
        """One part of all layers: (B, layers, ...)."""
        return torch.stack(self.parts[part], dim=1)


def wanted_layers(layers: Collection[int] | None, depth: int) -> tuple[int, ...]:
    """Layer numbers from 0, negative ones from the end, sorted. Raises `TraceError` for one that does not exist."""
    if layers is None:
        return tuple(range(depth))
    wrong = [layer for layer in layers if not -depth <= layer < depth]
    if wrong:
        raise TraceError(f"there is no layer {wrong[0]}: this model has layers 0 to {depth - 1}.")
    return tuple(sorted({layer % depth for layer in layers}))


def wanted_heads(heads: Collection[int] | None, count: int) -> tuple[int, ...]:
    """Head numbers, sorted. Raises `TraceError` for one that does not exist."""
    chosen = tuple(range(count)) if heads is None else tuple(sorted(set(heads)))
    wrong = [head for head in chosen if not 0 <= head < count]
    if wrong:
        raise TraceError(f"there is no head {wrong[0]}: this model has heads 0 to {count - 1}.")
    return chosen


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


def capture(
    subject: Subject,
    tokens: Tokens,
    parts: Sequence[str] = ("weights",),
    *,
    layers: Collection[int] | None = None,
    heads: Collection[int] | None = None,
    rows: Collection[Role] | None = None,
    dtype: torch.dtype | None = None,
    edits: Trace | None = None,
    gradients: bool = False,
) -> Captured:
    """Values of one forward: `parts` of `layers`, for some heads, for queries of some roles, in another dtype.

    parts: of `tensors.names_of_trace` without the block's prefix; "embeddings" too.
    rows: roles; the queries kept of scores and weights, the tokens kept of all other parts but values.
    edits: a trace that changes values before they are kept.
    Raises `TraceError` when a part, layer or head does not exist, when the model cannot give a part, and when what came
    is no attention (missing layers, rows that do not sum to 1).
    """
    refuse_gaps(subject, parts)
    chosen, chosen_heads = wanted_layers(layers, subject.depth), wanted_heads(heads, subject.heads)
    places = None if rows is None else row_places(tokens.roles_BL, rows)
    whole = len(chosen_heads) == subject.heads

    def reduction(part: str) -> Reduction:
        def reduce(value: Tensor) -> Tensor:
            if part == "weights" and edits is None:
                check_rows(value)
            if part in PER_HEAD and not whole:
                value = value[:, list(chosen_heads)]
            if places is not None and part != "values":
                value = take(value, places, dim=2 if part in PER_HEAD else 1)
            return value if dtype is None else value.to(dtype)

        return reduce

    inner = [part for part in parts if part != "embeddings"]
    names = {f"blocks.{i}.{part}": reduction(part) for i in chosen for part in inner}
    if "embeddings" in parts:
        names["embeddings"] = reduction("embeddings")
    keep = Keep(names, gradients=gradients)
    with torch.set_grad_enabled(gradients):
        states = subject.states(tokens, Chain(edits, keep))
        outcome = subject.outcome(states)
    refuse_missing(names, keep.kept)
    return Captured(
        chosen,
        {part: tuple(keep.kept[f"blocks.{i}.{part}"] for i in chosen) for part in inner},
        states,
        outcome,
        tokens.roles_BL,
        states.grid or tokens.grid,
        keep.kept.get("embeddings"),
        chosen_heads,
    )


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
