"""An item as the page shows it: its tokens in words, the picture exactly as the model saw it, spans in the sentence."""

import base64
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.inputs import InputView, prepare_one, rest_in_words
from classtoken.inputs.thumbnail import thumbnail
from classtoken.page.example import ShownInput, ShownToken, Truth, role_name
from classtoken.probe.subject import Subject
from classtoken.readout.classifier import Classifier
from classtoken.study.inputs import readable, token_names
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.values import Role
from classtoken.walk.items import Item

ORIGINAL = 160
"""pixels of the longer side of a reader's own picture, shown beside what the model gets of it"""


@dataclass(frozen=True)
class WalkInput:
    """An item as a batch of one, and as what the page shows. `watched` is the place of the class token; of a model
    without one, of the last token, until more is known."""

    item: Item
    tokens: Tokens
    shown: tuple[ShownToken, ...]
    input: ShownInput
    truth: Truth
    watched: int


def walk_input(embedder: Embedder, subject: Subject, item: Item) -> WalkInput:
    """Prepare one item as the checkpoint's authors do, its tokens with the roles by which the subject's story is told.
    Raises `BadRecord`, and `OptionError` for what is no single picture."""
    tower = embedder.tower()
    prepared = prepare_one(tower.prepare, item.content)
    view = replace(prepared.view, roles=subject.told(prepared.view.roles))
    tokens = prepared.tokens.to(embedder.device)
    if Role.CONTENT not in view.roles:
        raise OptionError(
            f"of {item.title!r} no word piece is left, so that nothing can be walked through; give one with words."
        )
    tokens = replace(tokens, roles_BL=tokens.roles_BL.new_tensor([[int(role) for role in view.roles]]))
    classifier = tower.reading.classifier
    known = classifier is not None and classifier.labels.count(item.label or "") == 1
    return WalkInput(
        item,
        tokens,
        shown_tokens(view, classifier),
        replace(
            shown_input(view, tokens.grid),
            original=original(item),
            given=file_of(item),
            unread=next(iter(rest_in_words(tower.prepare, tokens.cut)), None),
        ),
        Truth(item.label if known else None, object_share(tower.prepare, tokens, item)),
        view.roles.index(Role.CLASS) if Role.CLASS in view.roles else len(view.roles) - 1,
    )


def shown_tokens(view: InputView, classifier: Classifier | None) -> tuple[ShownToken, ...]:
    """Every token with its name and what is written on it: a word piece, a patch's number, nothing."""
    found, patches = [], 0
    for name, role, word, span, cell in zip(
        token_names(view, classifier), view.roles, view.words, view.spans, view.cells, strict=True
    ):
        text = readable(word)
        if view.modality == "image" and role == Role.CONTENT:
            text, patches = str(patches), patches + 1
        units = None if span is None else (_utf16(view.text, span[0]), _utf16(view.text, span[1]))
        found.append(ShownToken(role_name(role), name, text, cell, units))
    return tuple(found)


def shown_input(view: InputView, grid: tuple[int, int] | None) -> ShownInput:
    """The sentence, or the picture as the model saw it."""
    if view.modality == "text":
        return ShownInput("text", text=view.text)
    if view.picture is None or grid is None:
        raise OptionError(
            "what this model reads of an image is no single picture with one grid of patches, which is what the "
            "walkthrough draws; explain shows which parts of it matter."
        )
    height, width = view.picture.shape[:2]
    return ShownInput("image", data_uri(Image.fromarray(view.picture)), width, height, grid)


def file_of(item: Item) -> str | None:
    """The file that an input came from, as it was named."""
    return str(item.content) if item.given and isinstance(item.content, Path) else None


def original(item: Item) -> str | None:
    """A reader's own picture as it came, small; the package's are drawn in the size in which they are shown."""
    return None if not item.given or isinstance(item.content, str) else thumbnail(item.content, ORIGINAL)


def object_share(prepare: object, tokens: Tokens, item: Item) -> np.ndarray | None:
    """The share of each patch that is the object, where a mask says so; the mask is resized and cropped as pixels."""
    if item.mask is None or tokens.grid is None or not isinstance(prepare, ImagePreprocessor):
        return None
    rows, columns = tokens.grid
    white = Image.fromarray(np.repeat(item.mask[..., None].astype(np.uint8) * 255, 3, axis=2))
    prepared = prepare.prepare(white)
    values = prepare.picture(prepared.values, prepared.grid)[..., 0] / 255
    height, width = values.shape[0] // rows, values.shape[1] // columns
    cut = values[: rows * height, : columns * width].reshape(rows, height, columns, width)
    return cut.mean((1, 3)).reshape(-1).astype(np.float32)


def data_uri(picture: Image.Image) -> str:
    """A picture as a data URI, without loss, since what the model saw is shown as it is; small ones enlarged."""
    while max(picture.size) < 96:
        picture = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST)
    out = io.BytesIO()
    picture.save(out, "WEBP", lossless=True, quality=80)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _utf16(text: str | None, end: int) -> int:
    """How many UTF-16 units the first `end` characters take: the page counts in those."""
    return len((text or "")[:end].encode("utf-16-le")) // 2
