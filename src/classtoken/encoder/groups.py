"""Which tokens attend to which: a batch as groups of rows of equal length.

A padded batch is ONE group whose mask hides the padding. A packed batch has no padding at all: its rows stand one after
another in a flat (T, D) matrix, sorted by length, and rows of equal length form a group. Everything but the attention
itself is done on the whole matrix at once; the attention goes group by group.

Behind the rows a packed matrix is filled up to one of a few sizes (`whole`). oneDNN makes code for every size that it
meets and keeps a thousand of them, half a megabyte each: sizes as they come cost more memory the longer a run goes on.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from classtoken.values import Role

#: Sizes are whole multiples of this, and of a part of the next power of two.
STEP, PARTS = 4, 32


def whole(size: int) -> int:
    """The smallest of a few sizes that is not below `size`: at most 1/16 more of it, and none more than 3 if small."""
    step = max(STEP, (1 << max(0, size - 1).bit_length()) // PARTS)
    return -(-size // step) * step


@dataclass
class Group:
    """Rows of equal length. `order_BL` counts the tokens of a row from 0, whatever the side of the padding.

    `masks` holds the attention masks that were asked for, by (causal, window).
    """

    rows: int
    length: int
    order_BL: Int[Tensor, "b L"]
    roles_BL: Int[Tensor, "B L"]
    mask_BL: Bool[Tensor, "B L"] | None = None
    masks: dict[tuple[bool, int], Tensor | None] = field(default_factory=dict)

    def distance(self) -> Int[Tensor, "b L L"]:
        """Key position minus query position."""
        return self.order_BL[:, None, :] - self.order_BL[:, :, None]

    def attention_mask(self, causal: bool, window: int) -> Bool[Tensor, "b 1 L L"] | None:
        """True where a query may attend to a key; None if unmasked.

        A token always attends to itself, so that a padding token (whose state is never read) gives no NaN.
        """
        key = (causal, window)
        if key not in self.masks:
            self.masks[key] = self._mask(causal, window)
        return self.masks[key]

    def _mask(self, causal: bool, window: int) -> Tensor | None:
        if self.mask_BL is None and not causal and not window:
            return None
        distance = self.distance()
        allowed = torch.ones_like(distance, dtype=torch.bool)
        if causal:
            allowed = allowed & (distance <= 0)
        if window:
            allowed = allowed & (distance.abs() <= window)
        if self.mask_BL is not None:
            allowed = allowed & self.mask_BL[:, None, :]
        place = torch.arange(self.length, device=allowed.device)
        itself = place[:, None] == place
        return (allowed | itself)[:, None]


def filled(x: Tensor) -> Tensor:
    """(n, ...) to (whole(n), ...), zeros behind."""
    more = whole(len(x)) - len(x)
    return torch.cat([x, x.new_zeros((more, *x.shape[1:]))]) if more else x


def order_of(mask_BL: Bool[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """Place of every token among the tokens of its row, from 0; padding before the first token gets 0."""
    return (mask_BL.long().cumsum(1) - 1).clamp(min=0)


def padded_group(roles_BL: Int[Tensor, "B L"]) -> Group:
    """The one group of a padded batch."""
    mask_BL = roles_BL != Role.PAD
    rows, length = roles_BL.shape
    if bool(mask_BL.all()):
        return Group(rows, length, torch.arange(length, device=roles_BL.device)[None], roles_BL)
    return Group(rows, length, order_of(mask_BL), roles_BL, mask_BL)


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a padded batch stand in the packed one: `index_T` into the flattened (B * L).

    Behind them the packed batch is filled up with `filler` tokens, which belong to no row and are read by nothing.
    """

    shape: tuple[int, int]
    index_T: Int[Tensor, " T"]
    groups: tuple[Group, ...]

    @property
    def filler(self) -> int:
        """Tokens behind the rows."""
        return whole(len(self.index_T)) - len(self.index_T)

    def pack(self, padded_BL: Tensor) -> Tensor:
        """(B, L, ...) to (T + filler, ...), without the padding."""
        return filled(padded_BL.flatten(0, 1)[self.index_T])

    def unpack(self, packed_TD: Tensor) -> Tensor:
        """(T + filler, D) to (B, L, D), zeros where the padding was."""
        flat = packed_TD.new_zeros((self.shape[0] * self.shape[1], packed_TD.shape[-1]))
        return flat.index_copy(0, self.index_T, packed_TD[: len(self.index_T)]).view(*self.shape, -1)


def pack_rows(roles_BL: Int[Tensor, "B L"]) -> Packing:
    """Sort rows by length and drop the padding, on whichever side it is."""
    mask_BL = roles_BL != Role.PAD
    length = roles_BL.shape[1]
    counts = mask_BL.sum(1)
    rows = torch.argsort(counts, stable=True)
    first = mask_BL.long().argmax(1)  # the first token of each row
    pieces, groups = [], []
    for n in torch.unique(counts).tolist():
        if n == 0:
            continue
        same = rows[counts[rows] == n]
        within = torch.arange(n, device=roles_BL.device)
        at = (same * length + first[same])[:, None] + within
        pieces.append(at.flatten())
        groups.append(Group(len(same), n, within[None], roles_BL.flatten()[at]))
    empty = torch.empty(0, dtype=torch.long, device=roles_BL.device)
    return Packing((roles_BL.shape[0], length), torch.cat(pieces) if pieces else empty, tuple(groups))
