"""How positions enter: rotary angles, relative buckets and tables, sinusoids, learned grids brought to another size."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from classtoken.encoder.shape import CountedGrid, Resize


def rotate(x_BHLK: Float[Tensor, "B H L K"], angles_BLK: Float[Tensor, "b L K"]) -> Float[Tensor, "B H L K"]:
    """Turn query or key heads by their angles: x cos + (-second half, first half) sin (RoFormer, Su et al. 2021)."""
    first, second = x_BHLK.chunk(2, dim=-1)
    angles = angles_BLK[:, None]
    return x_BHLK * angles.cos().to(x_BHLK.dtype) + torch.cat((-second, first), dim=-1) * angles.sin().to(x_BHLK.dtype)


def halves(x_BHLK: Float[Tensor, "B H L K"]) -> Float[Tensor, "B H L K"]:
    """Heads whose neighbouring numbers belong together, in the order that `rotate` takes: the first of each, then the
    second."""
    return x_BHLK.unflatten(-1, (-1, 2)).transpose(-2, -1).flatten(-2)


def text_angles(order_BL: Int[Tensor, "b L"], head_size: int, base: float) -> Float[Tensor, "b L K"]:
    """Angles n * base**(-2j/K) for the n-th token of a row, each twice, in float32."""
    exponent = torch.arange(0, head_size, 2, device=order_BL.device, dtype=torch.float32) / head_size
    return (order_BL[..., None].float() * base**-exponent).repeat(1, 1, 2)


def every_pair(down: Tensor, across: Tensor) -> Tensor:
    """Each value of the one with each of the other, row by row. As `torch.cartesian_prod`, which no ONNX graph has."""
    return torch.stack((down[:, None].expand(-1, len(across)), across.expand(len(down), -1)), -1).flatten(0, 1)


def grid_angles(grid: tuple[int, int], head_size: int, base: float, device: torch.device) -> Float[Tensor, "P K"]:
    """Angles of patches from their centres in [-1, 1] x [-1, 1] (DINOv3, `DINOv3ViTRopePositionEmbedding`)."""
    frequency = base ** -torch.arange(0, 1, 4 / head_size, device=device, dtype=torch.float32)
    centres = [(torch.arange(n, device=device, dtype=torch.float32) + 0.5) / n * 2 - 1 for n in grid]
    coordinates_P2 = every_pair(*centres)
    return (2 * math.pi * coordinates_P2[:, :, None] * frequency).flatten(1).repeat(1, 2)


def counted_angles(
    grid: tuple[int, int], head_size: int, base: float, counted: CountedGrid, device: torch.device
) -> Float[Tensor, "P K"]:
    """Angles of patches by their row and column, counted and stretched to a reference grid (EVA02, Fang et al. 2023;
    timm's `RotaryEmbeddingCat`)."""
    frequency = base ** -torch.arange(0, 1, 4 / head_size, device=device, dtype=torch.float32)
    axes = [
        (torch.arange(n, device=device, dtype=torch.float32) + counted.offset) / n * reference
        for n, reference in zip(grid, counted.reference, strict=True)
    ]
    coordinates_P2 = every_pair(*axes)
    if counted.columns_first:
        coordinates_P2 = coordinates_P2.flip(1)
    return (coordinates_P2[:, :, None] * frequency).flatten(1).repeat(1, 2)


def bucket(distance: Int[Tensor, "..."], buckets: int, reach: int) -> Int[Tensor, "..."]:
    """T5's relative position buckets for key - query distances.

    One half of the buckets per direction; of each, half exact and half logarithmic up to `reach` (Raffel et al. 2020;
    `T5Attention._relative_position_bucket`, also used by MPNet).
    """
    half = buckets // 2
    side = (distance > 0).long() * half
    exact, far = half // 2, distance.abs()
    log = exact + (torch.log(far.clamp(min=1).float() / exact) / math.log(reach / exact) * (half - exact)).long()
    return side + torch.where(far < exact, far, log.clamp(max=half - 1))


def table_index(grid: tuple[int, int], device: torch.device) -> Int[Tensor, "L L"]:
    """BEiT's index of (query, key) into the relative position table of a grid with one class token before it.

    (2h-1)(2w-1) entries for patch pairs, then three: class to patch, patch to class, class to itself
    (Bao et al. 2021; `BeitRelativePositionBias`).
    """
    h, w = grid
    distances = (2 * h - 1) * (2 * w - 1)
    cells = every_pair(torch.arange(h, device=device), torch.arange(w, device=device))
    relative = cells[:, None, :] - cells[None, :, :] + torch.tensor([h - 1, w - 1], device=device)
    index = torch.empty((h * w + 1, h * w + 1), dtype=torch.long, device=device)
    index[1:, 1:] = relative[..., 0] * (2 * w - 1) + relative[..., 1]
    index[0, :], index[:, 0], index[0, 0] = distances, distances + 1, distances + 2
    return index


def resize_table(table_TH: Float[Tensor, "T H"], old: tuple[int, int], new: tuple[int, int]) -> Float[Tensor, "S H"]:
    """A relative position table of one patch grid, interpolated to another (bilinear); its last three entries stay.

    What `BeitRelativePositionBias.forward` does for images of another size (MiDaS 3.1, Birkl et al. 2023).
    """
    if old == new:
        return table_TH
    plane = table_TH[:-3].transpose(0, 1).reshape(1, -1, 2 * old[0] - 1, 2 * old[1] - 1)
    resized = F.interpolate(plane, size=(2 * new[0] - 1, 2 * new[1] - 1), mode="bilinear", align_corners=False)
    return torch.cat((resized.flatten(2)[0].transpose(0, 1), table_TH[-3:]))


def sinusoids(positions: int, size: int, *, interleaved: bool = True) -> Float[Tensor, "L D"]:
    """Fixed positions: sin and cos of n / 10000**(2j/D) (Vaswani et al. 2017), interleaved or one after the other."""
    angle = torch.arange(positions, dtype=torch.float64)[:, None] / 10000 ** (
        torch.arange(0, size, 2, dtype=torch.float64) / size
    )
    if interleaved:
        return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :size].float()
    return torch.cat((angle.sin(), angle.cos()), dim=-1)[:, :size].float()


def grid_sinusoids(grid: tuple[int, int], size: int) -> Float[Tensor, "P D"]:
    """Fixed positions of patches: half of the channels for the column, half for the row (MAE, He et al. 2021)."""
    rows = sinusoids(grid[0], size // 2, interleaved=False)[:, None].expand(-1, grid[1], -1)
    columns = sinusoids(grid[1], size // 2, interleaved=False)[None].expand(grid[0], -1, -1)
    return torch.cat((columns, rows), dim=-1).flatten(0, 1)


def resize_grid(
    positions_PD: Float[Tensor, "P D"], old: tuple[int, int], new: tuple[int, int], how: Resize
) -> Float[Tensor, "Q D"]:
    """Learned positions of one patch grid, interpolated to another; the same tensor when nothing changes."""
    if old == new:
        return positions_PD
    mode, _, antialias = how.partition("_")
    plane = positions_PD.float().mT.reshape(1, -1, *old)
    plane = F.interpolate(plane, size=new, mode=mode, align_corners=False, antialias=bool(antialias))
    return plane.flatten(2)[0].mT.to(positions_PD.dtype)
