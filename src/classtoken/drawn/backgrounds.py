"""Backgrounds: gradients, stripes, noise, grass, tiles and hills, as (size, size, 3) numbers of 0..255."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from classtoken.drawn.colours import PALETTE, PASTELS, Colour, pick, shade

Picture = NDArray[np.float32]


def _two(rng: Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    colours = PASTELS if rng.random() < 0.7 else PALETTE
    return np.array(pick(rng, colours), np.float32), np.array(pick(rng, colours), np.float32)


def _mixed(share: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32]) -> Picture:
    return a + share[..., None] * (b - a)


def _axes(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    line = np.linspace(0, 1, size, dtype=np.float32)
    return line[None, :], line[:, None]


def gradient(rng: Generator, size: int) -> Picture:
    """One colour into another, in any direction."""
    x, y = _axes(size)
    turn = rng.uniform(0, 2 * np.pi)
    share = 0.5 + (np.cos(turn) * (x - 0.5) + np.sin(turn) * (y - 0.5)) * 0.8
    return _mixed(np.clip(share, 0, 1).astype(np.float32), *_two(rng))


def stripes(rng: Generator, size: int) -> Picture:
    """Soft stripes of any width and direction."""
    x, y = _axes(size)
    turn, count = rng.uniform(0, np.pi), rng.uniform(3, 11)
    wave = np.sin(2 * np.pi * count * (np.cos(turn) * x + np.sin(turn) * y) + rng.uniform(0, 6))
    return _mixed(np.clip(0.5 + 1.6 * wave, 0, 1).astype(np.float32) * 0.7, *_two(rng))


def noise(rng: Generator, size: int) -> Picture:
    """Clouds: noise of three scales."""
    share = np.zeros((size, size), np.float32)
    for cells, weight in ((4, 0.55), (9, 0.3), (24, 0.15)):
        coarse = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
        share += weight * np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return _mixed(np.clip(0.5 + 2.0 * (share - 0.5), 0, 1), *_two(rng))


def grass(rng: Generator, size: int) -> Picture:
    """A sky over a meadow of vertical blades."""
    x, y = _axes(size)
    horizon = rng.uniform(0.25, 0.6)
    sky = np.array(pick(rng, PASTELS), np.float32) + 22 * (y - horizon)[..., None]
    ground = np.array(pick(rng, ((118, 164, 88), (150, 176, 96), (196, 180, 120), (92, 138, 98))), np.float32)
    blades = rng.normal(0, 13, size).astype(np.float32)[None, :] * np.sin(y * 40 + rng.uniform(0, 6, size)[None, :])
    meadow = ground + blades[..., None].astype(np.float32) - 30 * (y - horizon)[..., None]
    edge = horizon + 0.03 * np.sin(x * rng.uniform(4, 9) + rng.uniform(0, 6))
    return np.where((y < edge)[..., None], np.broadcast_to(sky, meadow.shape), meadow).astype(np.float32)


def tiles(rng: Generator, size: int) -> Picture:
    """A floor of squares."""
    x, y = _axes(size)
    count = rng.integers(3, 9)
    checks = (np.floor(x * count + rng.uniform(0, 1)) + np.floor(y * count + rng.uniform(0, 1))) % 2
    return _mixed((checks * rng.uniform(0.25, 0.8)).astype(np.float32), *_two(rng))


def hills(rng: Generator, size: int) -> Picture:
    """Three ranges under a sky, paler the further away."""
    x, y = _axes(size)
    colour: Colour = pick(rng, PASTELS + PALETTE)
    picture = np.broadcast_to(np.array(pick(rng, PASTELS), np.float32), (size, size, 3)).copy()
    for i, factor in enumerate((1.6, 1.35, 1.05)):
        edge = 0.35 + 0.18 * i + 0.09 * np.sin(x * rng.uniform(4, 10) + rng.uniform(0, 6))
        picture = np.where((y > edge)[..., None], np.array(shade(colour, factor), np.float32), picture)
    return picture.astype(np.float32)


BACKGROUNDS: tuple[Callable[[Generator, int], Picture], ...] = (gradient, stripes, noise, grass, tiles, hills)
