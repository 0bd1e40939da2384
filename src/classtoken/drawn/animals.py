"""Cats, dogs and birds as outlines, in several poses. Side views look to the right; about 2 units wide and tall.

What tells them apart is shape alone: a cat has pointed ears, a short face and a long thin tail; a dog a long snout,
hanging ears and a short thick tail; a bird a beak, a wing and two thin legs, or two wings.
"""

from collections.abc import Callable, Mapping

from numpy.random import Generator

from classtoken.drawn.shapes import Piece, ellipse, limb, placed, polygon, tube

Draw = Callable[[Generator], list[Piece]]


def _eye(x: float, y: float, size: float) -> list[Piece]:
    return [
        Piece(ellipse(x, y, size, size * 1.05, count=10), "eye"),
        Piece(ellipse(x + size * 0.3, y - size * 0.35, size * 0.36, size * 0.36, count=6), "glint"),
    ]


# --- cat -----------------------------------------------------------------------------------------------------------


def cat_head(rng: Generator) -> list[Piece]:
    """Round, with two pointed ears and whiskers; centre at (0, 0), radius about 0.45."""
    tall = rng.uniform(0.42, 0.55)
    return [
        Piece(polygon((-0.40, -0.14), (-0.36, -0.30 - tall * 0.8), (-0.02, -0.36))),
        Piece(polygon((0.04, -0.36), (0.32, -0.32 - tall * 0.8), (0.42, -0.12))),
        Piece(polygon((-0.32, -0.24), (-0.31, -0.22 - tall * 0.62), (-0.12, -0.34)), "inner"),
        Piece(polygon((0.12, -0.34), (0.28, -0.24 - tall * 0.62), (0.34, -0.22)), "inner"),
        Piece(ellipse(0.0, 0.0, 0.46, 0.41)),
        Piece(ellipse(0.12, 0.15, 0.24, 0.17, count=14), "light"),
        Piece(polygon((0.06, 0.07), (0.20, 0.07), (0.13, 0.15)), "nose"),
        *_eye(-0.10, -0.06, 0.085),
        *_eye(0.26, -0.06, 0.085),
        Piece(polygon((0.22, 0.14), (0.62, 0.06), (0.62, 0.085), (0.22, 0.17)), "line"),
        Piece(polygon((0.22, 0.19), (0.60, 0.22), (0.60, 0.245), (0.22, 0.22)), "line"),
    ]


def cat_standing(rng: Generator) -> list[Piece]:
    """On four slim legs, the tail up in a curve."""
    phase, tail = rng.uniform(-0.16, 0.16, 2), rng.uniform(-0.35, 0.25)
    head = placed(cat_head(rng), 0.72, -0.42 + rng.uniform(-0.1, 0.1), rng.uniform(-0.2, 0.25), 0.86)
    return [
        Piece(tube([(-0.72, 0.0), (-1.25, -0.2), (-1.05 + tail, -1.05)], 0.10, 0.065)),
        Piece(limb((-0.48, 0.2), (-0.50 - phase[0], 0.92), 0.15, 0.085), "dark"),
        Piece(limb((0.42, 0.2), (0.44 - phase[1], 0.92), 0.13, 0.08), "dark"),
        Piece(ellipse(-0.05, 0.06, 0.80, 0.36, 0.05)),
        Piece(ellipse(0.0, 0.24, 0.56, 0.14, count=14), "light"),
        Piece(limb((-0.58, 0.15), (-0.60 + phase[0], 0.95), 0.19, 0.09)),
        Piece(limb((0.52, 0.15), (0.54 + phase[1], 0.95), 0.15, 0.085)),
        *_stripes(rng, -0.35, -0.16),
        *head,
    ]


def cat_sitting(rng: Generator) -> list[Piece]:
    """Upright on its haunches, the tail around on the ground."""
    tail = rng.uniform(-0.3, 0.3)
    head = placed(cat_head(rng), 0.16, -0.58, rng.uniform(-0.25, 0.25), 0.98)
    return [
        Piece(tube([(-0.45, 0.72), (-1.15, 0.95), (-1.1 + tail * 0.3, 0.15 + tail)], 0.11, 0.065)),
        Piece(ellipse(-0.18, 0.45, 0.56, 0.50)),
        Piece(ellipse(0.02, 0.08, 0.38, 0.62, -0.2)),
        Piece(ellipse(0.20, 0.14, 0.18, 0.40, -0.12, count=14), "light"),
        Piece(limb((0.14, 0.2), (0.16, 0.92), 0.13, 0.095)),
        Piece(limb((0.34, 0.2), (0.38, 0.92), 0.12, 0.095)),
        Piece(ellipse(-0.26, 0.62, 0.36, 0.30), "dark"),
        *head,
    ]


def cat_lying(rng: Generator) -> list[Piece]:
    """Curled flat, head raised, tail along the body."""
    head = placed(cat_head(rng), 0.62, -0.28, rng.uniform(-0.2, 0.2), 0.92)
    lift = rng.uniform(-0.3, 0.1)
    return [
        Piece(tube([(-0.75, 0.25), (-1.35, 0.30 + lift), (-1.0, -0.35 + lift)], 0.11, 0.065)),
        Piece(ellipse(-0.10, 0.20, 0.88, 0.42)),
        Piece(ellipse(-0.45, 0.26, 0.42, 0.34), "dark"),
        Piece(limb((0.3, 0.45), (0.95, 0.52), 0.12, 0.09)),
        *_stripes(rng, -0.2, -0.08),
        *head,
    ]


def _stripes(rng: Generator, x: float, y: float) -> list[Piece]:
    if rng.random() < 0.5:
        return []
    return [Piece(polygon((x + i, y), (x + i + 0.09, y), (x + i + 0.05, y + 0.30)), "dark") for i in (0.0, 0.22, 0.44)]


# --- dog -----------------------------------------------------------------------------------------------------------


def dog_head(rng: Generator) -> list[Piece]:
    """A long snout to the right and a hanging ear; centre of the skull at (0, 0)."""
    length, ear = rng.uniform(0.58, 0.74), rng.uniform(-0.2, 0.25)
    return [
        Piece(limb((0.08, 0.10), (length, 0.15), 0.24, 0.14)),
        Piece(ellipse(0.0, 0.0, 0.40, 0.37)),
        Piece(limb((0.20, 0.18), (length - 0.02, 0.21), 0.12, 0.085), "light"),
        Piece(ellipse(length + 0.09, 0.07, 0.085, 0.075, count=10), "nose"),
        *_eye(0.17, -0.10, 0.08),
        Piece(ellipse(-0.20, 0.20 + ear * 0.1, 0.165, 0.40, 0.18 + ear), "dark"),
        Piece(polygon((0.26, 0.275), (length, 0.28), (length, 0.305), (0.26, 0.30)), "line"),
    ]


def dog_standing(rng: Generator) -> list[Piece]:
    """On four strong legs, a short thick tail."""
    phase, tail = rng.uniform(-0.18, 0.18, 2), rng.uniform(-0.35, 0.2)
    head = placed(dog_head(rng), 0.70, -0.52 + rng.uniform(-0.08, 0.12), rng.uniform(-0.25, 0.25), 0.86)
    return [
        Piece(limb((-0.70, -0.12), (-1.06, -0.50 + tail), 0.14, 0.075)),
        Piece(limb((-0.46, 0.2), (-0.48 - phase[0], 0.92), 0.17, 0.11), "dark"),
        Piece(limb((0.44, 0.2), (0.46 - phase[1], 0.92), 0.15, 0.105), "dark"),
        Piece(limb((0.45, 0.05), (0.66, -0.45), 0.30, 0.22)),
        Piece(ellipse(-0.05, 0.05, 0.80, 0.38, -0.06)),
        Piece(ellipse(0.04, 0.25, 0.52, 0.14, count=14), "light"),
        Piece(limb((-0.58, 0.12), (-0.60 + phase[0], 0.95), 0.21, 0.12)),
        Piece(limb((0.52, 0.12), (0.54 + phase[1], 0.95), 0.19, 0.115)),
        *_spots(rng),
        *head,
    ]


def dog_sitting(rng: Generator) -> list[Piece]:
    """Upright on its haunches, looking along its snout."""
    head = placed(dog_head(rng), 0.12, -0.62, rng.uniform(-0.3, 0.2), 0.94)
    return [
        Piece(limb((-0.50, 0.70), (-1.02, 0.52 + rng.uniform(-0.3, 0.2)), 0.13, 0.075)),
        Piece(ellipse(-0.20, 0.48, 0.54, 0.46)),
        Piece(ellipse(0.02, 0.05, 0.40, 0.64, -0.2)),
        Piece(ellipse(0.24, 0.12, 0.17, 0.38, -0.1, count=14), "light"),
        Piece(limb((0.12, 0.15), (0.16, 0.92), 0.16, 0.115)),
        Piece(limb((0.34, 0.15), (0.42, 0.92), 0.15, 0.115)),
        Piece(ellipse(-0.26, 0.64, 0.36, 0.29), "dark"),
        *head,
    ]


def dog_lying(rng: Generator) -> list[Piece]:
    """Flat on the ground, forelegs stretched out."""
    head = placed(dog_head(rng), 0.56, -0.22, rng.uniform(-0.15, 0.3), 0.88)
    return [
        Piece(limb((-0.80, 0.22), (-1.28, 0.05 + rng.uniform(-0.2, 0.2)), 0.13, 0.075)),
        Piece(ellipse(-0.14, 0.20, 0.86, 0.40)),
        Piece(ellipse(-0.50, 0.26, 0.40, 0.33), "dark"),
        Piece(limb((0.28, 0.42), (1.02, 0.52), 0.15, 0.12)),
        *head,
    ]


def _spots(rng: Generator) -> list[Piece]:
    if rng.random() < 0.5:
        return []
    return [
        Piece(ellipse(-0.35 + 0.35 * i, -0.08 + rng.uniform(-0.06, 0.06), 0.13, 0.10, count=12), "dark")
        for i in range(3)
    ]


# --- bird ----------------------------------------------------------------------------------------------------------


def bird_head(rng: Generator) -> list[Piece]:
    """Small and round with a pointed beak; centre at (0, 0)."""
    length, crest = rng.uniform(0.22, 0.42), rng.random() < 0.35
    feathers = [Piece(polygon((-0.16, -0.22), (-0.34, -0.52), (-0.02, -0.28)), "dark")] if crest else []
    return [
        *feathers,
        Piece(polygon((0.22, -0.10), (0.28 + length, 0.03), (0.22, 0.12)), "beak"),
        Piece(ellipse(0.0, 0.0, 0.32, 0.30)),
        *_eye(0.10, -0.06, 0.075),
    ]


def bird_perched(rng: Generator) -> list[Piece]:
    """Standing on two thin legs, the wing folded, the tail feathers behind."""
    head = placed(bird_head(rng), 0.42, -0.58, rng.uniform(-0.25, 0.3), 1.05)
    spread = rng.uniform(-0.15, 0.15)
    return [
        Piece(polygon((-0.55, 0.10), (-1.25, 0.10 + spread), (-1.20, 0.38 + spread), (-0.45, 0.36)), "dark"),
        Piece(polygon((-0.08, 0.5), (-0.02, 0.5), (0.0, 0.94), (-0.06, 0.94)), "leg"),
        Piece(polygon((0.16, 0.5), (0.22, 0.5), (0.24, 0.94), (0.18, 0.94)), "leg"),
        Piece(polygon((-0.10, 0.90), (0.12, 0.92), (0.12, 0.97), (-0.10, 0.97)), "leg"),
        Piece(polygon((0.14, 0.90), (0.36, 0.92), (0.36, 0.97), (0.14, 0.97)), "leg"),
        Piece(ellipse(0.0, 0.08, 0.68, 0.47, -0.42)),
        Piece(ellipse(0.26, 0.12, 0.30, 0.36, -0.3, count=14), "light"),
        Piece(ellipse(-0.20, 0.08, 0.50, 0.25, 0.25 + rng.uniform(-0.15, 0.15)), "dark"),
        *head,
    ]


def bird_flying(rng: Generator) -> list[Piece]:
    """In the air, both wings up or down."""
    head = placed(bird_head(rng), 0.72, -0.08, rng.uniform(-0.15, 0.15), 0.9)
    beat, far = rng.uniform(-1.0, 0.75), rng.uniform(0.75, 1.05)
    lift = -0.25 - 0.75 * abs(beat) if beat < 0 else 0.2 + 0.75 * beat
    return [
        Piece(polygon((0.30, -0.02), (0.12 - 0.2 * far, lift * far), (-0.25, lift * far * 0.8), (-0.12, 0.05)), "dark"),
        Piece(polygon((-0.60, -0.05), (-1.22, -0.22), (-1.10, 0.02), (-1.22, 0.22), (-0.60, 0.12)), "dark"),
        Piece(ellipse(0.0, 0.04, 0.76, 0.30, 0.0)),
        Piece(ellipse(0.16, 0.15, 0.46, 0.14, count=14), "light"),
        *head,
        Piece(polygon((0.34, 0.02), (-0.10, lift), (-0.58, lift * 0.92), (-0.52, lift * 0.45), (-0.32, 0.10))),
        Piece(polygon((0.16, 0.04), (-0.18, lift * 0.62), (-0.46, lift * 0.55), (-0.28, 0.09)), "dark"),
    ]


def bird_swimming(rng: Generator) -> list[Piece]:
    """On water or in a nest: a low body and a raised neck."""
    head = placed(bird_head(rng), 0.60, -0.66, rng.uniform(-0.2, 0.2), 0.95)
    return [
        Piece(polygon((-0.70, 0.22), (-1.18, -0.22 + rng.uniform(-0.2, 0.1)), (-0.55, 0.02)), "dark"),
        Piece(limb((0.40, 0.30), (0.58, -0.56), 0.26, 0.17)),
        Piece(ellipse(-0.08, 0.36, 0.82, 0.42)),
        Piece(ellipse(0.30, 0.46, 0.36, 0.26, count=14), "light"),
        Piece(ellipse(-0.24, 0.30, 0.52, 0.24, -0.12), "dark"),
        *head,
    ]


ANIMALS: Mapping[str, tuple[Draw, ...]] = {
    "cat": (cat_standing, cat_sitting, cat_lying),
    "dog": (dog_standing, dog_sitting, dog_lying),
    "bird": (bird_perched, bird_flying, bird_swimming),
}
"""the poses of each animal; in this order the classes are numbered bird, cat, dog where labels are sorted"""


# --- faces, for pictures of a few pixels ---------------------------------------------------------------------------


def cat_face(rng: Generator) -> list[Piece]:
    """From the front: pointed ears."""
    tall = rng.uniform(0.9, 1.1)
    ears = [Piece(polygon((s * 0.86, -0.1), (s * 0.80, -tall), (s * 0.14, -0.62))) for s in (-1, 1)]
    inner = [Piece(polygon((s * 0.72, -0.35), (s * 0.70, -tall + 0.2), (s * 0.38, -0.60)), "inner") for s in (-1, 1)]
    return [
        *ears,
        *inner,
        Piece(ellipse(0, 0.14, 0.88, 0.74)),
        Piece(ellipse(0, 0.48, 0.42, 0.30), "light"),
        Piece(polygon((-0.14, 0.28), (0.14, 0.28), (0, 0.44)), "nose"),
        *_eye(-0.38, 0.02, 0.18),
        *_eye(0.38, 0.02, 0.18),
    ]


def dog_face(rng: Generator) -> list[Piece]:
    """From the front: hanging ears, a long muzzle."""
    swing = rng.uniform(0.0, 0.2)
    return [
        Piece(ellipse(0, 0.0, 0.66, 0.82)),
        Piece(ellipse(-0.74, 0.08, 0.26, 0.68, -0.15 - swing), "dark"),
        Piece(ellipse(0.74, 0.08, 0.26, 0.68, 0.15 + swing), "dark"),
        Piece(ellipse(0, 0.52, 0.42, 0.46), "light"),
        Piece(ellipse(0, 0.34, 0.22, 0.16, count=12), "nose"),
        *_eye(-0.28, -0.18, 0.15),
        *_eye(0.28, -0.18, 0.15),
    ]


def bird_face(rng: Generator) -> list[Piece]:
    """From the side: a round head, a large beak and a tuft."""
    return [
        Piece(polygon((-0.25, -0.60), (-0.62, -1.02), (0.06, -0.74)), "dark"),
        Piece(polygon((0.42, -0.28), (1.12, 0.12 + rng.uniform(-0.1, 0.1)), (0.42, 0.40)), "beak"),
        Piece(ellipse(-0.12, 0.04, 0.74, 0.72)),
        Piece(ellipse(-0.30, 0.62, 0.60, 0.36), "light"),
        *_eye(0.14, -0.12, 0.18),
    ]


FACES: Mapping[str, Draw] = {"cat": cat_face, "dog": dog_face, "bird": bird_face}
