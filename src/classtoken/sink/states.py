"""States of all tokens of a record, kept beside its vector: ragged, each with its role, images with their grid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from classtoken.values import Role

#: The columns, behind those of the vectors.
STATES, ROLES, GRID = "tokens", "roles", "grid"
NAMES = (STATES, ROLES, GRID)


@dataclass(frozen=True)
class TokenStates:
    """One record's tokens: `states` (tokens, size) float32 after the final norm, `roles` (tokens,) values of `Role`,
    and the patch grid (rows, columns) of an image, whose patches are the tokens with the role CONTENT, row by row."""

    states: np.ndarray
    roles: np.ndarray
    grid: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.roles)

    def of(self, *roles: Role) -> np.ndarray:
        """The states of these roles, such as `Role.CONTENT` for patches or word pieces: (n, size)."""
        kept: np.ndarray = self.states[np.isin(self.roles, [int(role) for role in roles])]
        return kept


def state_fields(size: int, numbers: pa.DataType) -> list[pa.Field]:
    """The columns of token states in a part's schema."""
    states = pa.list_(pa.list_(numbers, size))
    # Two numbers or none: of a fixed size, a file in which some are none is refused by all readers before Arrow 26.
    grid = pa.list_(pa.int32())
    return [
        pa.field(STATES, states, nullable=False),
        pa.field(ROLES, pa.list_(pa.uint8()), nullable=False),
        pa.field(GRID, grid),
    ]


def to_arrays(states: Sequence[TokenStates], fields: Sequence[pa.Field]) -> Iterator[pa.Array]:
    """Token states as those columns."""
    lengths = [len(one) for one in states]
    offsets = pa.array(np.cumsum([0, *lengths]), pa.int32())
    each = fields[0].type.value_type
    kind, size = each.value_type.to_pandas_dtype(), each.list_size
    whole = np.concatenate([np.zeros((0, size), kind), *(one.states.astype(kind, copy=False) for one in states)])
    flat = pa.FixedSizeListArray.from_arrays(pa.array(whole.reshape(-1)), type=each)
    yield pa.ListArray.from_arrays(offsets, flat, type=fields[0].type)
    roles = np.concatenate([np.zeros(0, np.uint8), *(one.roles.astype(np.uint8) for one in states)])
    yield pa.ListArray.from_arrays(offsets, pa.array(roles), type=fields[1].type)
    yield pa.array([None if one.grid is None else list(one.grid) for one in states], fields[2].type)


def from_table(table: pa.Table) -> list[TokenStates]:
    """Token states out of those columns."""
    states, roles = (table.column(name).combine_chunks() for name in (STATES, ROLES))
    ends = np.cumsum([0, *pc.list_value_length(roles).to_pylist()])
    flat = states.flatten()
    whole = flat.flatten().to_numpy(zero_copy_only=False).reshape(-1, flat.type.list_size)
    kinds = roles.flatten().to_numpy(zero_copy_only=False)
    grids = table.column(GRID).to_pylist()
    return [
        TokenStates(
            whole[begin:end].astype(np.float32, copy=False), kinds[begin:end], None if grid is None else tuple(grid)
        )
        for begin, end, grid in zip(ends[:-1], ends[1:], grids, strict=True)
    ]


def together(states: Sequence[TokenStates | None]) -> np.ndarray:
    """Several records' tokens as an array of objects, so that it is joined and put in order as vectors are."""
    found = np.empty(len(states), object)
    found[:] = states
    return found
