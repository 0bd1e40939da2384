"""The checkpoint's own pooled output: the same name in every library, at least eight meanings.

A formula is a class here, its name in `FORMULAS` what a family's row says (`PoolerRow.kind`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.families.row import PoolerRow
from classtoken.encoder.names import to_ours
from classtoken.encoder.shape import Shape
from classtoken.errors import ContractError, EmptyRow
from classtoken.pooling.attentive import Map
from classtoken.tensors import ACTIVATIONS, States
from classtoken.values import Role

TOKENS = {"cls": "class token", "last": "last token", "end": "end token"}


class OwnPooler(nn.Module, ABC):
    """The pooled output that the reference computes, with the checkpoint's own weights."""

    formula: ClassVar[str]
    """in words; {token} and {activation} are the row's"""

    def __init__(self, row: PoolerRow, shape: Shape):
        super().__init__()
        self.row = row

    def load(self, rest: Mapping[str, Tensor]) -> None:
        """Take the weights out of what the encoder left over. Raises KeyError naming those that are missing."""
        ours, _ = to_ours(rest, self.row.names)
        lost = sorted(self.state_dict().keys() - ours.keys())
        if lost:
            raise KeyError(", ".join(lost))
        self.fit(ours)
        wanted = self.state_dict()
        self.load_state_dict({name: ours[name].reshape(wanted[name].shape) for name in wanted})

    def fit(self, weights: Mapping[str, Tensor]) -> None:
        """Give parts the size that the weights have, where it does not follow from the encoder's shape."""

    @property
    def size(self) -> int | None:
        """Numbers of the pooled output; None where it is that of the state."""
        return None

    @property
    def roles(self) -> frozenset[Role] | None:
        """Roles whose states suffice; None: all of them."""
        return None

    @abstractmethod
    def forward(self, states: States) -> Float[Tensor, "B d"]:
        """The pooled output of a batch, in the states' precision."""


class OneState(OwnPooler):
    """The state of one token."""

    formula = "the state of the {token} after the final norm"

    @property
    def roles(self) -> frozenset[Role] | None:
        return frozenset({Role.CLASS}) if self.row.token == "cls" else None

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        return self._state(states)

    def _state(self, states: States) -> Tensor:
        """The pooled token's state. CLIP's older rule may put END before a row's last token; a row without END has been
        cut by a tokenizer that keeps none, and its last token is read."""
        there = states.roles_BL != Role.PAD
        wanted = states.roles_BL == Role.CLASS if self.row.token == "cls" else there
        if self.row.token == "end":
            ends = states.roles_BL == Role.END
            wanted = torch.where(ends.any(1, keepdim=True), ends & (ends.cumsum(1) == 1), there)
        if not bool(wanted.any(1).all()):
            raise EmptyRow("the pooled output reads a token that a row of this batch does not have (an empty text?).")
        place = wanted.long().argmax(1)
        if self.row.token != "cls":
            place = wanted.shape[1] - 1 - wanted.flip(1).long().argmax(1)
        return states.last_BLD[torch.arange(len(place), device=place.device), place]


class DenseState(OneState):
    """A dense layer on the state of one token; its output may have another size."""

    formula = "W x + b of the {token}'s state after the final norm"

    def __init__(self, row: PoolerRow, shape: Shape):
        super().__init__(row, shape)
        self.dense = nn.Linear(shape.hidden_size, shape.hidden_size)

    def fit(self, weights: Mapping[str, Tensor]) -> None:
        self.dense = nn.Linear(weights["dense.weight"].shape[1], weights["dense.weight"].shape[0])

    @property
    def size(self) -> int | None:
        return self.dense.out_features

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        return self.dense(self._state(states))


class ActivatedState(DenseState):
    """BERT's pooler: an activation of a dense layer on the state of one token."""

    formula = "{activation}(W x + b) of the {token}'s state after the final norm"

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        return ACTIVATIONS[self.row.activation](super().forward(states))


class AttentionPool(OwnPooler):
    """SigLIP's head: one learned query over the patches."""

    formula = "a learned query attends over the patches, then x + MLP(LN(x)) (multi-head attention pooling)"

    def __init__(self, row: PoolerRow, shape: Shape):
        super().__init__(row, shape)
        block = shape.block
        inner, eps = block.feedforward_size, block.norm_eps
        self.map = Map(shape.hidden_size, block.heads, inner=inner, activation=block.activation, eps=eps)

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        return self.map(states.last_BLD, states.roles_BL, over=frozenset({Role.CONTENT}))


class NormedMean(OwnPooler):
    """BEiT's pooler: the norm after the mean, of states that are not normed."""

    formula = "LayerNorm of the mean of the patches"

    def __init__(self, row: PoolerRow, shape: Shape):
        super().__init__(row, shape)
        self.norm = nn.LayerNorm(shape.hidden_size, eps=shape.block.norm_eps)

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        content = (states.roles_BL == Role.CONTENT).to(states.last_BLD.dtype)
        return self.norm(torch.einsum("bl,bld->bd", content / content.sum(1, keepdim=True), states.last_BLD))


class ModelPooled(OwnPooler):
    """What a foreign model pools itself: its forward has computed it already."""

    formula = "the model's own pooled output, as transformers computes it"

    def __init__(self, size: int):
        nn.Module.__init__(self)
        self.row, self._size = PoolerRow(kind="given"), size

    @property
    def size(self) -> int | None:
        return self._size

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        if states.pooled_BD is None:
            raise ContractError("this pooled output is computed by the model itself, and only its states are at hand.")
        return states.pooled_BD


FORMULAS: Mapping[str, type[OwnPooler]] = {
    "state": OneState,  # DINOv2, CLIP
    "dense": DenseState,  # SigLIP's text side
    "tanh": ActivatedState,  # BERT, ViT
    "map": AttentionPool,  # SigLIP's image side
    "norm_mean": NormedMean,  # BEiT
    "given": ModelPooled,
}


def own_pooler(row: PoolerRow, shape: Shape) -> OwnPooler:
    """The pooled output that a row names, its weights not yet loaded."""
    return FORMULAS[row.kind](row, shape)


def meaning(row: PoolerRow) -> str:
    """What this family's pooled output is, in words."""
    return FORMULAS[row.kind].formula.format(token=TOKENS[row.token], activation=row.activation)


def needs_weights(row: PoolerRow) -> bool:
    """Whether it has weights of its own, which a checkpoint may lack."""
    return bool(row.names)
