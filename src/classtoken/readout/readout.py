"""Which states are read, how they are pooled, and what is done to the vector afterwards."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.pooling.base import Pooling
from classtoken.pooling.build import make
from classtoken.pooling.spec import Spec, Term
from classtoken.readout.own import OwnPooler
from classtoken.tensors import States
from classtoken.values import Role

#: Tokens of which an image or text has few: only for these is it worth while to compute nothing else.
FEW = frozenset({Role.CLASS, Role.DISTILLATION})


class Readout(nn.Module):
    """States in, one vector per row out: the terms' poolings side by side, then `after`, then perhaps unit length.

    `before` are steps on every token's state; `size` is what they leave of it.

    `over` are the roles that poolings such as `mean` and `max` pool. Sums are accumulated and the vector
    comes out in float32, whatever the states are.
    """

    def __init__(
        self,
        spec: Spec,
        depth: int,
        over: frozenset[Role],
        *,
        size: int = 0,
        learned: Mapping[str, nn.Module] | None = None,
        pooler: OwnPooler | None = None,
        after: Sequence[nn.Module] = (),
        before: Sequence[nn.Module] = (),
        unit_length: bool = False,
    ):
        super().__init__()
        self.spec, self.depth, self.over, self.unit_length = spec, depth, over, unit_length
        given = dict(learned or {})
        self.poolings = nn.ModuleList(self._pooling(term, size, given, pooler) for term in spec.terms)
        self.after = nn.ModuleList(after)
        self.before = nn.ModuleList(before)

    @staticmethod
    def _pooling(term: Term, size: int, given: Mapping[str, nn.Module], pooler: OwnPooler | None) -> nn.Module:
        if term.name == "pooler":
            assert pooler is not None, "whoever builds the readout refuses a pooler without weights"
            return pooler
        return given[str(term)] if str(term) in given else make(term, size)

    @property
    def layers(self) -> tuple[int | str, ...]:
        """What to ask of the encoder besides its last states (`Encoder.forward(layers=...)`)."""
        return self.spec.blocks(self.depth)

    @property
    def rows(self) -> frozenset[Role] | None:
        """Roles whose last states suffice, so that the last block computes no more; None: all of them."""
        if self.layers:
            return None
        needed: frozenset[Role] = frozenset()
        for pooling in self.poolings:
            assert isinstance(pooling, OwnPooler | Pooling)
            roles = pooling.roles if isinstance(pooling, OwnPooler) else pooling.reads(self.over)
            if roles is None or not roles <= FEW:
                return None
            needed |= roles
        return needed

    def pooling_over(self, over: frozenset[Role] | None) -> "Readout":
        """The same readout (its weights are shared) over other roles; None for its own."""
        if over is None or over == self.over:
            return self
        other = copy(self)
        other.over = over
        return other

    def forward(self, states: States, *, over: frozenset[Role] | None = None) -> Float[Tensor, "B d"]:
        """The vectors of a batch, float32. `over` replaces the readout's own (a prompt that is not pooled, say)."""
        vector = torch.cat([self.term(n, states, over) for n in range(len(self.spec.terms))], dim=-1)
        for step in self.after:
            vector = step(vector)
        return F.normalize(vector, dim=-1) if self.unit_length else vector

    def term(self, number: int, states: States, over: frozenset[Role] | None = None) -> Float[Tensor, "B d"]:
        """The pooled vector of one term, nothing done to it."""
        term, pooling = self.spec.terms[number], self.poolings[number]
        if isinstance(pooling, OwnPooler):
            return pooling(states).float()
        pooled = self.states_of(term, states)
        return pooling(pooled, states.roles_BL, over=self.over if over is None else over, grid=states.grid).float()

    def states_of(self, term: Term, states: States) -> Float[Tensor, "B L D"]:
        """The states that a term pools: the last after the final norm, or a layer's with or without it."""
        block = term.block(self.depth)
        found = states.last_BLD if block is None else states.layers[block]
        if block is not None and term.normed and states.final_norm is not None:
            found = states.final_norm(found)
        for step in self.before:
            found = step(found)
        return found


@runtime_checkable
class StatesReader(Protocol):
    """What reads vectors from states beside others in one pass: a `Readout`, or whatever else says what it needs."""

    @property
    def layers(self) -> tuple[int | str, ...]: ...

    @property
    def rows(self) -> frozenset[Role] | None: ...

    def __call__(self, states: States, *, over: frozenset[Role] | None = None) -> Tensor: ...


def one_pass(readouts: Sequence[StatesReader]) -> tuple[tuple[int | str, ...], frozenset[Role] | None]:
    """`layers` and `rows` for one forward that serves several readouts."""
    layers = tuple(dict.fromkeys(layer for readout in readouts for layer in readout.layers))
    rows: frozenset[Role] = frozenset()
    for readout in readouts:
        wanted = readout.rows
        if wanted is None:
            return layers, None
        rows |= wanted
    return layers, rows
