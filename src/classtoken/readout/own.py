"""The checkpoint's own pooled output: the same name in every library, at least eight meanings."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.families.row import PoolerRow
from classtoken.encoder.names import to_ours
from classtoken.encoder.shape import Shape
from classtoken.errors import EmptyRow
from classtoken.pooling.attentive import Map
from classtoken.tensors import States
from classtoken.values import Role

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "gelu": nn.functional.gelu,
    "relu": torch.relu,
    "identity": lambda x: x,
}
MEANINGS = {
    "state": "the state of the {token} after the final norm",
    "tanh": "{activation}(W x + b) of the {token}'s state after the final norm",
    "map": "a learned query attends over the patches, then x + MLP(LN(x)) (multi-head attention pooling)",
    "dense": "W x + b of the {token}'s state after the final norm",
    "norm_mean": "LayerNorm of the mean of the patches",
}
TOKENS = {"cls": "class token", "last": "last token", "end": "end token"}


def meaning(row: PoolerRow) -> str:
    """What this family's pooled output is, in words."""
    return MEANINGS[row.kind].format(token=TOKENS[row.token], activation=row.activation)


def needs_weights(row: PoolerRow) -> bool:
    """Whether it has weights of its own, which a checkpoint may lack."""
    return bool(row.names)


class OwnPooler(nn.Module):
    """The pooled output that the reference computes, with the checkpoint's own weights."""

    def __init__(self, row: PoolerRow, shape: Shape):
        super().__init__()
        self.row = row
        size, block = shape.hidden_size, shape.block
        if row.kind in ("tanh", "dense"):
            self.dense = nn.Linear(size, size)
        elif row.kind == "norm_mean":
            self.norm = nn.LayerNorm(size, eps=block.norm_eps)
        elif row.kind == "map":
            inner, eps = block.feedforward_size, block.norm_eps
            self.map = Map(size, block.heads, inner=inner, activation=block.activation, eps=eps)

    def load(self, rest: Mapping[str, Tensor]) -> None:
        """Take the weights out of what the encoder left over. Raises KeyError naming those that are missing."""
        ours, _ = to_ours(rest, self.row.names)
        wanted = self.state_dict()
        lost = sorted(wanted.keys() - ours.keys())
        if lost:
            raise KeyError(", ".join(lost))
        if self.row.kind in ("tanh", "dense"):  # the output may have another size than the state
            self.dense = nn.Linear(ours["dense.weight"].shape[1], ours["dense.weight"].shape[0])
            wanted = self.state_dict()
        self.load_state_dict({name: ours[name].reshape(wanted[name].shape) for name in wanted})

    @property
    def size(self) -> int | None:
        """Numbers of the pooled output; None where it is that of the state."""
        return self.dense.out_features if hasattr(self, "dense") else None

    @property
    def roles(self) -> frozenset[Role] | None:
        """Roles whose states suffice; None: all of them."""
        reads_class_token = self.row.token == "cls" and self.row.kind in ("state", "tanh", "dense")
        return frozenset({Role.CLASS}) if reads_class_token else None

    def forward(self, states: States) -> Float[Tensor, "B d"]:
        """The pooled output of a batch, in the states' precision."""
        kind, last = self.row.kind, states.last_BLD
        if kind == "map":
            return self.map(last, states.roles_BL, over=frozenset({Role.CONTENT}))
        if kind == "norm_mean":
            content = (states.roles_BL == Role.CONTENT).to(last.dtype)
            return self.norm(torch.einsum("bl,bld->bd", content / content.sum(1, keepdim=True), last))
        state = self._state(states)
        if kind == "state":
            return state
        dense = self.dense(state)
        return ACTIVATIONS[self.row.activation](dense) if kind == "tanh" else dense

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
