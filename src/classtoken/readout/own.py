"""The checkpoint's own pooled output: the same name in every library, at least eight meanings.

A formula is a class here, its name in `FORMULAS` what a family's row says (`PoolerRow.kind`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.attention import take_rows
from classtoken.encoder.families.row import PoolerRow
from classtoken.encoder.names import to_ours
from classtoken.encoder.shape import Shape
from classtoken.errors import ContractError, EmptyRow
from classtoken.pooling.attentive import Map
from classtoken.tensors import ACTIVATIONS, States, has_role
from classtoken.values import Role

EVERY = frozenset(Role) - {Role.PAD}
REDUCED = {"mean": "mean", "max": "maximum", "mean_max": "mean of mean and maximum", "cls": "state"}
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
        return take_rows(states.last_BLD, self.place(states.roles_BL)[:, None])[:, 0]

    def share(self, roles_BL: Tensor) -> Tensor:
        """1 for each row's pooled token and 0 for all others (B, L), as the weights of a sum over tokens."""
        return nn.functional.one_hot(self.place(roles_BL), roles_BL.shape[1]).float()

    def place(self, roles_BL: Tensor) -> Tensor:
        """Where each row's pooled token stands (B). CLIP's older rule may put END before a row's last token; a row
        without END has been cut by a tokenizer that keeps none, and its last token is read."""
        there = roles_BL != Role.PAD
        wanted = roles_BL == Role.CLASS if self.row.token == "cls" else there
        if self.row.token == "end":
            ends = roles_BL == Role.END
            some = ends.any(1, keepdim=True)
            wanted = (ends & (ends.long().cumsum(1) == 1)) | (there & ~some)
        if not bool(wanted.any(1).all()):
            raise EmptyRow("the pooled output reads a token that a row of this batch does not have (an empty text?).")
        place = wanted.long().argmax(1)
        if self.row.token != "cls":
            place = wanted.shape[1] - 1 - wanted.flip(1).long().argmax(1)
        return place


class DenseState(OneState):
    """A dense layer on the state of one token; its output may have another size."""

    formula = "W x + b of the {token}'s state after the final norm"

    def __init__(self, row: PoolerRow, shape: Shape):
        super().__init__(row, shape)
        self.dense = nn.Linear(shape.hidden_size, shape.hidden_size, bias=row.bias)

    def fit(self, weights: Mapping[str, Tensor]) -> None:
        size, hidden = weights["dense.weight"].shape
        self.dense = nn.Linear(hidden, size, bias=self.row.bias)

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


class OverTokens(OwnPooler):
    """A pooled output over patches, or over every token of an image."""

    @property
    def over(self) -> frozenset[Role]:
        """Roles that are pooled."""
        return EVERY if self.row.every_token else frozenset({Role.CONTENT})


class AttentionPool(OverTokens):
    """SigLIP's head: one learned query over the patches; the Perception Encoder's over every token."""

    formula = "what a learned query reads from the {tokens}, then x + MLP(LN(x)) (multi-head attention pooling)"

    def __init__(self, row: PoolerRow, shape: Shape):
        super().__init__(row, shape)
        self.shape = shape
        self.map = self._made(shape.block.feedforward_size)

    def _made(self, inner: int) -> Map:
        block = self.shape.block
        heads, activation = self.row.heads or block.heads, block.activation
        if block.gated:  # whose feed-forward is not this head's
            activation = "gelu"
        return Map(self.shape.hidden_size, heads, inner=inner, activation=activation, eps=block.norm_eps)

    def fit(self, weights: Mapping[str, Tensor]) -> None:
        inner = weights["map.up.weight"].shape[0]
        if inner != self.map.up.out_features:
            self.map = self._made(inner)

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        return self.map(states.last_BLD, states.roles_BL, over=self.over)


class Pooled(OverTokens):
    """The patches' mean, max, or the mean of both, or the class token; with weights, a norm behind it (BEiT, timm)."""

    formula = "{norm}the {reduce} of the {tokens}"

    def __init__(self, row: PoolerRow, shape: Shape):
        super().__init__(row, shape)
        self.norm = nn.LayerNorm(shape.hidden_size, eps=shape.block.norm_eps) if row.names else nn.Identity()

    @property
    def roles(self) -> frozenset[Role] | None:
        return frozenset({Role.CLASS}) if self.row.reduce == "cls" else None

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        kept_BL1 = has_role(states.roles_BL, {Role.CLASS} if self.row.reduce == "cls" else self.over)[..., None]
        x_BLD = states.last_BLD
        mean_BD = (x_BLD * kept_BL1).sum(1) / kept_BL1.sum(1)
        if self.row.reduce in ("mean", "cls"):
            return self.norm(mean_BD)
        max_BD = x_BLD.masked_fill(~kept_BL1, -torch.inf).amax(1)
        return self.norm(max_BD if self.row.reduce == "max" else (mean_BD + max_BD) / 2)


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
    "pooled": Pooled,  # BEiT, timm
    "given": ModelPooled,
}


def own_pooler(row: PoolerRow, shape: Shape) -> OwnPooler:
    """The pooled output that a row names, its weights not yet loaded."""
    return FORMULAS[row.kind](row, shape)


def meaning(row: PoolerRow) -> str:
    """What this family's pooled output is, in words."""
    tokens = "tokens, class token included" if row.every_token else "patches"
    return FORMULAS[row.kind].formula.format(
        token=TOKENS[row.token],
        activation=row.activation,
        norm="LayerNorm of " if row.names else "",
        reduce=REDUCED[row.reduce],
        tokens="class token" if row.reduce == "cls" else tokens,
    )


def needs_weights(row: PoolerRow) -> bool:
    """Whether it has weights of its own, which a checkpoint may lack."""
    return bool(row.names)
