"""A small picture of a record's image, for pages that show many."""

import base64
import io
from pathlib import Path
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


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width as a file's header has them; (0, 0) for what is no picture (any more)."""
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (OSError, ValueError, Image.DecompressionBombError):
        return 0, 0
