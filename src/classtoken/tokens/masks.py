"""Masks beside pictures: which of their pixels belong to what."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from classtoken.errors import OptionError
from classtoken.tokens.decode import decode
from classtoken.values import Record

#: By how much the sides of a mask and of its picture may differ in proportion, for sizes that were rounded.
PROPORTION = 0.03


def read_mask(record: Record) -> NDArray:
    """The values of the mask that a record names, (height, width) or (height, width, channels), upright and without
    alpha.

    It may have another size than the picture, but no other proportions: it is led through the same crop. Raises
    `OptionError` for one that has, as a mask made for the picture as it lies in the file where that is turned, and for
    one that cannot be read.
    """
    path = Path(str(record.meta["mask"]))
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            values = np.asarray(upright)
            alpha = upright.mode in ("LA", "La", "RGBA", "RGBa")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OptionError(f"the mask '{path}' cannot be read ({error}); mend it, or take it out of `masks`.") from None
    if record.image is not None:
        (height, width), picture = values.shape[:2], decode(record.image)
        if abs(np.log(width * picture.height / (height * picture.width))) > PROPORTION:
            raise OptionError(
                f"the mask '{path}' has {width}x{height} pixels, and its picture, upright, {picture.width}x"
                f"{picture.height}: not the same part of it. Make the mask for the picture as it is seen."
            )
    return values[..., :-1] if alpha else values
