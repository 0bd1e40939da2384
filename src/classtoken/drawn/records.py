"""Scenes as records, and as a folder of files that every command reads."""

import csv
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from classtoken.drawn.compose import LABELS, Scene, draw, draw_tiny
from classtoken.values import Record


def records(count: int, *, seed: int = 0, start: int = 0) -> Iterator[Record]:
    """Scenes `start` .. `start + count` of a seed as records with several labels, pictures as BMP bytes."""
    for index in range(start, start + count):
        scene = draw(seed, index)
        yield Record(f"scene-{seed}-{index}", image=_bytes(scene, "BMP"), label=scene.labels)


def tiny_records(count: int, *, seed: int = 0, start: int = 0) -> Iterator[Record]:
    """Tiny faces as records with one label."""
    for index in range(start, start + count):
        scene = draw_tiny(seed, index)
        yield Record(f"tiny-{seed}-{index}", image=_bytes(scene, "BMP"), label=scene.labels[0])


def write(folder: Path | str, count: int, *, seed: int = 0, start: int = 0) -> Path:
    """Write scenes as a data set: `images/*.png`, `labels.csv` (id, label), `masks/*.png`.

    A mask has 0 where no animal is seen and 1 + the place in `LABELS` where one is. Returns the folder of images.
    """
    folder = Path(folder)
    images, masks = folder / "images", folder / "masks"
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(exist_ok=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("id", "label"))
        for index in range(start, start + count):
            scene, name = draw(seed, index), f"{index:06d}.png"
            (images / name).write_bytes(_bytes(scene, "PNG"))
            values = np.zeros(scene.image.shape[:2], np.uint8)
            for number, kind in enumerate(LABELS):
                values[scene.mask(kind)] = 1 + number
            Image.fromarray(values).save(masks / name)
            table.writerow((name, "|".join(scene.labels)))
    return images


def _bytes(scene: Scene, form: str) -> bytes:
    file = BytesIO()
    Image.fromarray(scene.image).save(file, form)
    return file.getvalue()
