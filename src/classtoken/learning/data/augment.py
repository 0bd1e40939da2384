"""Augmentations of a batch of pictures, in torch alone: shift, crop, flip, colour, mixing.

Pictures are (B, 3, height, width) bytes until the last step makes them numbers: (x / 255 - mean) / std. All draws come
from the generator that is handed in, on the CPU, so that a step can be repeated.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from classtoken.learning.recipe import AugmentOptions


def uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    """`count` numbers in [low, high)."""
    return low + (high - low) * torch.rand(count, generator=generator)


def shift(pictures: Tensor, pixels: int, generator: Generator) -> Tensor:
    """Every picture moved by up to `pixels` in both directions, its edges mirrored: the CIFAR crop."""
    B, _, height, width = pictures.shape
    padded = F.pad(pictures.float(), (pixels,) * 4, mode="reflect")
    down, right = (torch.randint(0, 2 * pixels + 1, (B, 1), generator=generator) for _ in range(2))
    rows = (down + torch.arange(height)).to(pictures.device)
    columns = (right + torch.arange(width)).to(pictures.device)
    picture = torch.arange(B, device=pictures.device)
    moved = padded[picture[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2).to(pictures.dtype)


def flip(pictures: Tensor, generator: Generator) -> Tensor:
    """Half of the pictures mirrored left to right."""
    mirrored = torch.rand(len(pictures), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None].to(pictures.device), pictures.flip(-1), pictures)


TRIES = 10
"""draws of a crop that does not fit"""


def crop_sides(count: int, area: tuple[float, float], shape: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Height and width of random crops, as parts of a picture whose height is `shape` times its width.

    As torchvision's RandomResizedCrop: one that would stand out of the picture is drawn again, ten times at most, and
    then is the largest one in the middle that is within 3:4 and 4:3.
    """
    part = uniform(count * TRIES, *area, generator).view(count, TRIES)
    ratio = torch.exp(uniform(count * TRIES, math.log(3 / 4), math.log(4 / 3), generator)).view(count, TRIES)
    tall, wide = (part / ratio / shape).sqrt(), (part * ratio * shape).sqrt()
    fits = (tall <= 1) & (wide <= 1)
    first = fits.int().argmax(1, keepdim=True)
    largest = min(1.0, 4 / 3 / shape), min(1.0, 4 / 3 * shape)
    found = [
        torch.where(fits.any(1), side.gather(1, first)[:, 0], torch.full((count,), most))
        for side, most in zip((tall, wide), largest, strict=True)
    ]
    return found[0], found[1]


def resized_crop(pictures: Tensor, area: tuple[float, float], size: tuple[int, int], generator: Generator) -> Tensor:
    """A random part of every picture, brought to `size` (Szegedy et al. 2015): `area` of it, sides within 3:4 and 4:3.

    Bilinear, by one affine grid for the whole batch; see `crop_sides`.
    """
    B = len(pictures)
    tall, wide = crop_sides(B, area, pictures.shape[2] / pictures.shape[3], generator)
    down, right = ((1 - side) * (2 * torch.rand(B, generator=generator) - 1) for side in (tall, wide))
    theta = torch.zeros(B, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2], theta[:, 1, 1], theta[:, 1, 2] = wide, right, tall, down
    grid = F.affine_grid(theta, [B, 3, *size], align_corners=False).to(pictures.device)
    taken = F.grid_sample(pictures.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return taken.round().clamp(0, 255).to(pictures.dtype)


def zoom(pictures: Tensor, scale: tuple[float, float], stretch: float, generator: Generator) -> Tensor:
    """Every picture shown larger or smaller than it is, somewhere in the frame: what a photographer's distance does.

    At a scale s > 1 the frame shows a part of the picture, 1 / s of it each way; at s < 1 the whole picture stands
    somewhere in the frame, its mirror image around it. s is drawn evenly on a logarithmic axis in `scale`, and height
    and width are changed against each other by up to the ratio `stretch`. Bilinear, by one affine grid for the batch;
    scales below 1/2 would leave out pixels.
    """
    B = len(pictures)
    s = torch.exp(uniform(B, math.log(scale[0]), math.log(scale[1]), generator))
    ratio = torch.exp(uniform(B, -math.log(stretch), math.log(stretch), generator) / 2)
    tall, wide = 1 / (s * ratio), ratio / s
    down, right = ((1 - side).abs() * (2 * torch.rand(B, generator=generator) - 1) for side in (tall, wide))
    theta = torch.zeros(B, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2], theta[:, 1, 1], theta[:, 1, 2] = wide, right, tall, down
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False).to(pictures.device)
    seen = F.grid_sample(pictures.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return seen.round().clamp(0, 255).to(pictures.dtype)


def cutout(pictures: Tensor, side: int, generator: Generator) -> Tensor:
    """A grey square of `side` pixels on every picture, its centre anywhere (DeVries & Taylor 2017)."""
    B, _, height, width = pictures.shape
    down = torch.randint(0, height, (B, 1), generator=generator)
    right = torch.randint(0, width, (B, 1), generator=generator)
    rows = (torch.arange(height) - down).abs() * 2 < side
    columns = (torch.arange(width) - right).abs() * 2 < side
    hidden = (rows[:, :, None] & columns[:, None, :])[:, None].to(pictures.device)
    return torch.where(hidden, torch.full_like(pictures, 128), pictures)


# What RandAugment may do, each with a strength in -1..1 per picture; pictures are numbers in 0..1.


def _blend(a: Tensor, b: Tensor, strength: Tensor) -> Tensor:
    return a + (b - a) * strength[:, None, None, None]


def _brightness(x: Tensor, s: Tensor) -> Tensor:
    return _blend(x, torch.zeros_like(x), -0.9 * s)


def _contrast(x: Tensor, s: Tensor) -> Tensor:
    return _blend(x, _grey(x).mean((2, 3), keepdim=True).expand_as(x), -0.9 * s)


def _colour(x: Tensor, s: Tensor) -> Tensor:
    return _blend(x, _grey(x).expand_as(x), -0.9 * s)


def _solarise(x: Tensor, s: Tensor) -> Tensor:
    return torch.where(x > 1 - s.abs()[:, None, None, None], 1 - x, x)


def _posterise(x: Tensor, s: Tensor) -> Tensor:
    levels = (2 ** (8 - (4 * s.abs()).round()))[:, None, None, None]
    return (x * (levels - 1)).round() / (levels - 1)


def _blur(x: Tensor, s: Tensor) -> Tensor:
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return _blend(x, soft, s)  # a negative strength sharpens


def _affine(x: Tensor, theta: Tensor) -> Tensor:
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x - 0.5, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + 0.5


def _identity_theta(s: Tensor) -> Tensor:
    return torch.eye(2, 3, device=s.device).repeat(len(s), 1, 1)


def _rotate(x: Tensor, s: Tensor) -> Tensor:
    theta, angle = _identity_theta(s), s * (math.pi / 6)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 1, 0], theta[:, 1, 1] = angle.cos(), -angle.sin(), angle.sin(), angle.cos()
    return _affine(x, theta)


def _entry(row: int, column: int, most: float):  # type: ignore[no-untyped-def]
    def operation(x: Tensor, s: Tensor) -> Tensor:
        theta = _identity_theta(s)
        theta[:, row, column] += most * s
        return _affine(x, theta)

    return operation


OPERATIONS = {
    "identity": lambda x, s: x,
    "brightness": _brightness,
    "contrast": _contrast,
    "colour": _colour,
    "solarise": _solarise,
    "posterise": _posterise,
    "sharpness": _blur,
    "rotate": _rotate,
    "shear_x": _entry(0, 1, 0.3),
    "shear_y": _entry(1, 0, 0.3),
    "move_x": _entry(0, 2, 0.6),
    "move_y": _entry(1, 2, 0.6),
}


def _grey(x: Tensor) -> Tensor:
    """Luma of ITU-R BT.601."""
    return (x * torch.tensor([0.299, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


def randaugment(pictures: Tensor, count: int, magnitude: float, generator: Generator) -> Tensor:
    """`count` operations drawn for every picture, each with a strength of up to `magnitude` (Cubuk et al. 2020).

    Ours differ from the paper's: strengths are drawn evenly from -magnitude..magnitude and not one for all; `sharpness`
    blurs only; equalisation and automatic contrast are not among them.
    """
    x = pictures.float() / 255
    for _ in range(count):
        chosen = torch.randint(0, len(OPERATIONS), (len(x),), generator=generator)
        strength = uniform(len(x), -magnitude, magnitude, generator).to(x.device)
        out = x.clone()
        for i, operation in enumerate(OPERATIONS.values()):
            rows = (chosen == i).nonzero()[:, 0].to(x.device)
            if len(rows):
                out[rows] = operation(x[rows], strength[rows])
        x = out.clamp(0, 1)
    return (x * 255).round().to(pictures.dtype)


def recoloured(pictures: Tensor, strength: float, grey: float, generator: Generator) -> Tensor:
    """Brightness, contrast and saturation changed by up to `strength`; that part of the pictures `grey`.

    The colour part of SimCLR's and DINO's augmentation (Chen et al. 2020; Caron et al. 2021), without hue: where views
    of a picture share their colours, an encoder need learn nothing else about it.
    """
    x = pictures.float() / 255
    for operation in (_brightness, _contrast, _colour):
        x = operation(x, uniform(len(x), -strength, strength, generator).to(x.device)).clamp(0, 1)
    plain = (torch.rand(len(x), generator=generator) < grey)[:, None, None, None].to(x.device)
    return (torch.where(plain, _grey(x), x) * 255).round().to(pictures.dtype)


def mix(x: Tensor, targets_BC: Tensor, mixup: float, cutmix: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Pictures and targets mixed with those of the batch in another order, with one share for the batch.

    mixup: x <- l x + (1 - l) x'; CutMix: a box of the area (1 - l) comes from x'; targets <- l t + (1 - l) t', where l
    for CutMix is the part of the picture that stayed. l ~ Beta(a, a). With both, one of them is drawn.
    """
    if not mixup and not cutmix:
        return x, targets_BC
    boxes = bool(cutmix) and (not mixup or bool(torch.rand((), generator=generator) < 0.5))
    share = _beta(cutmix if boxes else mixup, generator)
    order = torch.randperm(len(x), generator=generator).to(x.device)
    if boxes:
        height, width = x.shape[-2:]
        tall, wide = (round(n * math.sqrt(1 - share)) for n in (height, width))
        top = int(torch.randint(0, height - tall + 1, (), generator=generator))
        left = int(torch.randint(0, width - wide + 1, (), generator=generator))
        x = x.clone()
        x[..., top : top + tall, left : left + wide] = x[order][..., top : top + tall, left : left + wide]
        share = 1 - tall * wide / (height * width)
    else:
        x = share * x + (1 - share) * x[order]
    return x, share * targets_BC + (1 - share) * targets_BC[order]


def _beta(alpha: float, generator: Generator) -> float:
    """One draw of Beta(alpha, alpha), from two Gamma draws (torch's own Beta takes no generator)."""
    a, b = (torch._standard_gamma(torch.tensor([alpha], dtype=torch.float64), generator=generator) for _ in range(2))
    return float(a / (a + b))


def augmented(pictures: Tensor, options: AugmentOptions, generator: Generator) -> Tensor:
    """Everything that the options ask for, before the pictures become numbers; mixing comes after."""
    if options.resized_crop != (1.0, 1.0):
        size = (pictures.shape[2], pictures.shape[3])
        pictures = resized_crop(pictures, options.resized_crop, size, generator)
    if options.zoom != (1.0, 1.0) or options.stretch != 1.0:
        pictures = zoom(pictures, options.zoom, options.stretch, generator)
    if options.pad_crop:
        pictures = shift(pictures, options.pad_crop, generator)
    if options.flip:
        pictures = flip(pictures, generator)
    if options.randaugment:
        pictures = randaugment(pictures, options.randaugment, options.magnitude, generator)
    if options.colour or options.grey:
        pictures = recoloured(pictures, options.colour, options.grey, generator)
    if options.cutout:
        pictures = cutout(pictures, options.cutout, generator)
    return pictures
