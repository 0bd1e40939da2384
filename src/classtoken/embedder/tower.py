"""One side of a model: how its inputs are prepared, encoded and read out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classtoken.contract.reading import Reading
from classtoken.encoder.shape import ImageStem, TextStem
from classtoken.inputs import Preprocessor, one_batch
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.recipe_files import hugging_face_recipe
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Layout


@dataclass
class Tower:
    """One side of a model: how its inputs are prepared, encoded and read out."""

    reading: Reading
    prepare: Preprocessor

    @property
    def modality(self) -> str:
        """`text` or `image`."""
        return self.reading.modality

    def tokens(self, items: Sequence[Any], prompt: str | None = None) -> Tokens:
        """Items prepared as one batch; the prompt is for texts. Raises `BadRecord` at the first bad one."""
        return one_batch(self.prepare, items, prompt=prompt)

    @property
    def layout(self) -> Layout:
        """Roles in order, as inputs come out of the preprocessing."""
        return self.prepare.layout


def preprocessor(folder: Path, reading: Reading) -> Preprocessor:
    """The authors' preprocessing of one tower."""
    stem = getattr(getattr(reading.encoder, "shape", None), "stem", None)
    if reading.modality == "image":
        family = reading.family
        default = None
        if family is not None and family.image_defaults is not None:
            default = hugging_face_recipe(family.image_defaults, None, f"the usual one of {family.name}")
        patch = stem.patch if isinstance(stem, ImageStem) else _merged_patch(reading)
        return ImagePreprocessor.from_folder(folder, reading.encoder.layout, patch=patch, default=default)
    positions = None
    if isinstance(stem, TextStem) and stem.positions:
        positions = stem.positions - stem.position_offset
    return TextPreprocessor.from_folder(folder, positions=positions)


def _merged_patch(reading: Reading) -> int | None:
    """Pixels under one token of a foreign model, which may merge patches on its way (Swin); None where unknown."""
    side, grid = reading.config.get("image_size"), reading.encoder.layout.grid
    return side // grid[0] if isinstance(side, int) and grid and side >= grid[0] else None
