"""What a column of images may hold -> a path or encoded bytes, or in a few words why not."""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
#: How base64 begins of JPEG, PNG, GIF, WebP, BMP, TIFF and AVIF.
_CODED = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR", "Qk", "SUkq", "TU0A", "AAAA")
#: No path is longer.
LONGEST_PATH = 4096


def to_image(value: Any, folder: Path) -> Path | bytes | None:
    """A path (relative ones start at the table's folder), bytes, base64, a data URL, the struct {bytes, path} of
    `datasets`, or a list of one of these; None where there is nothing. Raises `ValueError` with the reason.

    What is a picture already (of Pillow, an array) stays as it is.
    """
    if isinstance(value, Mapping):
        return to_image(value.get("bytes") or value.get("path"), folder)
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise ValueError(f"the image is a list of {len(value)}; a record has one image")
        return to_image(value[0], folder) if value else None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value) or None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, str):
        return _of_text(value.strip(), folder)
    if hasattr(value, "convert") or hasattr(value, "shape"):
        return value
    raise ValueError(f"the image is a {type(value).__name__}, not a path, bytes or {{bytes, path}}")


def _of_text(text: str, folder: Path) -> Path | bytes | None:
    if not text:
        return None
    if text[:5].lower() == "data:":
        head, comma, body = text.partition(",")
        if not comma:
            raise ValueError(f"the image is a data URL without data ({head[:60]})")
        return _decoded(body) if head.lower().endswith(";base64") else unquote_to_bytes(body)
    address = _ADDRESS.match(text)
    if address and address[1].lower() == "file":
        return Path(unquote(urlsplit(text).path))
    if address:
        raise ValueError(f"the image is an address, {text[:100]}, and nothing is fetched; download it, give its path")
    if len(text) > 60 and text.startswith(_CODED) and "." not in text:
        return _decoded(text)
    if len(text) > LONGEST_PATH or "\0" in text:
        raise ValueError(f"the image is a text of {len(text)} characters, neither a path nor base64 of an image")
    path = folder / Path(text).expanduser()
    if "\\" in text and not path.exists():  # as Windows writes it
        path = folder / text.replace("\\", "/")
    return path


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()) + "=" * (-len(text.strip()) % 4))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the image is base64 that cannot be decoded ({error})") from None
