"""What is done to an image before it enters the encoder, as plain values; without torch."""

from dataclasses import dataclass, replace
from typing import Literal

from classtoken.errors import ModelError, OptionError

Size = tuple[int, int]
"""height and width in pixels"""
Resize = Literal["squash", "short side", "fit", "patches", "none"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """Resize, crop, rescale, normalise: x = (v * rescale - mean) / std, for 8-bit v.

    `resize` says how `size` (height, width) is meant: "squash" to exactly that, whatever the image's shape; "short
    side" so that the image just covers it; "fit" so that it just fits into it; "patches" to the largest whole number
    of patches of side `patch` that keeps the shape and has at most `most_patches` (SigLIP 2); "none".

    transformers and torchvision round the offset of a centre crop differently, by one pixel; both are supported:
    `rounding="transformers"` is floor((H - h) / 2), `"torchvision"` (timm, open_clip) round((H - h) / 2).
    """

    resize: Resize = "none"
    size: Size = (224, 224)
    longest: int | None = None
    """with "short side": the long side may not become longer than this"""
    interpolation: Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"] = "bicubic"
    rescale_first: bool = False
    """resize floating point values instead of 8-bit ones (DINOv3)"""
    crop: Size | None = None
    fill: tuple[int, int, int] = (0, 0, 0)
    """colour of the border where the crop is larger than the image"""
    rescale: float | None = 1 / 255
    mean: tuple[float, ...] | None = HALF
    std: tuple[float, ...] | None = HALF
    patch: int | None = None
    most_patches: int | None = None
    rounding: Literal["transformers", "torchvision"] = "transformers"
    channels: int = 3
    """3 colours, or 1 for greyscale"""
    source: str = "default"
    """the file it was read from, or whose default it is"""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ModelError(f"the model reads {self.channels} channels; pictures have 3 (colours) or 1 (greyscale).")
        for what, size in (("size", self.size), ("crop", self.crop)):
            if size is not None and min(size) < 1:
                raise ModelError(f"{self.source}: {what} {size} must be at least one pixel each way.")
        if (self.mean is None) != (self.std is None):
            raise ModelError(f"{self.source}: mean and std go together; got mean {self.mean} and std {self.std}.")
        for name, three in (("mean", self.mean), ("std", self.std)):
            if three is not None and len(three) != 3:
                raise ModelError(f"{self.source}: {name} {three} must be three numbers, one a colour.")
        if self.std is not None and 0 in self.std:
            raise ModelError(f"{self.source}: std {self.std} has a zero.")
        if self.resize == "patches" and not (self.patch and self.most_patches and self.channels == 3):
            raise ModelError(
                f"{self.source}: resizing to patches needs the patch size ({self.patch}), the most patches "
                f"({self.most_patches}) and a model of 3 colours, not 1 ({self.channels})."
            )
        if self.rescale_first and self.interpolation not in ("bilinear", "bicubic"):
            raise ModelError(f"{self.source}: rescaling before resizing is done bilinear or bicubic only.")

    @property
    def output(self) -> Size | None:
        """Height and width of what comes out; None where it depends on the image."""
        if self.crop is not None:
            return self.crop
        return self.size if self.resize == "squash" else None

    def describe(self) -> str:
        """One line for people: `resize 256x256 (squashed), bicubic, centre crop 224x224, mean ..., std ...`."""
        parts = []
        if self.resize == "patches":
            parts.append(
                f"resize to at most {self.most_patches} patches of {self.patch}x{self.patch}, {self.interpolation}"
            )
        elif self.resize != "none":
            parts += [f"resize {self._target()}", self.interpolation]
        if self.rescale_first:
            parts.append("in floating point")
        if self.crop is not None:
            parts.append(f"centre crop {_times(self.crop)}")
        if self.rescale is not None:
            parts.append("x/255" if abs(self.rescale - 1 / 255) < 1e-12 else f"x*{self.rescale:g}")
        if self.mean is not None and self.std is not None:
            parts += [f"mean {_numbers(self.mean)}", f"std {_numbers(self.std)}"]
        return ", ".join(parts) + f" (from {self.source})"

    def _target(self) -> str:
        if self.resize == "squash":
            return f"{_times(self.size)} (squashed)"
        if self.resize == "fit":
            return f"to fit into {_times(self.size)}"
        square = self.size[0] == self.size[1]
        limit = f", long side at most {self.longest}" if self.longest else ""
        return (f"short side {self.size[0]}" if square else f"to cover {_times(self.size)}") + limit

    def advice(self, native: Size | None = None) -> tuple[str, ...]:
        """Oddities to know, one sentence each; `native` is the image size for which the positions were learned."""
        said = list(self.notes)
        if self.resize == "squash" and self.crop is not None and self.crop != self.size:
            said.append(
                f"squashes every image to {_times(self.size)} before the {_times(self.crop)} crop; the original recipe "
                f"of DeiT, which timm uses, resizes the short side to {min(self.size)} and keeps the shape of things"
            )
        if self.resize == "none":
            said.append("images are not resized: a batch must hold images of one size")
        elif self.output is None and self.resize != "patches":
            said.append("the image is resized but not cropped: a batch must hold images of one shape")
        if (
            self.crop is not None
            and self.resize == "squash"
            and (self.crop[0] > self.size[0] or self.crop[1] > self.size[1])
        ):
            said.append(f"the crop {_times(self.crop)} is larger than the resized image: it gets a border")
        if self.rescale is None:
            said.append("pixels are not rescaled: values go in as 0..255")
        if self.mean is None:
            said.append("pixels are not normalised")
        if native is not None and self.output not in (None, native):
            said.append(
                f"gives {_times(self.output or native)} images to a model whose positions were learned at "
                f"{_times(native)}: positions are interpolated"
            )
        return tuple(said)

    def short_side(self) -> "ImageRecipe":
        """The same recipe with the short side resized instead of the whole image squashed."""
        if self.resize != "squash":
            return self
        side = min(self.size)
        return replace(self, resize="short side", size=(side, side), crop=self.crop or self.size, notes=())

    def covering(self, side: int) -> "ImageRecipe":
        """The same numbers from images of `side` x `side` pixels that show all of the short side: nothing is cut off
        but the ends of the long one."""
        whole = replace(self, resize="short side", size=(side, side), crop=(side, side), longest=None)
        return replace(whole, patch=None, most_patches=None, notes=())

    def at(self, side: int) -> "ImageRecipe":
        """The same recipe for images of `side` x `side` pixels: resize and crop grow in proportion."""
        if self.output is None:
            raise OptionError(f"this recipe has no fixed image size to change: {self.describe()}.")
        if side < 1:
            raise OptionError(f"an image size of {side} pixels; it must be at least 1.")
        height, width = self.output
        size = (round(self.size[0] * side / height), round(self.size[1] * side / width))
        return replace(self, size=size, crop=(side, side) if self.crop else None)


def _times(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
