"""Outlines as points: ellipses, limbs, tubes. Units are those of the thing that is drawn; y points down."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """One filled outline and the name of its tone (see `colours.tones`)."""

    points: Points
    tone: str = "base"


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0, count: int = 20) -> Points:
    """An ellipse around (x, y), turned by `turn` radians clockwise on the screen."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    flat = np.stack((rx * np.cos(t), ry * np.sin(t)), axis=1)
    return flat @ rotation(turn) + (x, y)


def polygon(*corners: tuple[float, float]) -> Points:
    """Corners in order."""
    return np.array(corners, dtype=np.float64)


def limb(start: tuple[float, float], end: tuple[float, float], thick: float, thin: float) -> Points:
    """A tapering bar with a rounded end: a leg, a neck, a branch."""
    a, b = np.array(start), np.array(end)
    along = (b - a) / max(1e-9, float(np.hypot(*(b - a))))
    side = np.array((-along[1], along[0]))
    turn = np.linspace(np.pi / 2, -np.pi / 2, 6)
    cap = b + thin * (np.cos(turn)[:, None] * along + np.sin(turn)[:, None] * side)
    return np.concatenate(([a + thick * side], cap, [a - thick * side]))


def tube(points: list[tuple[float, float]], thick: float, thin: float, count: int = 10) -> Points:
    """A tapering tube along the curve through three control points (quadratic Bezier): a tail."""
    t = np.linspace(0, 1, count)[:, None]
    p, q, r = (np.array(point) for point in points)
    curve = (1 - t) ** 2 * p + 2 * t * (1 - t) * q + t**2 * r
    slope = 2 * (1 - t) * (q - p) + 2 * t * (r - q)
    side = np.stack((-slope[:, 1], slope[:, 0]), axis=1)
    side /= np.maximum(1e-9, np.hypot(side[:, :1], side[:, 1:]))
    radius = thick + (thin - thick) * t
    return np.concatenate((curve + radius * side, (curve - radius * side)[::-1]))


def rotation(turn: float) -> Points:
    """The matrix M for which `points @ M` turns points by `turn` radians clockwise on the screen."""
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array(((cos, sin), (-sin, cos)))


def placed(parts: list[Piece], x: float, y: float, turn: float = 0.0, size: float = 1.0) -> list[Piece]:
    """Parts turned, scaled and moved to (x, y)."""
    matrix = rotation(turn) * size
    return [Piece(part.points @ matrix + (x, y), part.tone) for part in parts]
