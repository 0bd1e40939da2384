"""What is walked through: pictures and sentences that a user names, or the package's own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import classtoken.drawn as drawn
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.inputs import check_item, listed
from classtoken.study.inputs import modality_of

SENTENCES = (
    "A wonderful film, funny and warm from beginning to end.",
    "The plot is thin and the jokes fall flat.",
    "The cat sat on the window sill and watched the birds.",
    "How do I reset the password of my account?",
)
"""what is walked through when no text is given"""


@dataclass(frozen=True)
class Item:
    """Something to walk through: an image (path, bytes, PIL) or a text, with a title and what is known about it.

    `mask` is True where the object is, (height, width) of the picture. `given`: by the reader, not by the package.
    """

    id: str
    title: str
    content: Path | bytes | str | Image.Image
    label: str | None = None
    mask: np.ndarray | None = field(default=None, compare=False)
    given: bool = False


def given_items(items: Any) -> list[str]:
    """The inputs that a person gave, one or several. Raises `OptionError` for what is no file and no text."""
    given = listed(items)
    wrong = next((item for item in given if not isinstance(item, str | Path)), None)
    if wrong is not None:
        raise OptionError(
            f"an input of a walkthrough is the path of an image or a text, and one here is of type "
            f"{type(wrong).__name__}; save a picture to a file and give its path."
        )
    return given


def items_of(embedder: Embedder, given: Sequence[str], asked: str | None = None) -> list[Item]:
    """Items from the command line or from code, of the side that was `asked` for; examples when none is given."""
    if is_image(embedder):
        if not given:
            return example_pictures(embedder)
        for name in given:
            check_item(name, "image", embedder.name)
        return [_picture(Path(name)) for name in given]
    for text in given:
        check_item(text, "text", embedder.name, asked)
    texts = list(given) or list(SENTENCES)
    return [Item(f"text-{i + 1}", short(text), text, given=bool(given)) for i, text in enumerate(texts)]


def side_of(embedder: Embedder, given: Sequence[str], asked: str | None) -> Embedder:
    """The side of a model that is walked through: the one asked for, else the one that the items given are for.

    Raises `OptionError` for a model with two sides of which nothing says which, and for items of both.
    """
    if asked is None and given and len(embedder.modalities) > 1:
        kinds = {item: modality_of(embedder, item) for item in given}
        if len(set(kinds.values())) > 1:
            text, image = (next(item for item in given if kinds[item] == kind) for kind in ("text", "image"))
            raise OptionError(
                f"one walkthrough is of texts or of images, and '{short(text)}' is a text, '{image}' an image; give "
                "them apart."
            )
        asked = kinds[given[0]]
    return embedder.side(asked)


def is_image(embedder: Embedder) -> bool:
    """True when the model reads pictures."""
    return embedder.tower().modality == "image"


def example_pictures(embedder: Embedder) -> list[Item]:
    """A cat, a dog and a bird that the package draws itself, with their true outlines."""

    rows, columns = embedder.layout.grid or (0, 0)
    tiny = rows * columns <= 16
    found: dict[str, Item] = {}
    for index in range(400):
        scene = drawn.draw_tiny(3, index) if tiny else drawn.draw(3, index)
        if len(scene.labels) == 1 and scene.labels[0] not in found:
            name = scene.labels[0]
            found[name] = Item(name, f"a drawn {name}", Image.fromarray(scene.image), name, scene.mask(name))
        if len(found) == len(drawn.LABELS):
            break
    return [found[name] for name in ("cat", "dog", "bird") if name in found]


def distinct(items: Sequence[Item]) -> list[Item]:
    """Items whose ids differ, and whose titles do: nothing else tells two buttons or two lines of a list apart.

    Of files with one name the title says as much of their folders as differs; what is alike even so is counted.
    """
    ids = _counted([item.id for item in items], "{}-{}")
    titles = [item.title for item in items]
    paths = [item.content if isinstance(item.content, Path) else None for item in items]
    for depth in range(2, max((len(path.parts) for path in paths if path), default=0) + 1):
        files = Counter(title for title, path in set(zip(titles, paths, strict=True)) if path)
        titles = [
            "/".join(path.relative_to(path.anchor).parts[-depth:]) if path and files[title] > 1 else title
            for title, path in zip(titles, paths, strict=True)
        ]
    titles = _counted(titles, "{} ({})")
    return [replace(item, id=id, title=title) for item, id, title in zip(items, ids, titles, strict=True)]


def _counted(names: Sequence[str], written: str) -> list[str]:
    """The names; one that is taken gets the next number that is free, as `written` says."""
    taken: dict[str, None] = {}
    for name in names:
        numbers = (written.format(name, n) for n in count(2))
        taken[next(each for each in chain([name], numbers) if each not in taken)] = None
    return list(taken)


def _picture(path: Path) -> Item:
    return Item(path.stem[:40] or "picture", path.name, path, given=True)


def short(text: str) -> str:
    """A text as a title."""
    return text if len(text) <= 28 else text[:27].rstrip() + "…"
