"""A layout -> the role of every token of a batch of images."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from classtoken.values import Layout, Role


def at_grid(layout: Layout, grid: tuple[int, int]) -> Layout:
    """The same layout for another patch grid: only the number of patches changes."""
    patches = grid[0] * grid[1]
    runs = tuple((role, patches if role == Role.CONTENT else count) for role, count in layout.runs)
    return replace(layout, runs=runs, grid=grid)


def image_roles(layout: Layout, rows: int, grid: tuple[int, int]) -> Tensor:
    """(rows, L): all images have the same grid."""
    one = torch.tensor([int(role) for role in at_grid(layout, grid).roles()], dtype=torch.long)
    return one.repeat(rows, 1)


def patch_roles(layout: Layout, grids: Sequence[tuple[int, int]], most: int) -> Tensor:
    """(rows, L): every image has its own grid; PAD stands behind its patches, up to `most` of them."""
    roles_BL = image_roles(layout, len(grids), (1, most))
    content = (roles_BL == Role.CONTENT).cumsum(1)
    count = torch.tensor([rows * columns for rows, columns in grids])[:, None]
    return roles_BL.masked_fill((roles_BL == Role.CONTENT) & (content > count), int(Role.PAD))
