"""Read an `ImageRecipe` out of a model folder: Hugging Face, timm and open_clip, in their old and new spellings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import floor
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from PIL import Image

from classtoken.errors import ModelError
from classtoken.model_folder import first_module, read_json, whole
from classtoken.tokens.recipe import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD, ImageRecipe, Size

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Defaults:
    """What a processor class does where its file is silent. `short_side`: an old file's bare `size: 224` means that;
    `squashes`: silence does not."""

    size: Size = (224, 224)
    short_side: bool = False
    interpolation: str = "bicubic"
    crop: Size | None = None
    cropping: bool = False
    mean: tuple[float, ...] = HALF
    std: tuple[float, ...] = HALF
    squashes: bool = False


SQUARE = (224, 224)
OPENAI = Defaults(SQUARE, True, "bicubic", SQUARE, True, CLIP_MEAN, CLIP_STD)

#: Names of processor classes without "ImageProcessor", "Fast", "Pil" and "FeatureExtractor".
CLASSES: Mapping[str, Defaults] = {
    "ViT": Defaults(interpolation="bilinear"),
    "DeiT": Defaults((256, 256), False, "bicubic", SQUARE, True),
    "Beit": Defaults(crop=SQUARE),
    "CLIP": OPENAI,
    "ChineseCLIP": OPENAI,
    "Bit": OPENAI,
    "Blip": Defaults((384, 384), mean=CLIP_MEAN, std=CLIP_STD),
    "ConvNext": Defaults((384, 384), True),
    "Siglip": Defaults(short_side=True, squashes=True),
    "Siglip2": Defaults(interpolation="bilinear"),
    "DINOv3ViT": Defaults(interpolation="bilinear", mean=IMAGENET_MEAN, std=IMAGENET_STD),
}

#: Settings that would change pixels and that the four steps here do not do.
NOT_DONE = (
    "do_pad",
    "include_top",
    "rescale_offset",
    "do_flip_channel_order",
    "do_thumbnail",
    "do_align_long_axis",
    "do_color_quantize",
    "do_grayscale",
    "do_image_splitting",
)
#: Switches of steps -> the settings of each.
STEPS: Mapping[str, tuple[str, ...]] = {
    "do_resize": ("size", "resample", "crop_pct"),
    "do_center_crop": ("crop_size",),
    "do_rescale": ("rescale_factor",),
    "do_normalize": ("image_mean", "image_std"),
}
SUFFIXES = ("Fast", "Pil", "ImageProcessor", "FeatureExtractor")


def read_recipe(folder: Path | str, usual: Settings = MappingProxyType({}), usual_of: str = "") -> ImageRecipe:
    """The authors' preprocessing, from the first of these that the folder has.

    timm's `pretrained_cfg` in config.json; `image_processor` in processor_config.json; preprocessor_config.json;
    open_clip_config.json. `usual` are the settings of models like this one, in preprocessor_config.json's own keys:
    their class is taken where a file names none. In a folder without any file they are the recipe, with a note saying
    so, if `usual_of` says whose they are; else `ModelError`.
    """
    folder = first_module(Path(folder), ("preprocessor_config.json", "processor_config.json"))
    config = read_json(folder / "config.json") or {}
    if "pretrained_cfg" in config or ("architecture" in config and "input_size" in config):
        return timm_recipe(config.get("pretrained_cfg") or config)
    joint = read_json(folder / "processor_config.json") or {}
    if isinstance(joint.get("image_processor"), dict):
        return hugging_face_recipe(joint["image_processor"], usual, "processor_config.json")
    own = read_json(folder / "preprocessor_config.json")
    if own is not None:
        return hugging_face_recipe(own, usual, "preprocessor_config.json")
    open_clip = read_json(folder / "open_clip_config.json")
    if open_clip is not None:
        return open_clip_recipe(open_clip)
    if not (usual and usual_of):
        raise ModelError(
            f"{folder}: nothing says how images are prepared (preprocessor_config.json, processor_config.json, a "
            "pretrained_cfg in config.json, open_clip_config.json). Copy the file from where the model was published."
        )
    recipe = hugging_face_recipe(usual, {}, usual_of)
    return replace(recipe, notes=(*recipe.notes, f"no preprocessor file in the folder: {usual_of} is assumed"))


def hugging_face_recipe(settings: Settings, usual: Settings, source: str) -> ImageRecipe:
    """preprocessor_config.json -> recipe; what the file leaves out is the processor class's default.

    Of a class that is not in `CLASSES` the defaults are the `usual` settings, where these are of the same class. Its
    name then counts as passed over: before the first vector its pixels are compared with those of transformers' class.
    """
    name = _class_name(settings) or _class_name(usual)
    known = CLASSES.get(name)
    defaults = known or Defaults()
    notes: tuple[str, ...] = ()
    if known is not None:
        settings.get("image_processor_type"), settings.get("feature_extractor_type")  # read, and what it does is known
    else:
        settings = {**usual, **settings} if name and name == _class_name(usual) else settings
        _check_complete(settings, name, source)
        notes = (f"{source} names {name or 'no'} processor, unknown here: read as resize, crop, rescale, normalise",)
    refused = [key for key in NOT_DONE if settings.get(key)]
    if refused:
        raise ModelError(f"{source}: {', '.join(refused)} is not done; only resize, crop, rescale and normalise are.")
    for step, keys in STEPS.items():
        if not _flag(settings, step, step != "do_center_crop" or defaults.cropping):
            whole({key: settings.get(key) for key in keys})  # read: a step that is switched off does nothing with them
    recipe = ImageRecipe(
        interpolation=_resample(settings, defaults.interpolation, source),
        crop=_crop(settings, defaults, source),
        rescale=_factor(settings) if _flag(settings, "do_rescale", True) else None,
        mean=_three(settings.get("image_mean"), defaults.mean) if _flag(settings, "do_normalize", True) else None,
        std=_three(settings.get("image_std"), defaults.std) if _flag(settings, "do_normalize", True) else None,
        rescale_first=name == "DINOv3ViT",
        source=source,
        notes=notes,
    )
    if not _flag(settings, "do_resize", True):
        return recipe
    if name == "Siglip2":
        return replace(
            recipe,
            resize="patches",
            patch=int(settings.get("patch_size") or 16),
            most_patches=int(settings.get("max_num_patches") or 256),
        )
    return _resized(recipe, settings, name, defaults)


def _resized(recipe: ImageRecipe, settings: Settings, name: str, defaults: Defaults) -> ImageRecipe:
    size = settings.get("size")
    if size is None:
        short = defaults.short_side and not defaults.squashes
        size = {"shortest_edge": defaults.size[0]} if short else _height_width(defaults.size)
    if isinstance(size, int):
        square = settings.get("default_to_square")
        short = defaults.short_side if square is None else not square
        size = {"shortest_edge": size} if short else {"height": size, "width": size}
    if isinstance(size, list | tuple):
        size = _height_width(size)
    if not isinstance(size, Mapping):
        raise ModelError(f"{recipe.source}: size {size!r} is neither a number, a pair nor an object.")
    if size.get("shortest_edge"):
        side = int(size["shortest_edge"])
        if name == "ConvNext":
            return _convnext(recipe, side, settings)
        longest = size.get("longest_edge")
        return replace(recipe, resize="short side", size=(side, side), longest=int(longest) if longest else None)
    if size.get("height") and size.get("width"):
        return replace(recipe, resize="squash", size=(int(size["height"]), int(size["width"])))
    raise ModelError(f"{recipe.source}: size {dict(size)} must have height and width, or shortest_edge.")


def _convnext(recipe: ImageRecipe, side: int, settings: Settings) -> ImageRecipe:
    """Below 384: the short side to side / crop_pct, then the middle. From 384 on: squashed."""
    if side >= 384:
        return replace(recipe, resize="squash", size=(side, side))
    if recipe.crop is not None:
        raise ModelError(
            f"{recipe.source}: a ConvNext processor cuts images to {side}x{side} below 384 by itself, and "
            "do_center_crop would cut them again, which is not done. Take do_center_crop out if the authors did not."
        )
    short = int(side / float(settings.get("crop_pct") or 224 / 256))
    return replace(recipe, resize="short side", size=(short, short), crop=(side, side))


def timm_recipe(settings: Settings) -> ImageRecipe:
    """timm's `pretrained_cfg` -> the recipe of its evaluation transform (`timm.data.create_transform`)."""
    source = "timm's pretrained_cfg in config.json"
    _, height, width = settings.get("input_size") or (3, 224, 224)
    part = float(settings.get("crop_pct") or 0.875)
    scaled = (floor(height / part), floor(width / part))
    mode = settings.get("crop_mode") or "center"
    resize = {"center": "short side", "squash": "squash", "border": "fit"}.get(mode)
    if resize is None:
        raise ModelError(f"{source}: crop_mode {mode!r} is not known; allowed are center, squash and border.")
    mean = _three(settings.get("mean"), IMAGENET_MEAN)
    return ImageRecipe(
        resize=resize,  # type: ignore[arg-type]
        size=scaled,
        interpolation=_interpolation(settings.get("interpolation"), "bicubic", source),
        crop=(height, width),
        fill=_fill(mean) if mode == "border" else (0, 0, 0),
        mean=mean,
        std=_three(settings.get("std"), IMAGENET_STD),
        rounding="torchvision",
        source=source,
    )


def open_clip_recipe(config: Settings) -> ImageRecipe:
    """open_clip_config.json -> the recipe of its evaluation transform (`open_clip.image_transform`).

    Of two sizes the model's own counts, as in every version of open_clip's that was looked at (2.20 to 3.3): it writes
    `image_size` over what the preprocessing says. That they differ is noted.
    """
    source = "open_clip_config.json"
    settings = config.get("preprocess_cfg") or {}
    vision, size = (config.get("model_cfg") or {}).get("vision_cfg"), settings.get("size")
    height, width = _pair((size if vision is None else vision.get("image_size")) or 224)
    said = _pair(size or (height, width))
    other = (
        f"{source} says {said[0]}x{said[1]} pixels in preprocess_cfg and {height}x{width} in vision_cfg: images are "
        f"prepared at {height}x{width}, as by open_clip, which takes the model's size",
    )
    mode = settings.get("resize_mode") or "shortest"
    resize = {"shortest": "short side", "squash": "squash", "longest": "fit"}.get(mode)
    if resize is None:
        raise ModelError(f"{source}: resize_mode {mode!r} is not known; allowed are shortest, squash and longest.")
    if settings.get("mode", "RGB") != "RGB":
        raise ModelError(f"{source}: mode {settings['mode']!r} is not known; images are read as RGB.")
    if settings.get("interpolation") not in (None, "", "bicubic", "bilinear", "random"):
        raise ModelError(
            f"{source}: interpolation {settings['interpolation']!r} is not known; "
            "allowed are bicubic, bilinear and random."
        )
    fill = int(settings.get("fill_color") or 0)
    # open_clip does not hand the setting on where it resizes the short side to a target that is not square
    bilinear = settings.get("interpolation") == "bilinear" and (mode != "shortest" or height == width)
    return ImageRecipe(
        resize=resize,  # type: ignore[arg-type]
        size=(height, width),
        interpolation="bilinear" if bilinear else "bicubic",
        crop=None if mode == "squash" else (height, width),
        fill=(fill, fill, fill),
        mean=_three(settings.get("mean"), CLIP_MEAN),
        std=_three(settings.get("std"), CLIP_STD),
        rounding="torchvision",
        source=source,
        notes=() if said == (height, width) else other,
    )


def _pair(size: Any) -> Size:
    """A side, or height and width, as open_clip writes them."""
    height, width = (size, size) if isinstance(size, int) else size
    return (int(height), int(width))


def _class_name(settings: Settings) -> str:
    """The class that a file names. Asking for it is left to the caller who knows it (`model_folder.Watched`)."""
    plain = dict(settings)
    name = plain.get("image_processor_type") or plain.get("feature_extractor_type") or ""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return str(name)


def _check_complete(settings: Settings, name: str, source: str) -> None:
    needed = {"do_resize": ("size",), "do_center_crop": ("crop_size",), "do_normalize": ("image_mean", "image_std")}
    missing = [key for flag, keys in needed.items() if settings.get(flag) for key in keys if settings.get(key) is None]
    missing += [flag for flag in ("do_resize", "do_normalize") if settings.get(flag) is None]
    if missing:
        raise ModelError(
            f"{source}: the processor {name!r} is not one known here ({', '.join(CLASSES)}), and the file leaves out "
            f"{', '.join(missing)}. Write them into the file."
        )


def _crop(settings: Settings, defaults: Defaults, source: str) -> Size | None:
    if not _flag(settings, "do_center_crop", defaults.cropping):
        return None
    crop = settings.get("crop_size")
    if crop is None:
        crop = defaults.crop
    if isinstance(crop, int):
        return (crop, crop)
    if isinstance(crop, Mapping) and crop.get("height") and crop.get("width"):
        return (int(crop["height"]), int(crop["width"]))
    if isinstance(crop, list | tuple) and len(crop) == 2:
        return (int(crop[0]), int(crop[1]))
    raise ModelError(f"{source}: crop_size {crop!r} must be a number, or have height and width.")


def _resample(settings: Settings, default: str, source: str) -> Any:
    """`resample` as transformers reads it: a number of Pillow's."""
    code = settings.get("resample")
    if isinstance(code, str) and code.lower() != "bilinear":  # it takes bilinear for every word
        raise ModelError(
            f"{source}: resample {code!r} is a word, which transformers reads as bilinear; write Pillow's number "
            "(bicubic is 3, bilinear 2)."
        )
    if code is None and "resample" in settings and _flag(settings, "do_resize", True):
        raise ModelError(f"{source}: resample is null; write Pillow's number (bicubic is 3, bilinear 2).")
    return _interpolation(code, default, source)


def _interpolation(code: Any, default: str, source: str) -> Any:
    """Pillow's number or a name -> our name."""
    allowed = get_args(ImageRecipe.__annotations__["interpolation"])
    if isinstance(code, int) and code in set(Image.Resampling):
        return Image.Resampling(code).name.lower()
    name = default if code is None else str(code).lower()
    if name not in allowed:
        raise ModelError(f"{source}: interpolation {code!r} is not known; allowed are {', '.join(allowed)}, or 0 to 5.")
    return name


def _flag(settings: Settings, key: str, default: bool) -> bool:
    return bool(settings.get(key)) if key in settings else default  # a flag that is null is off, as in transformers


def _factor(settings: Settings) -> float:
    factor = settings.get("rescale_factor")
    return 1 / 255 if factor is None else float(factor)


def _three(values: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    if values is None:
        return default
    if isinstance(values, int | float):
        return (float(values),) * 3
    return tuple(float(value) for value in values) * (3 if len(values) == 1 else 1)


def _fill(mean: tuple[float, ...]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in mean)
    return (red, green, blue)


def _height_width(size: Any) -> dict[str, int]:
    return {"height": size[0], "width": size[1]}
