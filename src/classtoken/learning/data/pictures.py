"""Pictures for training: decoded once, kept as bytes, augmented batch by batch."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from classtoken.learning.data.augment import augmented, mix
from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.recipe import AugmentOptions
from classtoken.tensors import Tokens
from classtoken.values import Layout


@dataclass(frozen=True)
class Pictures:
    """Pictures (N, 3, height, width) as bytes with their targets, cut for one encoder.

    `targets` is (N,) of whole numbers, (N, C) of 0 and 1 for several labels, or None. Everything lies on one device.
    """

    pixels: Tensor
    targets: Tensor | None
    layout: Layout
    mean: tuple[float, ...]
    std: tuple[float, ...]
    options: AugmentOptions
    classes: int = 0
    size: tuple[int, int] | None = None
    """height and width that the encoder reads, where pictures are kept at another size"""

    def __len__(self) -> int:
        return len(self.pixels)

    def train(self, rows: Tensor, generator: Generator) -> TrainingBatch:
        """These rows, augmented."""
        at = rows.to(self.pixels.device)
        x = self.numbers(augmented(self.pixels[at], self.options, generator))
        targets = None if self.targets is None else self.targets[at]
        if targets is not None and (self.options.mixup or self.options.cutmix):
            spread = F.one_hot(targets, self.classes).float() if targets.dim() == 1 else targets
            x, targets = mix(x, spread, self.options.mixup, self.options.cutmix, generator)
        return TrainingBatch((self.tokens(self.enlarged(x)),), targets, rows)

    def plain(self, rows: Tensor) -> TrainingBatch:
        """These rows as they are."""
        at = rows.to(self.pixels.device)
        targets = None if self.targets is None else self.targets[at]
        return TrainingBatch((self.tokens(self.enlarged(self.numbers(self.pixels[at]))),), targets, rows)

    def numbers(self, pictures: Tensor) -> Tensor:
        """(x / 255 - mean) / std, channels last in memory: the faster layout for convolutions."""
        mean, std = (torch.tensor(v, device=pictures.device).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return ((pictures.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    def enlarged(self, x: Tensor) -> Tensor:
        """Brought to the size that the encoder reads, where that is another one: bicubic, as Pillow does it."""
        if self.size is None or tuple(x.shape[2:]) == self.size:
            return x
        x = F.interpolate(x, size=self.size, mode="bicubic", antialias=True)
        return x.contiguous(memory_format=torch.channels_last)

    def tokens(self, x: Tensor, layout: Layout | None = None) -> Tokens:
        """A batch for the encoder: pixels and roles."""
        layout = layout or self.layout
        roles = torch.tensor([int(role) for role in layout.roles()], device=x.device)
        return Tokens(roles.expand(len(x), -1), pixels=x, grid=layout.grid)
