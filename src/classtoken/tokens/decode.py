"""Open an image safely and bring it to upright 8-bit RGB, without torch.

Everything that can be wrong with one image is a `BadRecord` that says which image and why. What is done to odd images:

* EXIF orientation is applied (as the pipelines of transformers do);
* alpha is dropped, as `convert("RGB")` does in torchvision, timm, open_clip and the pipelines of transformers; with
  `alpha="white"` the image is laid on white instead (as transformers' processors do with an RGBA image in memory);
* 16-bit greyscale is scaled, v / 257, where Pillow's own conversion clips everything above 255 to white; a PPM or PNG
  that Pillow opens in 32 bits has 16, however dark it is; of a TIFF with 12 bits 4095 is white, and one of 16 bits or
  floating point whose 0 is white is inverted, which Pillow does for 8 bits alone;
* floating point is read as 0..1 or as 0..255, whichever holds for all its values, and rounded; what goes beyond 0..1
  and would be all black as 0..255 is refused;
* CMYK is converted by Pillow, which reads every JPEG in CMYK as inverted, the way Adobe writes them;
* of an animation the first frame is taken.

JPEG's draft mode (decoding at a fraction of the size) is not used: it would change pixels.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin

from classtoken.errors import BadRecord, OptionError
from classtoken.files import special_file, user_path

ImageItem = Path | str | bytes | Image.Image | np.ndarray

#: What files of one's own may be. A service that takes strangers' files should ask for `WEB_FORMATS`.
LOCAL_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM")
WEB_FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True)
class Decoding:
    """What may be opened: formats (Pillow's names), the most pixels of an image, and what becomes of alpha.

    The default cap on pixels is where Pillow itself begins to refuse (2 x 89,478,485): a file of a few bytes can claim
    any size.
    """

    formats: tuple[str, ...] = LOCAL_FORMATS
    max_pixels: int = 178_956_970
    alpha: Literal["drop", "white"] = "drop"

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in LOCAL_FORMATS]
        if unknown or not self.formats:
            raise OptionError(f"image formats {unknown} are not read; allowed are {', '.join(LOCAL_FORMATS)}.")
        if self.max_pixels < 1:
            raise OptionError(f"max_pixels is {self.max_pixels}; it must be at least 1.")


DEFAULT = Decoding()
SIXTEEN_BITS = ("PNG", "PPM")
"""formats whose greyscale Pillow may open in 32 bits (mode I), scaled to 16 bits"""
BLACK = 2.0
"""of 255: a floating point picture whose highest value is below it is all black, or one of 0..1 that went beyond"""

#: How files begin that people take for images, and what they are.
OTHERS = (
    (b"ftyphei", "HEIC (of a telephone; convert it to JPEG)"),
    (b"ftypmif1", "HEIF (convert it to JPEG)"),
    (b"ftyp", "a video"),
    (b"%PDF", "a PDF document"),
    (b"version https://g", "a pointer of Git LFS (fetch the file itself: git lfs pull)"),
    (b"<svg", "an SVG drawing (draw it to PNG)"),
    (b"<?xml", "XML, perhaps an SVG drawing (draw it to PNG)"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"8BPS", "a Photoshop file (save it as PNG)"),
    (b"PK\x03\x04", "a ZIP archive (unpack it)"),
    (b"\x1f\x8b", "compressed by gzip (unpack it)"),
)


def name_of(item: Any) -> str:
    """A few words for error messages: the path, or what kind of thing it is."""
    if isinstance(item, str | Path):
        return str(item)
    if isinstance(item, bytes | bytearray):
        return f"image of {len(item)} bytes"
    if isinstance(item, np.ndarray):
        return f"array of shape {item.shape}"
    if isinstance(item, Image.Image):
        return getattr(item, "filename", "") or f"image of {item.width}x{item.height}"
    return f"value of type {type(item).__name__}"


def decode(item: ImageItem, decoding: Decoding = DEFAULT, *, name: str | None = None) -> Image.Image:
    """An image of any kind -> an upright 8-bit RGB image.

    Paths, encoded bytes, Pillow images, and arrays of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). Raises
    `BadRecord` naming the image (or `name`) and what is wrong with it.
    """
    name = name or name_of(item)
    try:
        if isinstance(item, np.ndarray):
            return _flatten_alpha(Image.fromarray(_eight_bits_of_array(item, name, decoding)), decoding.alpha)
        if isinstance(item, Image.Image):
            return _upright_rgb(item, name, decoding)
        if isinstance(item, bytes | bytearray):
            return _from_file(BytesIO(item), name, decoding)
        if isinstance(item, str | Path):
            with _readable(item, name).open("rb") as file:
                return _from_file(file, name, decoding)
    except BadRecord:
        raise
    except FileNotFoundError as error:
        raise BadRecord("there is no such file", name) from error
    except IsADirectoryError as error:
        raise BadRecord("this is a folder, not an image", name) from error
    except PermissionError as error:
        raise BadRecord("no permission to read this file", name) from error
    except Exception as error:  # decoders raise whatever they like on broken files
        said = " ".join(str(error).split()) or type(error).__name__
        raise BadRecord(f"broken or cut short ({said}); save it again, or leave it out", name) from error
    raise BadRecord("not an image; allowed are a path, bytes, a Pillow image or an array (H, W[, 1|3|4])", name)


def _readable(item: str | Path, name: str) -> Path:
    """The path of what may be opened. Raises `BadRecord` for what can be no path, and for what waits or never ends."""
    try:
        path = user_path(item)
    except OptionError as error:
        raise BadRecord(str(error).rstrip("."), name) from error
    if (special := special_file(path)) is not None:
        raise BadRecord(f"this is {special}, not an image", name)
    return path


def _from_file(file: BinaryIO, name: str, decoding: Decoding) -> Image.Image:
    with _open(file, name, decoding) as image:
        return _upright_rgb(image, name, decoding)


def _open(file: BinaryIO, name: str, decoding: Decoding) -> Image.Image:
    """Read the header by one of the allowed decoders.

    `Image.open` would do, but warns about or refuses large images by a setting that is global to the process.
    """
    start = file.read(32)
    if not start:
        raise BadRecord("the file is empty (0 bytes)", name)
    if any(form not in Image.OPEN for form in decoding.formats):
        Image.init()
    for form in decoding.formats:
        decoder, accept = Image.OPEN.get(form, (None, None))  # AVIF: only where Pillow was built with it
        if decoder is not None and accept is not None and accept(start) is True:
            file.seek(0)
            return decoder(file, name)
    what = next((f"; it is {kind}" for magic, kind in OTHERS if magic.lower() in start.lower()), "")
    raise BadRecord(
        f"not an image in one of the formats {', '.join(decoding.formats)}; begins with {start[:16]!r}{what}", name
    )


def _upright_rgb(image: Image.Image, name: str, decoding: Decoding) -> Image.Image:
    _check_size(image.width, image.height, name, decoding)
    _load(image)
    sixteen = image.mode == "I" and image.format in SIXTEEN_BITS
    bits, white = _said_by_tiff(image)
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if bits == 12:
            values = np.rint(values * (65535 / 4095))
            sixteen = True
        grey = _eight_bits(values.astype(np.uint16) if sixteen else values, name)
        return Image.fromarray(255 - grey if white else grey).convert("RGB")
    if image.mode in ("La", "RGBa"):  # premultiplied alpha
        image = image.convert(image.mode.upper())
    return _flatten_alpha(image, decoding.alpha)


def _load(image: Image.Image) -> None:
    """Read the pixels. Where it knows a path, Pillow maps that file into memory, and takes the rows of a grey TIFF that
    is turned on its side for as long as those of the turned picture: so it is told none meanwhile."""
    path = getattr(image, "filename", None)
    if isinstance(image, ImageFile.ImageFile):
        image.filename = ""
    try:
        image.load()
    finally:
        if isinstance(image, ImageFile.ImageFile):
            image.filename = path or ""


def _said_by_tiff(image: Image.Image) -> tuple[int | None, bool]:
    """Bits of a grey value, and whether 0 is white, as a TIFF's own tags say; None and False of anything else."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (None,))
    return bits[0], tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def _flatten_alpha(image: Image.Image, alpha: str) -> Image.Image:
    """Without alpha: dropped, or laid on white."""
    transparent = "A" in image.getbands() or image.info.get("transparency") is not None
    if transparent and (alpha == "white" or image.mode == "P"):  # a palette's alpha: through RGBA, or Pillow warns
        image = image.convert("RGBA")
    if transparent and alpha == "white":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _check_size(width: int, height: int, name: str, decoding: Decoding) -> None:
    if width < 1 or height < 1:
        raise BadRecord(f"an image of {width}x{height} has no pixels", name)
    if width * height > decoding.max_pixels:
        raise BadRecord(
            f"{width}x{height} is {width * height:,} pixels, more than the {decoding.max_pixels:,} allowed; "
            "make it smaller",
            name,
        )


def _eight_bits_of_array(values: np.ndarray, name: str, decoding: Decoding) -> np.ndarray:
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 and not (values.ndim == 3 and values.shape[-1] in (3, 4)):
        raise BadRecord("an array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), channels last", name)
    _check_size(values.shape[1], values.shape[0], name, decoding)
    return np.ascontiguousarray(_eight_bits(values, name))


def _eight_bits(values: np.ndarray, name: str) -> np.ndarray:
    """Any numbers -> uint8: 16 bits are divided by 257, 0..1 is multiplied by 255; what fits neither is refused."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * 255
    if values.dtype.kind not in "uif":
        raise BadRecord(f"pixels of type {values.dtype} are not read; allowed are integers and floats", name)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f":
        return _of_floats(values, low, high, name)
    sixteen = values.dtype.itemsize == 2 and values.dtype.kind == "u"
    if low < 0 or high > 65535:
        raise BadRecord(f"integer pixels from {low:g} to {high:g}; allowed are 0..255 or 16 bits, 0..65535", name)
    if sixteen or high > 255:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return values.astype(np.uint8)


def _of_floats(values: np.ndarray, low: float, high: float, name: str) -> np.ndarray:
    """0..1 or 0..255, with what arithmetic leaves beyond them: less than half a step of the eight bits."""
    scale = 255 if high * 255 < 255.5 else 1
    if not (low * scale > -0.5 and high * scale < 255.5):  # also when there is a NaN
        raise BadRecord(f"floating point pixels from {low:g} to {high:g}; allowed are 0..1 or 0..255", name)
    if scale == 1 and high < BLACK:
        raise BadRecord(
            f"floating point pixels from {low:g} to {high:g}: beyond 0..1, and all black as 0..255; clip them to 0..1",
            name,
        )
    return np.rint(values.astype(np.float64) * scale).clip(0, 255).astype(np.uint8)
