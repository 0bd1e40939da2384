"""Images -> `Tokens`, prepared exactly as the checkpoint's authors do it."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from classtoken.errors import BadRecord, ModelError, OptionError
from classtoken.model_folder import first_module, read_json
from classtoken.plain import encode
from classtoken.tensors import Tokens
from classtoken.tokens.decode import DEFAULT, Decoding, ImageItem, decode, name_of
from classtoken.tokens.pixels import Pixels, from_patches, prepare
from classtoken.tokens.recipe import ImageRecipe, Size
from classtoken.tokens.recipe_files import read_recipe
from classtoken.tokens.roles import at_grid, image_roles, patch_roles
from classtoken.values import Layout, Role

#: Images of a batch.
IMAGE_ROWS = 16


class ImagePreprocessor:
    """Decodes images, prepares them by a recipe and gives every token its role.

    `prepare` (one image; no torch, may run in another process) and `collate` (a batch) are the two halves of a call, so
    that one bad image costs nobody else anything.
    """

    modality = "image"
    at_once = 1

    def __init__(self, recipe: ImageRecipe, layout: Layout, patch: int, decoding: Decoding = DEFAULT):
        if layout.grid is None:
            raise ModelError(f"the layout '{layout}' has no patch grid: it is not an image model's.")
        self.recipe = recipe
        self.patch = patch
        self.decoding = decoding
        self.native_layout = layout

    @classmethod
    def from_folder(
        cls,
        folder: Path | str,
        layout: Layout,
        *,
        patch: int | None = None,
        usual: Mapping[str, Any] = MappingProxyType({}),
        usual_of: str = "",
        decoding: Decoding = DEFAULT,
    ) -> "ImagePreprocessor":
        """Read the recipe from a model folder; `usual` are the settings of models like this one (see `read_recipe`).

        `patch` is the side of a patch in pixels; where it is not given it is read from the config. Raises `ModelError`
        where the files are broken or silent.
        """
        folder = Path(folder)
        recipe = read_recipe(folder, usual, usual_of)
        return cls(recipe, layout, patch or recipe.patch or patch_size(folder), decoding)

    @property
    def layout(self) -> Layout:
        """The layout of images as this recipe makes them; the native one where it depends on the image."""
        size = self.recipe.output
        return self.native_layout if size is None else at_grid(self.native_layout, self.grid_of(size))

    @property
    def native_size(self) -> Size:
        """Height and width for which the model's positions were learned."""
        rows, columns = self.native_layout.grid or (0, 0)
        return (rows * self.patch, columns * self.patch)

    def describe(self) -> str:
        """One line for people."""
        return self.recipe.describe()

    def advice(self) -> tuple[str, ...]:
        """Oddities of this recipe for this model, one sentence each."""
        size = self.recipe.output
        native = None if size is None or self.grid_of(size) == self.native_layout.grid else self.native_size
        return self.recipe.advice(native)

    def grid_of(self, size: Size) -> tuple[int, int]:
        """Rows and columns of patches of an image of `size`; pixels beyond the last whole patch are not read."""
        return (size[0] // self.patch, size[1] // self.patch)

    def prepare(self, item: ImageItem, *, name: str | None = None) -> Pixels:
        """One image, decoded and prepared. Raises `BadRecord` naming it and what is wrong."""
        name = name or name_of(item)
        pixels = prepare(decode(item, self.decoding, name=name), self.recipe, name=name)
        if pixels.grid is None and 0 in self.grid_of(pixels.values.shape[1:]):
            height, width = pixels.values.shape[1:]
            raise BadRecord(f"{width}x{height} pixels are less than one patch of {self.patch}x{self.patch}", name)
        return pixels

    def name_of(self, item: Any, place: int) -> str:
        """An image by its path, or by what it is."""
        return name_of(item)

    def ready(self, items: Sequence[ImageItem], *, prompt: str | None = None) -> list[Pixels]:
        """`prepare` for several images. Raises `OptionError` for a prompt, which only texts have."""
        if prompt is not None:
            raise OptionError(f"the prompt {prompt!r} is for texts, and these are images; leave it out.")
        return [self.prepare(item) for item in items]

    def batches(
        self, rows: Iterable[tuple[int, Pixels]], *, most_rows: int | None = None
    ) -> Iterator[tuple[list[int], Tokens]]:
        """Images as they come, `IMAGE_ROWS` a batch; where the recipe fixes no size, those of one size together."""
        left = iter(rows)
        while chunk := list(islice(left, most_rows or IMAGE_ROWS)):
            by_size: dict[tuple[int, ...], list[tuple[int, Pixels]]] = defaultdict(list)
            for place, pixels in chunk:
                by_size[() if self.recipe.resize == "patches" else pixels.values.shape].append((place, pixels))
            for group in by_size.values():
                yield [place for place, _ in group], self.collate([pixels for _, pixels in group])

    def identity(self) -> list[Any]:
        """What decides the pixels, as plain values; not which file said so."""
        return [encode(replace(self.recipe, source="", notes=())), self.patch, self.decoding.alpha]

    def prompt_text(self, prompt: str | None) -> str:
        """None: prompts are for texts."""
        return ""

    def pooled_roles(self, prompt: str | None = None) -> frozenset[Role] | None:
        """The readout's own: there is no prompt before an image."""
        return None

    def picture(self, values_CHW: np.ndarray, grid: tuple[int, int] | None = None) -> np.ndarray:
        """Prepared pixels, or the patches of a `grid`, as they were before normalisation: what the model saw, as
        (height, width, 3) bytes."""
        recipe = self.recipe
        if values_CHW.ndim == 2 and grid is not None:
            values_CHW = from_patches(values_CHW, grid)
        values = np.broadcast_to(values_CHW, (3, *values_CHW.shape[1:])).transpose(1, 2, 0)
        if recipe.mean is not None and recipe.std is not None:
            values = values * np.array(recipe.std) + np.array(recipe.mean)
        scale = 1.0 if recipe.rescale is None else 1 / recipe.rescale
        return (values * scale).round().clip(0, 255).astype(np.uint8)

    def collate(self, prepared: Sequence[Pixels]) -> Tokens:
        """Prepared images -> one batch. Raises `ModelError` when the recipe left them in different sizes."""
        if self.recipe.resize == "patches":
            return self._collate_patches(prepared)
        sizes = sorted({pixels.values.shape[1:] for pixels in prepared})
        if len(sizes) > 1:
            shown = ", ".join(f"{height}x{width}" for height, width in sizes[:3])
            raise ModelError(
                f"images of a batch have different sizes ({shown}), because the recipe fixes none: "
                f"{self.recipe.describe()}. Embed them one at a time, or give a crop_size."
            )
        size = sizes[0] if sizes else self.recipe.output or self.native_size
        grid = self.grid_of(size)
        stacked = (
            np.stack([pixels.values for pixels in prepared])
            if prepared
            else np.empty((0, self.recipe.channels, *size), np.float32)
        )
        return Tokens(
            roles_BL=image_roles(self.native_layout, len(prepared), grid), pixels=torch.from_numpy(stacked), grid=grid
        )

    def _collate_patches(self, prepared: Sequence[Pixels]) -> Tokens:
        """Patches of every image's own grid, filled up with zeros to the most patches of the recipe."""
        most = self.recipe.most_patches or 0
        grids = tuple(pixels.grid or (0, 0) for pixels in prepared)
        stacked = np.zeros((len(prepared), most, self.patch * self.patch * 3), dtype=np.float32)
        for row, pixels in zip(stacked, prepared, strict=True):
            row[: len(pixels.values)] = pixels.values
        roles_BL = patch_roles(self.native_layout, grids, most)
        return Tokens(roles_BL=roles_BL, pixels=torch.from_numpy(stacked), grids=grids)

    def __call__(self, images: Iterable[ImageItem]) -> Tokens:
        """Images of any kind -> one batch. Raises `BadRecord` at the first bad one."""
        return self.collate([self.prepare(image) for image in images])


def patch_size(folder: Path) -> int:
    """The side of a patch in pixels, from a Hugging Face, timm or open_clip config. Raises `ModelError`."""
    config = read_json(first_module(folder, ("config.json",)) / "config.json") or {}
    open_clip = (read_json(folder / "open_clip_config.json") or {}).get("model_cfg") or {}
    places: tuple[Mapping[str, Any], ...] = (
        config,
        config.get("vision_config") or {},
        config.get("model_args") or {},
        open_clip.get("vision_cfg") or {},
    )
    for place in places:
        value = place.get("patch_size")
        if isinstance(value, list | tuple) and len(set(value)) == 1:
            value = value[0]
        if isinstance(value, int) and value > 0:
            return value
    names = (config.get("architecture"), (open_clip.get("vision_cfg") or {}).get("timm_model_name"))
    for name in names:
        if found := re.search(r"patch(\d+)", name or ""):
            return int(found[1])
    raise ModelError(f"{folder}: the config does not say how large a patch is (patch_size).")
