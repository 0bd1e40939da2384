"""One undisturbed forward, kept: every map, knock-out, swap and description of an input reads it.

traced = trace(subject, tokens)               # the only undisturbed forward
traced = traced.explaining(target)            # fixes the question; nothing is run
traced.parts["weights"][layer], traced.entering(layer), traced.answers_BC, traced.gradients(targets)
traced.after(edit, rows=8, first=3)           # run on from layer 3 with something changed
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import OptionError, TraceError
from classtoken.probe.capture import Chain, Keep, Leaf, Reduction, check_rows, refuse_gaps, refuse_missing, take
from classtoken.probe.interventions import Donor, PatchStates, before_layer
from classtoken.probe.run_on import run_on
from classtoken.probe.subject import Subject
from classtoken.tensors import States, Tokens, Trace
from classtoken.values import Role

PARTS = ("weights", "values", "attention", "feedforward", "states", "embeddings")
"""what descriptions, maps and knock-outs need; the heads' contributions are large and asked for by name"""


@dataclass(frozen=True)
class Gradients:
    """Slopes of the target's outcome (B): with respect to the weights of every layer, first layer first (`weights` are
    those weights), and to the states that enter block 0 (None where a model does not show them)."""

    weights: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    embeddings_BLD: Tensor | None
    outcome_B: Tensor


@dataclass
class Graph:
    """The graph of the forward, for gradients of any target without another forward."""

    outcome_BC: Tensor
    weights: tuple[Tensor, ...]
    embeddings_BLD: Tensor | None
    found: dict[tuple[int, ...], Gradients] = field(default_factory=dict)

    def of(self, targets_B: Tensor) -> Gradients:
        """Gradients of each row's target outcome; the same targets are differentiated once."""
        key = tuple(targets_B.tolist())
        if key not in self.found:
            picked = self.outcome_BC.gather(1, targets_B[:, None])[:, 0]
            first = () if self.embeddings_BLD is None else (self.embeddings_BLD,)
            asked = (*first, *self.weights)
            slopes = torch.autograd.grad(picked.sum(), asked, allow_unused=True, retain_graph=True)
            whole = tuple(torch.zeros_like(x) if s is None else s for x, s in zip(asked, slopes, strict=True))
            weights = tuple(w.detach() for w in self.weights)
            embeddings = whole[0] if first else None
            self.found[key] = Gradients(weights, whole[len(first) :], embeddings, picked.detach())
        return self.found[key]


@dataclass(frozen=True, eq=False)
class Traced:
    """A batch as the model computed it, undisturbed.

    parts: `parts["weights"][i]` of block i, whole, for every part that was asked for and that the model can give.
    states: the final ones. outcome_BC: `Subject.outcome` of them. graph: there where gradients were asked for.
    """

    subject: Subject
    tokens: Tokens
    parts: Mapping[str, tuple[Tensor, ...]]
    embeddings_BLD: Tensor | None
    states: States
    outcome_BC: Tensor
    graph: Graph | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def roles_BL(self) -> Tensor:
        """Roles of all tokens."""
        return self.tokens.roles_BL

    @property
    def grid(self) -> tuple[int, int] | None:
        """The patch grid that all rows share."""
        return self.states.grid or self.tokens.grid

    @property
    def depth(self) -> int:
        """N, the number of blocks."""
        return self.subject.depth

    @property
    def answers_BC(self) -> Tensor:
        """What the model answers (`Subject.answers`)."""
        return self.subject.answers(self.outcome_BC)

    @property
    def reader_BL(self) -> Tensor:
        """The weights with which the readout reads final states."""
        return self.subject.reader(self.tokens.roles_BL)

    @property
    def one_reader(self) -> bool:
        """True when the readout reads one token in every row."""
        return bool((self.reader_BL.amax(1) == 1).all())

    @property
    def shows_states(self) -> bool:
        """Whether the states before every layer are there."""
        return self.embeddings_BLD is not None and "states" in self.parts

    def part(self, name: str) -> tuple[Tensor, ...]:
        """A part of all layers. Raises `TraceError` where it was not asked for or cannot be given."""
        if name not in self.parts:
            refuse_gaps(self.subject, [name])
            raise TraceError(f"'{name}' was not kept of this forward; kept were {', '.join(self.parts)}.")
        return self.parts[name]

    def rows(self, name: str, places_BR: Tensor) -> tuple[Tensor, ...]:
        """Rows of some tokens of a part, layer by layer: queries of weights and scores, tokens of all others."""
        dim = 2 if self.part(name)[0].dim() == 4 else 1
        return tuple(take(value, places_BR, dim=dim) for value in self.part(name))

    def entering(self, layer: int) -> Tensor:
        """All tokens' states that enter a layer (B, L, D); of the depth itself: those that leave the last one."""
        before_layer(layer, self.depth)  # refuses a layer that does not exist
        if layer == 0:
            if self.embeddings_BLD is None:
                refuse_gaps(self.subject, ["embeddings"])
                raise TraceError("the embeddings were not kept of this forward.")
            return self.embeddings_BLD
        return self.part("states")[layer - 1]

    def explaining(self, target: int = 0) -> "Traced":
        """The same forward with its question settled (`Subject.explaining`)."""
        subject = self.subject.explaining(self.outcome_BC, target)
        if subject.head is not None:
            return replace(self, subject=subject)
        graph = None if self.graph is None else replace(self.graph, outcome_BC=subject.along(self.graph.outcome_BC))
        return replace(self, subject=subject, outcome_BC=subject.along(self.outcome_BC), graph=graph)

    def gradients(self, targets_B: Tensor) -> Gradients:
        """Slopes of the targets' outcomes. Raises `TraceError` where the forward was traced without gradients."""
        if self.graph is None:
            raise TraceError("this forward was traced without gradients; trace it with gradients=True.")
        check_targets(targets_B, self.outcome_BC.shape[1])
        return self.graph.of(targets_B)

    def donor(self, names: Collection[str]) -> Donor:
        """Values by their trace names, to stand in for another input's (`interventions`)."""
        found = {}
        for name in names:
            _, layer, part = name.split(".")
            found[name] = self.part(part)[int(layer)]
        return found

    @torch.no_grad()
    def after(self, edit: Trace, *, rows: int = 1, first: int = 0) -> Tensor:
        """Outcomes (rows, C) of one input, `rows` times over, with a change in layer `first` or later.

        What comes before `first` is not computed again, where blocks can be run one by one.
        """
        if len(self.tokens) != 1:
            raise OptionError(f"one input is changed at a time, not {len(self.tokens)}.")
        if self.can_run_on:
            x_BLD = self.entering(first).expand(rows, -1, -1)
            roles_BL = self.tokens.roles_BL.expand(rows, -1)
            return self.subject.outcome(run_on(self.subject, x_BLD, roles_BL, first, edit, grid=self.tokens.grid))
        return self.subject(repeat(self.tokens, 0, rows), edit)

    @torch.no_grad()
    def with_states(self, x_BLD: Tensor, layer: int) -> Tensor:
        """Outcomes (B, C) with other states before a layer (the depth itself: after the last one)."""
        if self.can_run_on:
            return self.subject.outcome(run_on(self.subject, x_BLD, self.tokens.roles_BL, layer, grid=self.tokens.grid))
        return self.subject(self.tokens, PatchStates(name=before_layer(layer, self.depth), value_BLD=x_BLD))

    @property
    def can_run_on(self) -> bool:
        """Whether a forward can begin in the middle, from the states that were kept."""
        return (
            self.shows_states and is_stepwise(self.subject.encoder) and not getattr(self.subject.readout, "layers", ())
        )


def trace(
    subject: Subject, tokens: Tokens, parts: Sequence[str] = PARTS, *, gradients: bool = False, strict: bool = False
) -> Traced:
    """Run a batch once and keep `parts` (of `tensors.names_of_trace`, without the block's prefix; "embeddings" too).

    gradients: keep the graph, so that `Traced.gradients` needs no other forward.
    strict: raise `TraceError` for a part that the model cannot give, which is left out otherwise. Always raises it for
    a model whose attention weights are asked for and cannot be captured, or are none (rows that do not sum to 1).
    """
    gaps = set(subject.encoder.gaps)
    if strict or "weights" in parts:
        refuse_gaps(subject, parts if strict else ["weights"])
    given = [p for p in parts if not {p, f"blocks.*.{p}", f"blocks.i.{p}"} & gaps]
    inner = [part for part in given if part != "embeddings"]
    shown = "embeddings" not in gaps
    leaf = Leaf() if gradients and shown else None
    names: dict[str, Reduction] = {f"blocks.{i}.{part}": _whole for i in range(subject.depth) for part in inner}
    if "embeddings" in given:
        names["embeddings"] = _whole
    keep = Keep(names, gradients=gradients)
    with torch.set_grad_enabled(gradients):
        states = subject.states(tokens, Chain(leaf, keep))
        outcome_BC = subject.outcome(states)
    refuse_missing(names, keep.kept)
    for i in range(subject.depth) if "weights" in inner else ():
        check_rows(keep.kept[f"blocks.{i}.weights"])
    graph = None
    if gradients:
        weights = tuple(keep.kept[f"blocks.{i}.weights"] for i in range(subject.depth))
        graph = Graph(outcome_BC, weights, None if leaf is None else leaf.value)
    first = keep.kept.get("embeddings")
    return Traced(
        subject,
        tokens,
        {part: tuple(keep.kept[f"blocks.{i}.{part}"].detach() for i in range(subject.depth)) for part in inner},
        None if first is None else first.detach(),
        _detached(states),
        outcome_BC.detach(),
        graph,
    )


def check_targets(targets_B: Tensor, classes: int) -> None:
    """Raise `OptionError` for a class that the model does not have."""
    wrong = targets_B[(targets_B < 0) | (targets_B >= classes)]
    if len(wrong):
        raise OptionError(f"class {int(wrong[0])} does not exist: this model has classes 0 to {classes - 1}.")


def repeat(tokens: Tokens, row: int, times: int) -> Tokens:
    """One input of a batch, `times` over: to be run with as many different changes."""

    def again(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[row : row + 1].expand(times, *value.shape[1:])

    roles = tokens.roles_BL[row : row + 1].expand(times, -1)
    grids = None if tokens.grids is None else (tokens.grids[row],) * times
    return Tokens(roles, again(tokens.ids_BL), again(tokens.pixels), tokens.grid, grids)


def content_of(tokens: Tokens, row: int = 0) -> list[int]:
    """Places of the patches or word pieces of one input."""
    return [int(place) for place in (tokens.roles_BL[row] == Role.CONTENT).nonzero()[:, 0]]


def _whole(value: Tensor) -> Tensor:
    return value


def _detached(states: States) -> States:
    layers = {name: value.detach() for name, value in states.layers.items()}
    return replace(states, last_BLD=states.last_BLD.detach(), layers=layers)
