"""What is known about records besides the model: masks of the object, and labels."""

import numpy as np
from PIL import Image

from classtoken.errors import OptionError
from classtoken.inputs import Preprocessor
from classtoken.maps.truth import patch_shares
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.masks import read_mask
from classtoken.values import Record


def mask_shares(record: Record, grid: tuple[int, int] | None, prepare: Preprocessor) -> np.ndarray | None:
    """The share of every patch that the object covers, through the model's own crop; None without a usable mask.

    Every value of the mask but 0 is the object. Raises `OptionError` for a mask that is none of this picture.
    """
    if not record.meta.get("mask") or grid is None or not isinstance(prepare, ImagePreprocessor):
        return None
    mask = np.asarray(read_mask(record) > 0)
    flat = mask if mask.ndim == 2 else np.asarray(mask.any(-1))
    return usable(patch_shares(crop_mask(flat, prepare), grid))


def usable(shares_P: np.ndarray) -> np.ndarray | None:
    """Shares of an object that can be hit and missed; None where it covers nothing or everything."""
    return None if shares_P.max() == 0 or (shares_P >= min(0.5, shares_P.max())).all() else shares_P


def crop_mask(mask_HW: np.ndarray, prepare: ImagePreprocessor) -> np.ndarray:
    """A mask through the same resize and crop as the picture: prepared as an image of its own, then cut at one half."""
    picture = Image.fromarray(mask_HW.astype(np.uint8) * 255).convert("RGB")
    pixels = prepare([picture]).pixels
    black = prepare([Image.new("RGB", picture.size, (0, 0, 0))]).pixels
    white = prepare([Image.new("RGB", picture.size, (255, 255, 255))]).pixels
    if pixels is None or black is None or white is None:
        raise OptionError("masks need images as pixels.")
    share = (pixels - black)[0].mean(0) / (white - black)[0].mean(0)
    return share.clamp(0, 1).double().numpy() > 0.5


def truth_of(records: tuple[Record, ...], labels: tuple[str, ...], *, multilabel: bool) -> np.ndarray | None:
    """Which classes each record has, by name or number, (n, C); None when any is missing or unknown.

    multilabel: a record without a label has none of the classes, where others have some.
    """
    if all(r.label is None for r in records) or (not multilabel and any(r.label is None for r in records)):
        return None
    names = {name: i for i, name in enumerate(labels)}
    truth = np.zeros((len(records), len(labels)), dtype=bool)
    for row, record_ in enumerate(records):
        for label in (record_.label,) if isinstance(record_.label, str) else record_.label or ():
            index = names.get(str(label), int(label) if str(label).isdecimal() else -1)
            if not 0 <= index < len(labels):
                return None
            truth[row, index] = True
    return truth
