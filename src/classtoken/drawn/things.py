"""What else stands about in a scene: balls, trees, boxes, cars and other things, about 2 units wide and tall.

They share their colours with the animals, and some of their shapes: pointed roofs, round balls, thin trunks.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator

from classtoken.drawn.shapes import Piece, ellipse, limb, polygon

Draw = Callable[[Generator], list[Piece]]


def ball(rng: Generator) -> list[Piece]:
    """Round, with a band and a highlight."""
    turn = rng.uniform(-0.8, 0.8)
    return [
        Piece(ellipse(0, 0, 0.85, 0.85, count=28)),
        Piece(ellipse(0, 0, 0.85, 0.26, turn, count=24), "accent"),
        Piece(ellipse(-0.30, -0.36, 0.20, 0.14, -0.6, count=12), "light"),
    ]


def tree(rng: Generator) -> list[Piece]:
    """A trunk and a round crown."""
    blobs = [
        Piece(ellipse(x, y, r, r * 0.92, count=16), tone)
        for x, y, r, tone in ((-0.42, -0.25, 0.45, "dark"), (0.42, -0.22, 0.46, "base"), (0.0, -0.55, 0.55, "base"))
    ]
    fruit = [
        Piece(ellipse(rng.uniform(-0.5, 0.5), rng.uniform(-0.8, 0.0), 0.08, 0.08, count=8), "accent")
        for _ in range(int(rng.integers(0, 4)))
    ]
    return [Piece(limb((0, 1.0), (0, 0.0), 0.16, 0.10), "dim"), *blobs, *fruit]


def fir(rng: Generator) -> list[Piece]:
    """Three triangles on a trunk."""
    wide = rng.uniform(0.55, 0.8)
    return [
        Piece(polygon((-0.11, 0.6), (0.11, 0.6), (0.11, 1.0), (-0.11, 1.0)), "dim"),
        Piece(polygon((-wide, 0.66), (wide, 0.66), (0, -0.15)), "dark"),
        Piece(polygon((-wide * 0.8, 0.18), (wide * 0.8, 0.18), (0, -0.55))),
        Piece(polygon((-wide * 0.55, -0.30), (wide * 0.55, -0.30), (0, -1.0))),
    ]


def box(rng: Generator) -> list[Piece]:
    """A crate in perspective."""
    deep = rng.uniform(0.2, 0.45)
    return [
        Piece(polygon((-0.8, -0.4), (0.4, -0.4), (0.4, 0.85), (-0.8, 0.85))),
        Piece(polygon((-0.8, -0.4), (-0.8 + deep, -0.4 - deep), (0.4 + deep, -0.4 - deep), (0.4, -0.4)), "light"),
        Piece(polygon((0.4, -0.4), (0.4 + deep, -0.4 - deep), (0.4 + deep, 0.85 - deep), (0.4, 0.85)), "dark"),
        Piece(polygon((-0.30, -0.4), (-0.10, -0.4), (-0.10, 0.85), (-0.30, 0.85)), "accent"),
    ]


def car(rng: Generator) -> list[Piece]:
    """A body, a cabin with a window, two wheels."""
    low = rng.uniform(-0.62, -0.45)
    return [
        Piece(polygon((-0.55, -0.1), (-0.32, low), (0.38, low), (0.62, -0.1))),
        Piece(polygon((-0.38, -0.12), (-0.24, low + 0.12), (0.0, low + 0.12), (0.0, -0.12)), "glass"),
        Piece(polygon((0.08, -0.12), (0.08, low + 0.12), (0.30, low + 0.12), (0.44, -0.12)), "glass"),
        Piece(polygon((-1.0, 0.40), (-0.98, -0.04), (-0.6, -0.14), (0.70, -0.14), (1.0, 0.06), (1.0, 0.40))),
        Piece(ellipse(-0.55, 0.42, 0.25, 0.25, count=16), "eye"),
        Piece(ellipse(0.58, 0.42, 0.25, 0.25, count=16), "eye"),
        Piece(ellipse(-0.55, 0.42, 0.11, 0.11, count=10), "glass"),
        Piece(ellipse(0.58, 0.42, 0.11, 0.11, count=10), "glass"),
    ]


def house(rng: Generator) -> list[Piece]:
    """Walls, a pointed roof, a door and a window."""
    roof = rng.uniform(-1.0, -0.7)
    return [
        Piece(polygon((-0.7, -0.15), (0.7, -0.15), (0.7, 0.9), (-0.7, 0.9))),
        Piece(polygon((-0.92, -0.12), (0, roof), (0.92, -0.12)), "accent"),
        Piece(polygon((-0.48, 0.30), (-0.10, 0.30), (-0.10, 0.9), (-0.48, 0.9)), "dim"),
        Piece(polygon((0.14, 0.12), (0.50, 0.12), (0.50, 0.46), (0.14, 0.46)), "glass"),
    ]


def flower(rng: Generator) -> list[Piece]:
    """Petals on a stalk."""
    count, turn = int(rng.integers(5, 8)), rng.uniform(0, 1)
    angles = turn + np.arange(count) * 2 * np.pi / count
    petals = [
        Piece(ellipse(0.36 * np.cos(a), -0.42 + 0.36 * np.sin(a), 0.28, 0.17, a, count=12)) for a in angles.tolist()
    ]
    return [
        Piece(limb((0, 1.0), (0, -0.3), 0.06, 0.05), "dim"),
        Piece(ellipse(0.24, 0.52, 0.26, 0.10, -0.5, count=12), "dim"),
        *petals,
        Piece(ellipse(0, -0.42, 0.20, 0.20, count=14), "accent"),
    ]


def star(rng: Generator) -> list[Piece]:
    """Five points."""
    turn, inside = rng.uniform(0, 1.2), rng.uniform(0.36, 0.5)
    angles = turn + np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2 == 0, 0.92, 0.92 * inside)
    return [Piece(np.stack((radius * np.cos(angles), radius * np.sin(angles)), axis=1))]


def mushroom(rng: Generator) -> list[Piece]:
    """A stem and a spotted cap."""
    t = np.linspace(np.pi, 2 * np.pi, 14)
    cap = np.stack((0.85 * np.cos(t), 0.05 + 0.80 * np.sin(t)), axis=1)
    dots = [
        Piece(ellipse(x, y, 0.11, 0.09, count=9), "light") for x, y in ((-0.42, -0.22), (0.05, -0.48), (0.45, -0.2))
    ]
    return [Piece(limb((0, 0.9), (0, 0.0), 0.26, 0.22), "light"), Piece(cap), *dots]


def bone(rng: Generator) -> list[Piece]:
    """A toy: a bar between four knobs."""
    knobs = [Piece(ellipse(x, y, 0.24, 0.24, count=12)) for x in (-0.66, 0.66) for y in (-0.18, 0.18)]
    return [*knobs, Piece(polygon((-0.66, -0.15), (0.66, -0.15), (0.66, 0.15), (-0.66, 0.15)))]


def umbrella(rng: Generator) -> list[Piece]:
    """A pointed canopy on a thin pole."""
    t = np.linspace(np.pi, 2 * np.pi, 12)
    canopy = np.stack((0.95 * np.cos(t), -0.05 + 0.75 * np.sin(t)), axis=1)
    return [
        Piece(polygon((-0.04, -0.1), (0.04, -0.1), (0.04, 0.95), (-0.04, 0.95)), "dim"),
        Piece(canopy),
        Piece(polygon((-0.32, -0.05), (0.0, -0.80), (0.32, -0.05)), "accent"),
    ]


THINGS: Mapping[str, Draw] = {
    "ball": ball,
    "tree": tree,
    "fir": fir,
    "box": box,
    "car": car,
    "house": house,
    "flower": flower,
    "star": star,
    "mushroom": mushroom,
    "bone": bone,
    "umbrella": umbrella,
}
