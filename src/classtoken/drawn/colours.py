"""Colours. Animals and things draw from ONE palette: no colour tells what is in a picture."""

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (214, 128, 58),  # ginger
    (146, 98, 62),  # brown
    (92, 66, 52),  # dark brown
    (222, 186, 138),  # sand
    (238, 228, 208),  # cream
    (246, 246, 242),  # white
    (158, 160, 164),  # grey
    (104, 110, 120),  # slate
    (62, 62, 68),  # charcoal
    (176, 84, 66),  # rust
    (200, 72, 72),  # red
    (72, 122, 184),  # blue
    (84, 160, 160),  # teal
    (228, 192, 82),  # gold
    (126, 152, 92),  # olive
    (154, 120, 176),  # lilac
)

PASTELS: tuple[Colour, ...] = (
    (198, 222, 240),
    (226, 238, 246),
    (244, 232, 206),
    (236, 214, 204),
    (212, 230, 200),
    (222, 212, 236),
    (250, 246, 236),
    (190, 206, 214),
    (204, 190, 168),
    (170, 196, 160),
)


def pick(rng: Generator, colours: tuple[Colour, ...], spread: float = 14.0) -> Colour:
    """One of the colours, moved a little."""
    return shade(colours[int(rng.integers(len(colours)))], 1.0, rng.normal(0.0, spread, 3))


def shade(colour: Colour, factor: float, moved: np.ndarray | float = 0.0) -> Colour:
    """A colour made darker (factor < 1) or lighter (> 1), then moved; kept within 0..255."""
    base = np.array(colour, dtype=np.float64)
    mixed = base * factor if factor <= 1 else base + (255 - base) * (factor - 1)
    red, green, blue = np.clip(mixed + moved, 0, 255).astype(int)
    return int(red), int(green), int(blue)


def tones(base: Colour, rng: Generator) -> Mapping[str, Colour]:
    """What each tone of a drawn thing looks like, from its main colour."""
    dark = sum(base) < 260
    return {
        "base": base,
        "dark": shade(base, 1.18) if dark else shade(base, 0.78),
        "light": shade(base, 1.28 if dark else 1.5),
        "inner": shade(base, 1.35) if dark else shade(base, 0.66),
        "outline": shade(base, 0.38),
        "line": shade(base, 1.6) if dark else shade(base, 0.34),
        "nose": (52, 40, 40),
        "eye": (30, 28, 32),
        "glint": (250, 250, 250),
        "beak": shade(base, 0.55) if rng.random() < 0.5 else pick(rng, PALETTE),
        "leg": shade(base, 0.5),
        "accent": pick(rng, PALETTE),
        "glass": (206, 226, 236),
        "dim": shade(base, 0.6),
    }
