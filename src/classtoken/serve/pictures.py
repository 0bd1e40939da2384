"""An uploaded picture, checked before and after it is decoded; what goes on is plain RGB pixels and nothing else."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps

from classtoken.errors import BadRecord

FORMATS = ("PNG", "JPEG", "WEBP")


@contextmanager
def readable(most_pixels: int) -> Iterator[None]:
    """Whatever a decoder raises inside becomes a `BadRecord` that says what to send instead."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadRecord(f"the picture has more than {most_pixels} pixels. Make it smaller.") from None
    except Exception as error:
        raise BadRecord(
            f"this is no picture that can be read ({type(error).__name__}); send a PNG, JPEG or WebP file."
        ) from None


def checked_picture(raw: bytes, most_pixels: int) -> bytes:
    """The picture as a fresh PNG: upright, RGB, without metadata. Raises `BadRecord` for anything else.

    Only the three formats' decoders are ever tried, whatever the content type says; the number of pixels is read from
    the header and refused before one of them is decoded.
    """
    with readable(most_pixels):
        picture = Image.open(io.BytesIO(raw), formats=FORMATS)
    if picture.width * picture.height > most_pixels:
        raise BadRecord(
            f"the picture has {picture.width}x{picture.height} pixels; at most {most_pixels} are read. Make it smaller."
        )
    with readable(most_pixels):
        upright = ImageOps.exif_transpose(picture)
        upright.load()
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        flat = Image.new("RGBA", upright.size, "white")
        flat.alpha_composite(upright.convert("RGBA"))
        upright = flat
    out = io.BytesIO()
    upright.convert("RGB").save(out, "PNG", compress_level=1)
    return out.getvalue()
