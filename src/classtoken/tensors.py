"""What the stages share, with torch; and the legend of the letters in tensor names.

    B rows (inputs of a batch)     L tokens of a row      D hidden size     H heads     K head size
    F feed-forward size            N layers (blocks)      P patches         V vocabulary     C classes
    T tokens of a packed batch (all rows one after another, no padding)

`weights_BHLL` is a tensor of shape (B, H, L, L): query before key. Blocks count from 0; "after block k" is the residual
stream when block k is done, before the final norm.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from classtoken.values import Role

LOG = logging.getLogger("classtoken")


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch computes in this thread alone: for small tensors, which several threads take no quicker,
    and on a busy machine many times as long, because each waits in every product for the one that is not at work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def multiplies_bf16(device: str) -> bool:
    """Whether a device multiplies bf16 numbers with instructions of its own.

    A processor that does not (AVX2 alone) takes many times as long as for fp32, so what is asked for in bf16 is
    computed there in fp32, which holds every bf16 number.
    """
    found = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return torch.device(device).type != "cpu" or found is None or bool(found())


@cache
def say_no_bf16() -> None:
    """Say once that what was asked for in bf16 is computed in fp32."""
    LOG.warning("this processor does not multiply bf16 numbers: computing in fp32, which is far quicker here.")


#: Activation functions by name, everywhere in the package.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),  # the constant of CLIP (Radford et al. 2021)
    "silu": F.silu,
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}


@dataclass(frozen=True)
class Tokens:
    """A padded batch on its way into the encoder: ids or pixels, and the role of every token.

    `roles_BL` holds `Role` values; PAD marks padding, on either side. Texts have `ids_BL`; images have `pixels`, either
    (B, channels, height, width) or already cut into patches (B, P, patch * patch * channels) with `grids` naming each
    row's patch grid (SigLIP 2). `grid` is the patch grid that all rows share. `cut` counts, per row, the tokens that
    did not fit into the model; of a long text whose end was not read, those that were.
    """

    roles_BL: Int[Tensor, "B L"]
    ids_BL: Int[Tensor, "B L"] | None = None
    pixels: Tensor | None = None
    grid: tuple[int, int] | None = None
    grids: tuple[tuple[int, int], ...] | None = None
    cut: tuple[int, ...] = ()

    @property
    def mask_BL(self) -> Tensor:
        """True where there is a token, False for padding."""
        return self.roles_BL != Role.PAD

    def __len__(self) -> int:
        return self.roles_BL.shape[0]

    def row(self, number: int) -> "Tokens":
        """One row as a batch of its own, without padding that no grid needs."""
        here = slice(number, number + 1)
        kept = self.mask_BL[number] if self.pixels is None else slice(None)
        return Tokens(
            self.roles_BL[here, kept],
            None if self.ids_BL is None else self.ids_BL[here, kept],
            None if self.pixels is None else self.pixels[here],
            self.grid,
            None if self.grids is None else self.grids[here],
            self.cut[here],
        )

    def unpadded(self, number: int) -> "Tokens":
        """One row as a batch of its own, without any padding; `grid` is the one of its picture."""
        here = slice(number, number + 1)
        kept = self.mask_BL[number]
        pixels = None if self.pixels is None else self.pixels[here]
        grid = self.grid
        if pixels is not None and self.grids is not None:
            grid = self.grids[number]
            pixels = pixels[:, : grid[0] * grid[1]]
        return Tokens(
            self.roles_BL[here, kept],
            None if self.ids_BL is None else self.ids_BL[here, kept],
            pixels,
            grid,
            None if self.grids is None else self.grids[here],
            self.cut[here],
        )

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Tokens":
        """The same batch on another device; `dtype` is for pixels."""
        move = None if self.ids_BL is None else self.ids_BL.to(device)
        pixels = None if self.pixels is None else self.pixels.to(device, dtype)
        return Tokens(self.roles_BL.to(device), move, pixels, self.grid, self.grids, self.cut)


@dataclass(frozen=True)
class States:
    """What the encoder gives back: one state per token.

    `last_BLD` is after the final norm. `layers[k]` is after block k without the final norm, `layers[-1]` after the last
    block without it, and `layers["embeddings"]` what went into block 0; only what was asked for is kept. Rows that were
    not computed (see `Encoder.forward(rows=...)`) are absent: `roles_BL` always describes `last_BLD`. `pooled_BD` is
    the pooled output that a foreign model computes itself.
    """

    last_BLD: Float[Tensor, "B L D"]
    roles_BL: Int[Tensor, "B L"]
    grid: tuple[int, int] | None = None
    layers: Mapping[int | str, Tensor] = field(default_factory=dict)
    final_norm: torch.nn.Module | None = None
    pooled_BD: Float[Tensor, "B D"] | None = None


@runtime_checkable
class Trace(Protocol):
    """Called with every internal value by name; keeps it, or returns another one to go on with.

    Names: `embeddings`, then per block `blocks.i.scores`, `.weights`, `.values`, `.heads` (what each head adds, after
    the output projection), `.attention`, `.feedforward`, `.states`; then `final`. Where attention is written out,
    `.queries` and `.keys` (normalised and rotated) pass by too. `wants(name)` lets a model skip work
    that nobody looks at, and keep the fused attention kernel where no score or weight is asked for.
    """

    def wants(self, name: str) -> bool: ...

    def __call__(self, name: str, value: Tensor) -> Tensor: ...


class Recorder:
    """A trace that keeps the values whose names were asked for, detached unless `gradients`."""

    def __init__(self, names: Sequence[str], *, gradients: bool = False):
        self.names = frozenset(names)
        self.gradients = gradients
        self.kept: dict[str, Tensor] = {}

    def wants(self, name: str) -> bool:
        return name in self.names

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if name in self.names:
            self.kept[name] = value if self.gradients else value.detach()
        return value


def names_of_trace(depth: int) -> tuple[str, ...]:
    """Every trace name of a model with `depth` blocks, in the order in which they are computed."""
    parts = ("scores", "weights", "values", "heads", "attention", "feedforward", "states")
    return ("embeddings", *(f"blocks.{i}.{part}" for i in range(depth) for part in parts), "final")


def halved(tensor: Tensor) -> Tensor:
    """A tensor of numbers in 16 bits; as it is where it holds none, or one that 16 bits do not reach (65,504)."""
    half = tensor.half() if tensor.is_floating_point() else tensor
    return half if bool((half.isfinite() == tensor.isfinite()).all()) else tensor


def has_role(roles_BL: Int[Tensor, "B L"], wanted: Iterable[Role]) -> Bool[Tensor, "B L"]:
    """True for the tokens that have one of these roles. As `torch.isin`, which has no counterpart in ONNX."""
    roles = torch.tensor(sorted(wanted), dtype=roles_BL.dtype, device=roles_BL.device)
    return (roles_BL[..., None] == roles).any(-1)


def tensor_hash(tensor: Tensor) -> str:
    """A hash of a tensor's shape and its numbers, floating ones as 32-bit numbers."""
    tensor = tensor.detach()
    tensor = (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous()
    digest = blake2b(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), digest_size=16)
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # outside Python's lock, so threads help
    return digest.hexdigest()
