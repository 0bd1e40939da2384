"""What every pooling is: states and roles in, one vector per row out.

What holds for all of them, and is checked by `classtoken.testing.poolings`: padding is never looked at, on whichever
side it stands and whatever its states hold; rows do not touch each other; the input is never changed; a row without a
token to read raises `EmptyRow`; sums over half-precision states are taken in float32.

`over` are the roles to pool over (`values.IMAGE_POOLED`: patches; `values.TEXT_POOLED`: every role but PAD; a contract
may say otherwise). Poolings that are defined by a role (`cls`, `dist`) read that role whatever `over` is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from classtoken.errors import EmptyRow
from classtoken.pooling.table import Argument
from classtoken.tensors import has_role
from classtoken.values import Role

Over = frozenset[Role]


@dataclass(frozen=True)
class PoolingInput:
    """What a pooling is given: the states of a batch and the role of each, the roles to pool over, and the patch grid
    that all rows share, where there is one."""

    states_BLD: Float[Tensor, "B L D"]
    roles_BL: Int[Tensor, "B L"]
    over: Over
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class PoolingOptions:
    """What a pooling may be made from besides the size of a state.

    `argument` stands in the spec's parentheses. `heads`: of `map`, where its name gives none. `positions`: tokens a
    row, for poolings that must know (`About.length`); `grid`: the patch grid when they are images. `seed`: of learned
    poolings' first weights, which are random.
    """

    argument: Argument | None = None
    heads: int | None = None
    positions: int | None = None
    grid: tuple[int, int] | None = None
    seed: int = 0


class Pooling(nn.Module, ABC):
    """A pooling of states of size `dim` into a vector of length `width`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    @classmethod
    def made(cls, dim: int, options: PoolingOptions) -> "Pooling":
        """One for states of size `dim`; a class that takes options overrides this. Raises `OptionError`."""
        return cls(dim)

    @property
    def width(self) -> int:
        """Length of the vector that comes out."""
        return self.dim

    def reads(self, over: Over) -> Over:
        """The roles whose tokens it must be given; the encoder need not compute others in its last block."""
        return over - {Role.PAD}

    @abstractmethod
    def pool(self, given: PoolingInput) -> Float[Tensor, "B W"]:
        """One vector per row, in the states' precision. Raises `EmptyRow` for a row without a token to read."""

    def forward(
        self,
        states_BLD: Float[Tensor, "B L D"],
        roles_BL: Int[Tensor, "B L"],
        *,
        over: Over,
        grid: tuple[int, int] | None = None,
    ) -> Float[Tensor, "B W"]:
        """`pool`, of the fields of a `PoolingInput`."""
        return self.pool(PoolingInput(states_BLD, roles_BL, over, grid))


class WeightedPooling(Pooling):
    """A pooling whose vector is exactly a weighted sum of the states: sum over l of weights[l] * states[l]."""

    @abstractmethod
    def weights(self, given: PoolingInput) -> Float[Tensor, "B L"]:
        """How much each token counts, float32 or wider; 0 outside what it reads."""

    def pool(self, given: PoolingInput) -> Float[Tensor, "B W"]:
        weights_BL = self.weights(given)

        def weigh(seen_BLD: Tensor) -> Tensor:
            return torch.einsum("bl,bld->bd", weights_BL.to(seen_BLD.dtype), seen_BLD)

        return ignoring_padding(weigh, widened(given.states_BLD), weights_BL != 0).to(given.states_BLD.dtype)


def kept(pooling: Pooling, roles_BL: Int[Tensor, "B L"], over: Over) -> Bool[Tensor, "B L"]:
    """True for the tokens whose role is in `over`, never for padding. Raises `EmptyRow` for rows without one."""
    roles = sorted(over - {Role.PAD})
    kept_BL = has_role(roles_BL, roles)
    refuse_empty(pooling, kept_BL, " or ".join(role.name for role in roles) or "nothing")
    return kept_BL


def refuse_empty(pooling: Pooling, kept_BL: Bool[Tensor, "B L"], wanted: str) -> None:
    """Raise `EmptyRow` naming the rows without a token, and what `pooling` wanted to read."""
    full_B = kept_BL.any(1)
    if full_B.all():
        return
    rows = (~full_B).nonzero().flatten().tolist()
    shown = ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    raise EmptyRow(
        f"{type(pooling).__name__} reads {wanted} tokens, and row {shown} has none. "
        "Leave out empty inputs, or take a pooling that this model's layout allows."
    )


def widened(states: Tensor) -> Tensor:
    """The same values in at least float32: sums over half-precision numbers overflow and lose digits."""
    return states.to(torch.promote_types(states.dtype, torch.float32))


def ignoring_padding(
    pool: Callable[[Tensor], Tensor], states_BLD: Float[Tensor, "B L D"], kept_BL: Bool[Tensor, "B L"]
) -> Float[Tensor, "B W"]:
    """`pool(states)`, where `pool` gives every token that is not kept the weight 0.

    0 * NaN is NaN, and padding may hold anything. If the result is not finite, set what is not kept to zero and pool
    again; not before, because the copy costs as much as the sum.
    """
    vectors_BW = pool(states_BLD)
    if torch.isfinite(vectors_BW).all():
        return vectors_BW
    return pool(states_BLD.masked_fill(~kept_BL[..., None], 0.0))


def filled(
    states_BLD: Float[Tensor, "B L D"], kept_BL: Bool[Tensor, "B L"], value: float
) -> tuple[Float[Tensor, "B l D"], Bool[Tensor, "B l"]]:
    """Set the states of tokens that are not kept to `value`.

    First drops the columns before and behind all kept tokens; for images that leaves kept tokens only, and nothing is
    copied. Not while a graph is traced, which is for rows of any length: these columns would be those of all of them.
    """
    if torch.jit.is_tracing():
        return states_BLD.masked_fill(~kept_BL[..., None], value), kept_BL
    columns = kept_BL.any(0).nonzero().flatten()
    first, end = int(columns[0]), int(columns[-1]) + 1
    states_BlD, kept_Bl = states_BLD[:, first:end], kept_BL[:, first:end]
    return states_BlD if kept_Bl.all() else states_BlD.masked_fill(~kept_Bl[..., None], value), kept_Bl


def to_front(states_BLD: Float[Tensor, "B L D"], kept_BL: Bool[Tensor, "B L"], places: int) -> Float[Tensor, "B P D"]:
    """The kept tokens of every row, in order, from place 0 on; places that are left over are zero."""
    order_BL = torch.argsort((~kept_BL).to(torch.uint8), dim=1, stable=True)[:, :places]
    front_BPD = states_BLD.gather(1, order_BL[..., None].expand(-1, -1, states_BLD.shape[-1]))
    front_BPD = front_BPD.masked_fill(~kept_BL.gather(1, order_BL)[..., None], 0.0)
    return nn.functional.pad(front_BPD, (0, 0, 0, places))[:, :places]  # a traced graph is for any number of tokens
