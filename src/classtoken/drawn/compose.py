"""One scene: a background, things and animals at random places, painted from back to front, and who is seen where."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from classtoken.drawn.animals import ANIMALS, FACES
from classtoken.drawn.backgrounds import BACKGROUNDS
from classtoken.drawn.colours import PALETTE, PASTELS, pick, tones
from classtoken.drawn.shapes import Piece, rotation
from classtoken.drawn.things import THINGS

LABELS = ("bird", "cat", "dog")
SIZE = 96
FINER = 3
"""everything is drawn at three times the size and then averaged down"""
LEAST_SEEN = 0.35
"""an animal of which less would be seen is not left in: the scene is drawn anew"""
HIDDEN_FACES = 0.6
"""part of the tiny faces that have a thing in front of them"""


@dataclass(frozen=True)
class SceneObject:
    """One animal or thing of a scene: what it is, where (centre and radius in pixels), and how much of it is seen."""

    kind: str
    x: float
    y: float
    radius: float
    visible: float


@dataclass(frozen=True)
class Scene:
    """A picture and the truth about it. `masks[i]` are the pixels in which `seen[i]` is what one sees."""

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    seen: tuple[SceneObject, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The kinds of animals in it, sorted; empty where there are none."""
        return tuple(sorted({thing.kind for thing in self.seen} & set(LABELS)))

    def mask(self, kind: str) -> NDArray[np.bool_]:
        """The pixels that show anything of one kind."""
        rows = [i for i, thing in enumerate(self.seen) if thing.kind == kind]
        shown: NDArray[np.bool_] = np.zeros(self.image.shape[:2], dtype=bool)
        for row in rows:
            shown |= self.masks[row]
        return shown


@dataclass(frozen=True)
class _Place:
    kind: str
    x: float
    y: float
    radius: float


def draw(seed: int, index: int, *, size: int = SIZE, labels: Sequence[str] | None = None) -> Scene:
    """Scene number `index` of a seed. `labels`: exactly these animals are in it (drawn by lot when None).

    Every animal is seen to at least `LEAST_SEEN` of its area.
    """
    for attempt in range(1000):
        rng = np.random.default_rng((seed, index, attempt))
        kinds = [kind for kind in LABELS if (rng.random() < 0.45 if labels is None else kind in labels)]
        scene = _paint(rng, _places(rng, kinds, size), size)
        if all(thing.visible >= LEAST_SEEN for thing in scene.seen if thing.kind in LABELS):
            return scene
    raise AssertionError(f"no scene {index} of seed {seed} shows all of its animals")


def draw_tiny(seed: int, index: int, *, size: int = 24) -> Scene:
    """One face on a plain small picture: bird, cat or dog in turn; for models that one can watch number by number.

    Faces lean, differ in size and stand off the centre, and in front of most of them is a thing that hides a part: were
    they all plain to see, a model would be so sure of each that no single patch could change its answer.
    """
    rng = np.random.default_rng((seed, index, 2**31))
    kind = LABELS[index % len(LABELS)]
    parts = FACES[kind](rng)
    low, high = np.array(pick(rng, PASTELS), np.float32), np.array(pick(rng, PASTELS), np.float32)
    down = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    canvas = _Canvas(np.broadcast_to(low + down * (high - low), (size, size, 3)), size)
    x, y = size * (0.5 + rng.uniform(-0.1, 0.1)), size * (0.52 + rng.uniform(-0.1, 0.1))
    places = [_Place(kind, x, y, size * rng.uniform(0.32, 0.44))]
    canvas.add(parts, places[0], rng, turn=rng.uniform(-0.25, 0.25), mirrored=bool(rng.random() < 0.5))
    if rng.random() < HIDDEN_FACES:
        thing, (x, y) = str(rng.choice(sorted(THINGS))), size * rng.uniform(0.15, 0.85, 2)
        places.append(_Place(thing, float(x), float(y), size * rng.uniform(0.16, 0.26)))
        canvas.add(THINGS[thing](rng), places[1], rng, turn=rng.normal(0.0, 0.14), mirrored=bool(rng.random() < 0.5))
    return canvas.finish(places, rng, grain=2.0)


def _places(rng: Generator, kinds: list[str], size: int) -> list[_Place]:
    """What stands where, from back to front; new things keep away from those already there as well as they can."""
    unit = size / SIZE
    animals = [kind for kind in kinds for _ in range(2 if rng.random() < 0.15 else 1)]
    things = [str(rng.choice(sorted(THINGS))) for _ in range(int(rng.integers(2, 6)))]
    most = 25.0 if len(animals) <= 2 else 20.0
    places: list[_Place] = []
    for kind in [*animals, *things]:
        animal = kind in LABELS
        radius = unit * (rng.uniform(14.5, most) if animal else rng.uniform(8.0, 19.0))
        spots = rng.uniform(radius * 0.75, size - radius * 0.75, (6, 2))
        rooms = [min((np.hypot(x - p.x, y - p.y) - radius - p.radius for p in places), default=0.0) for x, y in spots]
        x, y = spots[int(np.argmax(rooms))]
        places.append(_Place(kind, float(x), float(y), float(radius)))
    order = rng.permutation(len(places))
    return [places[i] for i in order]


def _paint(rng: Generator, places: list[_Place], size: int) -> Scene:
    canvas = _Canvas(BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))](rng, size), size)
    canvas.shadows(places, rng)
    for place in places:
        if place.kind in LABELS:
            poses = ANIMALS[place.kind]
            parts = poses[int(rng.integers(len(poses)))](rng)
        else:
            parts = THINGS[place.kind](rng)
        canvas.add(parts, place, rng, turn=rng.normal(0.0, 0.14), mirrored=bool(rng.random() < 0.5))
    return canvas.finish(places, rng, grain=float(rng.uniform(1.0, 6.0)))


class _Canvas:
    """A picture in the making, and beside it the number of what is on top at every fine pixel (0: background)."""

    def __init__(self, background: NDArray[np.float32], size: int):
        self.size = size
        self.background = background
        self.picture: Image.Image | None = None
        self.ids = Image.new("L", (size * FINER, size * FINER), 0)
        self.on_ids = ImageDraw.Draw(self.ids)
        self.areas: list[int] = []
        self.boxes: list[tuple[slice, slice]] = []

    def shadows(self, places: list[_Place], rng: Generator) -> None:
        """A soft dark patch on the background under everything."""
        image = Image.new("L", (self.size, self.size), 255)
        pen = ImageDraw.Draw(image)
        for p in places:
            pen.ellipse((p.x - p.radius, p.y + p.radius * 0.72, p.x + p.radius, p.y + p.radius * 1.12), fill=205)
        self.background = self.background * (np.asarray(image, np.float32) / np.float32(255))[..., None]

    def add(self, parts: list[Piece], place: _Place, rng: Generator, *, turn: float, mirrored: bool) -> None:
        """Paint one thing over what is there: its outline first, then its parts."""
        if self.picture is None:
            rough = Image.fromarray(np.clip(self.background, 0, 255).astype(np.uint8))
            self.picture = rough.resize(self.ids.size, Image.Resampling.BILINEAR)
            self.on_picture = ImageDraw.Draw(self.picture)
        squeeze = np.array(((-1.0 if mirrored else 1.0), rng.uniform(0.92, 1.08)))
        matrix = rotation(turn) * (place.radius * FINER * 0.92)
        colours = tones(pick(rng, PALETTE), rng)
        outlines = [
            [tuple(point) for point in ((part.points * squeeze) @ matrix + (place.x * FINER, place.y * FINER)).tolist()]
            for part in parts
        ]
        number = len(self.areas) + 1
        for line in outlines:
            self.on_picture.polygon(line, fill=colours["outline"])
            self.on_picture.line([*line, line[0]], fill=colours["outline"], width=4, joint=None)
            self.on_ids.polygon(line, fill=number)
            self.on_ids.line([*line, line[0]], fill=number, width=4)
        for part, line in zip(parts, outlines, strict=True):
            self.on_picture.polygon(line, fill=colours[part.tone])
        self.areas.append(self.ids.histogram()[number])
        self.boxes.append(_box(outlines, self.size))

    def finish(self, places: list[_Place], rng: Generator, *, grain: float) -> Scene:
        """Average down, light from one side, a little grain; count who is seen where."""
        assert self.picture is not None
        size = self.size
        image = np.asarray(self.picture.reduce(FINER), np.float32)
        light = 1.0 + rng.uniform(-0.12, 0.12) * np.linspace(-1, 1, size, dtype=np.float32)[None, :, None]
        image = image * light + rng.normal(0.0, grain, image.shape).astype(np.float32)
        ids = np.asarray(self.ids).reshape(size, FINER, size, FINER)
        visible = self.ids.histogram()
        masks = np.zeros((len(places), size, size), dtype=bool)
        for i, (rows, columns) in enumerate(self.boxes):
            inside = ids[rows, :, columns] == i + 1
            masks[i, rows, columns] = inside.sum(axis=(1, 3), dtype=np.uint8) * 2 > FINER * FINER
        seen = tuple(
            SceneObject(p.kind, p.x, p.y, p.radius, visible[i + 1] / max(1, self.areas[i]))
            for i, p in enumerate(places)
        )
        return Scene(np.clip(np.rint(image), 0, 255).astype(np.uint8), masks, seen)


def _box(outlines: list[list[tuple[float, float]]], size: int) -> tuple[slice, slice]:
    """Rows and columns of the picture that hold everything that was painted."""
    points = np.concatenate(outlines) / FINER
    left, top = np.clip(np.floor(points.min(axis=0)).astype(int) - 1, 0, size)
    right, bottom = np.clip(np.ceil(points.max(axis=0)).astype(int) + 2, 0, size)
    return slice(int(top), int(bottom)), slice(int(left), int(right))
