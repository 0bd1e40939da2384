"""Which side of a model a source is for: one rule for every verb."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from classtoken.errors import OptionError, SourceError
from classtoken.files import user_path
from classtoken.values import Modality, Record

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")

SHOWN = 80
"""signs of an input in a message"""
PLURAL = {"text": "texts", "image": "images"}


def check_item(item: Any, side: str, model: str, asked: str | None = None) -> None:
    """Raise `OptionError` for what a person gave as an input of one side and is plainly none.

    A path (`names_file`) is never taken for a text, and words are no picture's path. `asked`: the side that the person
    named; a string is then a text by their own word, whatever it is called.
    """
    path = isinstance(item, Path) or (isinstance(item, str) and names_file(item))
    named = path and not said_a_text(item, asked)
    shown = str(item) if len(str(item)) <= SHOWN else f"{str(item)[: SHOWN - 1]}…"
    if side == "text" and isinstance(item, str) and not item.strip():
        raise OptionError("the text is empty; give one with words.")
    if side == "text" and named:
        raise OptionError(
            f"'{shown}' is the name of a file or folder, and '{model}' reads texts; give a text, or a model of images. "
            "If this is a text, say so: `modality` text."
        )
    if side == "image" and isinstance(item, str) and not named and "://" not in item:
        raise OptionError(
            f"'{shown}' is no file here, and '{model}' reads images; give a picture's path, or a model of texts."
        )


def said_a_text(item: Any, asked: str | None) -> bool:
    """Whether a person named the texts' side, so that a string is a text even where a file has its name."""
    return asked == "text" and isinstance(item, str)


def names_picture(item: str | Path) -> bool:
    """Whether a name ends like a picture's."""
    return str(item).lower().endswith(IMAGE_SUFFIXES)


def names_file(item: str) -> bool:
    """Whether something is a path: a file or folder that is there, or one word that ends like a picture, a file of
    records or a folder."""
    if names_picture(item) or _is_there(item):
        return True
    from classtoken.source.opening import TABLES  # sources bring pyarrow and every option, which no model needs to open

    ends = item.endswith(("/", "/*")) or not set(Path(item).suffixes).isdisjoint(TABLES)
    return ends and not any(map(str.isspace, item))


def _is_there(name: str) -> bool:
    try:
        return bool(name.strip()) and user_path(name).exists()
    except (OSError, OptionError):  # longer than a name can be, a NUL in it, or nobody's home
        return False


def choose_modality(
    sides: Sequence[str], first: Record, asked: str | None = None, *, model: str, source: str = "the source"
) -> Modality:
    """`text` or `image`: what was asked for, else what both the model and the source's first record have.

    `sides` are those of the model that can do what is wanted; `model` and `source` are names for messages. Raises
    `OptionError` when both have both or the model has not what was asked for, `SourceError` when they have nothing in
    common.
    """
    there = [name for name, value in (("text", first.text), ("image", first.image)) if value is not None]
    if asked is not None and asked not in sides:
        raise OptionError(f"modality is {asked!r}, and '{model}' reads {' and '.join(sides)}; ask for that.")
    wanted = sides if asked is None else (asked,)
    both = [name for name in wanted if name in there]
    if not both:
        has = f"only {' and '.join(there)}" if there else "neither text nor image"
        ways = [f"give a source of {PLURAL[wanted[0]]}", *(f"a model of {PLURAL[name]}" for name in there)]
        if first.meta:
            columns = ", ".join(map(repr, first.meta))
            ways.append(f"name the column with `{wanted[0]}_column` (there are besides {columns})")
        raise SourceError(
            f"'{model}' reads {' and '.join(wanted)}, but the first record of {source} has {has}; {', or '.join(ways)}."
        )
    if len(both) > 1:
        raise OptionError(f"'{model}' and {source} both have text and image; say which with `modality`.")
    return cast(Modality, both[0])
