"""One side of a model as a module of plain tensors: what goes in are ids and a mask, or pixels; what comes out are the
states of every token and the contract's vector.

The rules by which a preprocessor gives tokens their roles are computed in the graph, from the mask alone, so that
padding on either side is right and nobody who runs it has to know of roles.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from classtoken.embedder import Tower
from classtoken.encoder.protocol import is_proved, is_stepwise
from classtoken.encoder.stem import ImageEmbedding
from classtoken.errors import ContractError
from classtoken.readout.readout import Readout
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.roles import image_roles
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Role


class TextGraph(nn.Module):
    """input_ids (B, L), attention_mask (B, L) -> last_hidden_state (B, L, D), vector (B, d).

    The model's own prompt, where it has one, is part of the ids; its tokens are counted from the start of the text.
    """

    inputs = ("input_ids", "attention_mask")

    def __init__(self, tower: Tower, readout: Readout):
        super().__init__()
        prepare = tower.prepare
        assert isinstance(prepare, TextPreprocessor)
        if not is_proved(tower.reading.encoder):
            raise ContractError(
                "texts go through this model one length at a time, since it may mix padding in, and no graph does "
                "that; it is not exported."
            )
        self.encoder, self.readout = _module(tower), readout
        self.over = prepare.pooled_roles(None)
        self.leading, self.trailing = ([int(role) for role in some] for some in (prepare.leading, prepare.trailing))
        before = prepare.prompt_text(None)
        self.prompted = len(prepare.encode([""], prompt=before)[0]) - len(self.trailing) if before else 0
        self.end, self.end_id = prepare.recipe.end, prepare.recipe.end_id
        self.attend_pads = prepare.recipe.pads_attended

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        roles_BL = self.roles(input_ids, attention_mask)
        states = self.encoder(Tokens(roles_BL=roles_BL, ids_BL=input_ids), layers=self.readout.layers)
        return states.last_BLD, self.readout(states, over=self.over)

    def roles(self, ids: Tensor, mask: Tensor) -> Tensor:
        """What `TextPreprocessor` gives each token."""
        there = mask != 0
        place = there.long().cumsum(1) - 1
        left = there.long().sum(1, keepdim=True) - 1 - place
        roles = torch.full_like(ids, int(Role.CONTENT))
        for number, role in enumerate(self.leading):
            roles = torch.where(place == number, torch.full_like(roles, role), roles)
        if self.prompted:
            prompt = (place < self.prompted) & (roles == int(Role.CONTENT))
            roles = torch.where(prompt, torch.full_like(roles, int(Role.PROMPT)), roles)
        end = torch.full_like(roles, int(Role.END))
        for number, role in enumerate(reversed(self.trailing)):
            roles = torch.where(left == number, torch.full_like(roles, role), roles)
        if self.end != "template":
            known = torch.where(there, ids, torch.full_like(ids, -1))
            wanted = (
                known.amax(1, keepdim=True) if self.end == "highest" else torch.full_like(ids[:, :1], self.end_id or 0)
            )
            found = known == wanted
            first = found & (found.long().cumsum(1) == 1)
            some = found.any(1, keepdim=True)
            roles = torch.where(some & (roles == int(Role.END)), torch.full_like(roles, int(Role.CONTENT)), roles)
            roles = torch.where(first, end, roles)
        nothing = Role.CONTENT if self.attend_pads else Role.PAD
        return torch.where(there, roles, torch.full_like(roles, int(nothing)))


class ImageGraph(nn.Module):
    """pixel_values (B, 3, height, width), prepared -> last_hidden_state (B, L, D), vector (B, d)."""

    inputs = ("pixel_values",)

    def __init__(self, tower: Tower, readout: Readout):
        super().__init__()
        prepare = tower.prepare
        assert isinstance(prepare, ImagePreprocessor)
        size = prepare.recipe.output
        if size is None or prepare.recipe.resize == "patches":
            raise ContractError(
                "images of this model have no one size, so its graph would have none; it is not exported."
            )
        self.grid = prepare.grid_of(size)
        self.encoder, self.readout = _at_grid(_module(tower), self.grid), readout
        self.register_buffer("roles_L", image_roles(prepare.native_layout, 1, self.grid)[0], persistent=False)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(self.roles_L, Tensor)
        roles_BL = self.roles_L[None].expand(pixel_values.shape[0], -1)
        tokens = Tokens(roles_BL=roles_BL, pixels=pixel_values, grid=self.grid)
        states = self.encoder(tokens, layers=self.readout.layers)
        return states.last_BLD, self.readout(states)


def graph_of(tower: Tower, readout: Readout) -> TextGraph | ImageGraph:
    """The module of one side of a model. Raises `ContractError` for one whose images have no one size, or whose texts
    cannot be computed padded."""
    return (TextGraph if tower.modality == "text" else ImageGraph)(tower, readout)


def _at_grid(encoder: Any, grid: tuple[int, int]) -> Any:
    """The same encoder with its positions at the grid that it is always given: graphs do not interpolate as torch does
    (DINOv2 has those of 518 pixels a side, and its images have 224)."""
    if not is_stepwise(encoder) or not isinstance(encoder.stem, ImageEmbedding):
        return encoder
    other = copy.copy(encoder)
    other._modules = {**encoder._modules, "stem": encoder.stem.at_grid(grid)}
    return other


def _module(tower: Tower) -> Any:
    return tower.reading.encoder
