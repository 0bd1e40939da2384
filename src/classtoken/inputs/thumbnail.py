"""A small picture of a record's image, for pages that show many."""

import base64
import io
from typing import Any

from PIL import Image

from classtoken.errors import BadRecord
from classtoken.tokens.decode import decode

SIDE = 200
"""pixels of the longer side"""


def thumbnail(image: Any, side: int = SIDE) -> str | None:
    """An image as a JPEG in a data URI, at most `side` pixels long; None for one that cannot be decoded."""
    try:
        picture = decode(image)
    except BadRecord:
        return None
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
