"""An uploaded picture, checked before and after it is decoded; what goes on is plain RGB pixels and nothing else."""

import io

import numpy as np
from PIL import Image

from classtoken.tokens.decode import WEB_FORMATS, Decoding, decode


def checked_picture(raw: bytes, most_pixels: int) -> bytes:
    """The picture as a fresh PNG: upright, RGB on white, without metadata. Raises `BadRecord` for anything else.

    Only the decoders of PNG, JPEG and WebP are ever tried, whatever the content type says; the number of pixels is read
    from the header and refused before one of them is decoded.
    """
    picture = decode(raw, Decoding(WEB_FORMATS, most_pixels, alpha="white"), name="the picture")
    out = io.BytesIO()
    Image.fromarray(np.asarray(picture)).save(out, "PNG", compress_level=1)  # pixels alone: no profile, no comment
    return out.getvalue()
