"""An item as the page shows it: its tokens in words, the picture exactly as the model saw it, spans in the sentence."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.head import PerTokenHead
from classtoken.inputs import InputView, prepare_one
from classtoken.page.example import ShownInput, ShownToken, Truth, role_name
from classtoken.readout.classifier import Classifier
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.values import Role
from classtoken.walk.items import Item


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


def walk_input(embedder: Embedder, item: Item) -> WalkInput:
    """Prepare one item as the checkpoint's authors do. Raises `BadRecord`, and `OptionError` for what has no grid."""
    tower = embedder.tower()
    prepared = prepare_one(tower.prepare, item.content)
    view, tokens = prepared.view, prepared.tokens.to(embedder.device)
    classifier = tower.reading.classifier
    known = classifier is not None and item.label in classifier.labels
    return WalkInput(
        item,
        tokens,
        shown_tokens(view, class_token_names(view.roles.count(Role.CLASS), classifier)),
        shown_input(view, tokens.grid),
        Truth(item.label if known else None, object_share(tower.prepare, tokens, item)),
        view.roles.index(Role.CLASS) if Role.CLASS in view.roles else len(view.roles) - 1,
    )


def shown_tokens(view: InputView, class_tokens: list[str]) -> tuple[ShownToken, ...]:
    """Every token with what is written on it: word pieces, numbers of patches and registers, class tokens' names."""
    counts: dict[Role, int] = {}
    found = []
    for role, word, span, cell in zip(view.roles, view.words, view.spans, view.cells, strict=True):
        counts[role] = counts.get(role, 0) + 1
        text = _readable(word)
        if view.modality == "image":
            text = {Role.CONTENT: str(counts[role]), Role.REGISTER: f"register {counts[role]}"}.get(role, "")
        if role == Role.CLASS and not text:
            text = class_tokens[counts[role] - 1]
        units = None if span is None else (_utf16(view.text, span[0]), _utf16(view.text, span[1]))
        found.append(ShownToken(role_name(role), text, cell, units))
    return tuple(found)


def shown_input(view: InputView, grid: tuple[int, int] | None) -> ShownInput:
    """The sentence, or the picture as the model saw it."""
    if view.modality == "text":
        return ShownInput("text", text=view.text)
    if view.picture is None or grid is None:
        raise OptionError(
            "this model reads patches of varying grids; the walkthrough shows models with one patch grid."
        )
    height, width = view.picture.shape[:2]
    return ShownInput("image", data_uri(Image.fromarray(view.picture)), width, height, grid)


def object_share(prepare: object, tokens: Tokens, item: Item) -> np.ndarray | None:
    """The share of each patch that is the object, where a mask says so; the mask is resized and cropped as pixels."""
    if item.mask is None or tokens.grid is None or not isinstance(prepare, ImagePreprocessor):
        return None
    rows, columns = tokens.grid
    white = Image.fromarray(np.repeat(item.mask[..., None].astype(np.uint8) * 255, 3, axis=2))
    values = prepare.picture(prepare.prepare(white).values)[..., 0] / 255
    height, width = values.shape[0] // rows, values.shape[1] // columns
    cut = values[: rows * height, : columns * width].reshape(rows, height, columns, width)
    return cut.mean((1, 3)).reshape(-1).astype(np.float32)


def class_token_names(count: int, classifier: Classifier | None) -> list[str]:
    """What several class tokens are called: by the class that each one answers for, or by their number."""
    if count == 1:
        return [""]
    if classifier is not None and isinstance(classifier.head, PerTokenHead):
        return [f"class token “{label}”" for label in classifier.labels]
    return [f"class token {i + 1}" for i in range(count)]


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


def _readable(word: str) -> str:
    """A word piece without its tokenizer's marks for spaces."""
    return word.replace("Ġ", " ").replace("▁", " ").strip() or word
