"""From word pieces or pixels to the first states, class tokens and registers included."""

import copy
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from classtoken.encoder.parts import make_norm
from classtoken.encoder.position import grid_sinusoids, resize_grid, sinusoids
from classtoken.encoder.shape import ImageStem, Shape, TextStem
from classtoken.errors import ModelError
from classtoken.values import Role


class TextEmbedding(nn.Module):
    """token + kind + position, then the norm, then (ALBERT, ELECTRA) a projection to D."""

    def __init__(self, shape: Shape):
        super().__init__()
        stem = shape.stem
        assert isinstance(stem, TextStem)
        size = stem.embedding_size or shape.hidden_size
        self.offset = stem.position_offset
        self.token = nn.Embedding(stem.vocabulary, size)
        self.position = nn.Embedding(stem.positions, size) if stem.positions else None
        if self.position is not None and stem.sinusoidal:
            self.position.weight = nn.Parameter(sinusoids(stem.positions, size), requires_grad=False)
        self.kind = nn.Embedding(stem.kinds, size) if stem.kinds else None
        self.norm = make_norm(shape.block, size) if stem.norm else nn.Identity()
        self.project = nn.Linear(size, shape.hidden_size) if stem.embedding_size else nn.Identity()
        self.dropout = nn.Dropout(0.0)

    def forward(self, ids: Int[Tensor, "*b"], order: Int[Tensor, "*b"]) -> Float[Tensor, "*b D"]:
        """First states of tokens, `order` being each one's place among the tokens of its row."""
        return self.dropout(self.project(self.norm(self.summed(ids, order))))

    def summed(self, ids: Int[Tensor, "*b"], order: Int[Tensor, "*b"]) -> Float[Tensor, "*b E"]:
        """token + kind + position, before the norm."""
        x = self.token(ids)
        if self.kind is not None:
            x = x + self.kind.weight[0]
        if self.position is not None:
            room = self.position.num_embeddings - self.offset
            longest = int(order.max()) + 1 if order.numel() else 0
            if longest > room:
                raise ModelError(
                    f"a text of {longest} tokens does not fit: this model has positions for {room}. Cut it."
                )
            x = x + self.position(self._places(ids, order))
        return x

    def _places(self, ids: Int[Tensor, "*b"], order: Int[Tensor, "*b"]) -> Int[Tensor, "*b"]:
        """Rows of the table. Where counting begins behind the padding's place, the id of that place is never counted,
        not even where a text spells it (`create_position_ids_from_input_ids` of RoBERTa and MPNet)."""
        if not self.offset:
            return order
        padding = ids == self.offset - 1
        before = padding.long().cumsum(-1) - padding.long()  # an ONNX graph sums no truth values
        begins = (torch.arange(ids.shape[-1], device=ids.device) - order).clamp(min=0)
        counted = order - (before - before.gather(-1, begins)) + self.offset
        return torch.where(padding, self.offset - 1, counted).clamp(min=0)

    def positions_of(self, order: Int[Tensor, "*b"]) -> Float[Tensor, "*b E"] | None:
        """The position vectors that `summed` adds; None where positions come in elsewhere."""
        return None if self.position is None else self.position(order + self.offset)


class ConvolutionalStem(nn.Sequential):
    """3x3 convolutions before the patches are taken (Xiao et al. 2021): gelu(norm(pool(convolve(x)))) per step.

    A step's stride is that of its pooling: the largest value of stride x stride pixels goes on, which a short training
    learns from faster than from a convolution that skips pixels.
    """

    def __init__(self, channels: int, convolutions: tuple[tuple[int, int], ...]):
        layers: list[nn.Module] = []
        for out, stride in convolutions:
            layers.append(nn.Conv2d(channels, out, 3, padding=1, bias=False))
            if stride > 1:
                layers.append(nn.MaxPool2d(stride))
            layers += [nn.BatchNorm2d(out), nn.GELU()]
            channels = out
        super().__init__(*layers)
        self.channels = channels


class ImageEmbedding(nn.Module):
    """Patches, the learned tokens beside them, and positions for the roles that have one.

    `position` holds one row per positioned token: class tokens, distillation tokens, registers, then the patches row by
    row, whatever the order in the sequence is; so a class token keeps its position when it stands last.
    """

    def __init__(self, shape: Shape):
        super().__init__()
        stem = shape.stem
        assert isinstance(stem, ImageStem)
        size = shape.hidden_size
        self.shape = stem
        self.convolutions, channels, patch = None, stem.channels, stem.patch
        if stem.convolutions:
            self.convolutions = ConvolutionalStem(channels, stem.convolutions)
            channels = self.convolutions.channels
            for _, stride in stem.convolutions:
                patch //= stride
        if stem.cut_patches:
            self.patch: nn.Module = nn.Linear(channels * patch * patch, size, bias=stem.patch_bias)
        else:
            self.patch = nn.Conv2d(channels, size, patch, patch, bias=stem.patch_bias)
        counts = {
            Role.CLASS: stem.class_tokens,
            Role.DISTILLATION: stem.distillation_tokens,
            Role.REGISTER: stem.registers,
        }
        self.class_token = _learned(counts[Role.CLASS], size)
        self.distillation = _learned(counts[Role.DISTILLATION], size)
        self.registers = _learned(counts[Role.REGISTER], size)
        self.prefix = tuple((role, n if role in stem.positioned else 0) for role, n in counts.items())
        n_positions = sum(n for _, n in self.prefix) + stem.grid[0] * stem.grid[1] * (Role.CONTENT in stem.positioned)
        self.position = _learned(n_positions if stem.positions != "none" else 0, size)
        if self.position is not None and stem.positions == "sinusoidal":
            self.position.requires_grad_(False)
            with torch.no_grad():
                self.position[-stem.grid[0] * stem.grid[1] :] = grid_sinusoids(stem.grid, size)
        self.norm = make_norm(shape.block, size) if stem.norm else nn.Identity()
        self.dropout = nn.Dropout(0.0)

    def forward(
        self, pixels: Tensor, grids: tuple[tuple[int, int], ...] | None = None
    ) -> tuple[Float[Tensor, "B L D"], tuple[int, int] | None]:
        """First states, and the patch grid when all rows share one."""
        x, grid = self.summed(pixels, grids)
        return self.dropout(self.norm(x)), grid

    def summed(
        self, pixels: Tensor, grids: tuple[tuple[int, int], ...] | None = None
    ) -> tuple[Float[Tensor, "B L D"], tuple[int, int] | None]:
        """Patches and learned tokens with their positions, before the norm, and the patch grid."""
        if self.shape.cut_patches:
            patches_BPD, grid = self.patch(pixels), None
            grids = grids or (self.shape.grid,) * len(pixels)
        else:
            self._check(pixels)
            plane = self.patch(pixels if self.convolutions is None else self.convolutions(pixels))
            patches_BPD, grid = plane.flatten(2).transpose(1, 2), (plane.shape[2], plane.shape[3])
            grids = (grid,) * len(pixels)
        special, start = self._special(), sum(n for _, n in self.prefix)
        if self.position is not None and Role.CONTENT in self.shape.positioned:
            patches_BPD = patches_BPD + self._patch_positions(self.position[start:], grids, patches_BPD.shape[1])
        read_out = [special[role] for role in (Role.CLASS, Role.DISTILLATION) if role in special]
        scratch = [special[Role.REGISTER]] if Role.REGISTER in special else []
        before, behind = (scratch, read_out) if self.shape.class_last else ([*read_out, *scratch], [])
        rows = pixels.shape[0]
        pieces = [*(t.expand(rows, -1, -1) for t in before), patches_BPD, *(t.expand(rows, -1, -1) for t in behind)]
        return torch.cat(pieces, dim=1), grid

    @torch.no_grad()
    def at_grid(self, grid: tuple[int, int]) -> "ImageEmbedding":
        """The same for images of another patch grid: its positions are brought there once, and not for every batch."""
        native, other = self.shape.grid, copy.copy(self)
        if self.position is None or Role.CONTENT not in self.shape.positioned or grid == native:
            return self
        start = sum(n for _, n in self.prefix)
        resized = resize_grid(self.position[start:], native, grid, self.shape.resize)
        positions = torch.cat((self.position[:start], resized))
        other._parameters = {**self._parameters, "position": nn.Parameter(positions, requires_grad=False)}
        other.shape = replace(self.shape, image=(grid[0] * self.shape.patch, grid[1] * self.shape.patch))
        return other

    def positions_of(self, roles_L: Tensor, grid: tuple[int, int] | None) -> Float[Tensor, "L D"] | None:
        """The position vectors that `summed` adds to one row, zeros for roles without; None where there are none."""
        if self.position is None:
            return None
        start, found = 0, torch.zeros(len(roles_L), self.position.shape[-1], device=roles_L.device)
        for role, count in self.prefix:
            if count:
                found[roles_L == role] = self.position[start : start + count]
            start += count
        content = roles_L == Role.CONTENT
        if Role.CONTENT in self.shape.positioned and grid is not None:
            found[content] = self._patch_positions(self.position[start:], (grid,), int(content.sum()))
        return found

    def _special(self) -> dict[Role, Tensor]:
        """The learned tokens by role, their positions added; the same for every input."""
        tokens = {Role.CLASS: self.class_token, Role.DISTILLATION: self.distillation, Role.REGISTER: self.registers}
        special: dict[Role, Tensor] = {}
        start = 0
        for role, n in self.prefix:
            token = tokens[role]
            if token is not None:
                if n and self.position is not None:
                    special[role] = token + self.position[start : start + n]
                else:
                    special[role] = token
            start += n
        return special

    def _check(self, pixels: Tensor) -> None:
        channels, height, width = pixels.shape[1:]
        if channels != self.shape.channels:
            raise ModelError(f"images have {channels} channels, this model reads {self.shape.channels}.")
        # A rest of less than a patch is not looked at, as in the reference.
        if min(height, width) < self.shape.patch:
            raise ModelError(
                f"an image of {height}x{width} pixels is less than one patch of {self.shape.patch}x{self.shape.patch}. "
                "Give larger ones."
            )

    def _patch_positions(self, positions_PD: Tensor, grids: tuple[tuple[int, int], ...], length: int) -> Tensor:
        native, how = self.shape.grid, self.shape.resize
        if len(set(grids)) == 1 and grids[0][0] * grids[0][1] == length:
            return resize_grid(positions_PD, native, grids[0], how)
        rows = []
        for grid in grids:
            row = resize_grid(positions_PD, native, grid, how)
            rest = row[:1].expand(length - len(row), -1)  # padding: its states are never read
            rows.append(torch.cat((row, rest)))
        return torch.stack(rows)


def _learned(count: int, size: int) -> nn.Parameter | None:
    return nn.Parameter(torch.zeros(count, size)) if count else None
