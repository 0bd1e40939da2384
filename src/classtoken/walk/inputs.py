"""An item as the page shows it: its tokens in words, the picture exactly as the model saw it, spans in the sentence."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from classtoken import drawn
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.head import PerTokenHead
from classtoken.page.example import ShownInput, ShownToken, Truth, role_name
from classtoken.readout.classifier import Classifier
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Role

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

    `mask` is True where the object is, (height, width) of the picture.
    """

    id: str
    title: str
    content: Path | bytes | str | Image.Image
    label: str | None = None
    mask: np.ndarray | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Prepared:
    """An item as a batch of one, and as what the page shows."""

    item: Item
    tokens: Tokens
    shown: tuple[ShownToken, ...]
    input: ShownInput
    truth: Truth
    watched: int


def items_of(embedder: Embedder, given: Sequence[str]) -> list[Item]:
    """Items from the command line or from code; examples when none is given."""
    if is_image(embedder):
        if not given:
            return example_pictures(embedder)
        return [_picture(Path(name)) for name in given]
    texts = list(given) or list(SENTENCES)
    return [Item(f"text-{i + 1}", short(text), text) for i, text in enumerate(texts)]


def is_image(embedder: Embedder) -> bool:
    """True when the (first) tower reads pictures."""
    return embedder.modalities[0] == "image"


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


def prepare(embedder: Embedder, item: Item) -> Prepared:
    """Prepare one item as the checkpoint's authors do. Raises `BadRecord`, and `OptionError` without a class token."""
    modality = embedder.modalities[0]
    tower = embedder.tower(modality)
    tokens = embedder.tokens([item.content], modality=modality)
    roles = tokens.roles_BL[0].tolist()
    if Role.CLASS not in roles:
        raise OptionError(
            f"'{embedder.name}' has no class token ({tower.layout}), so there is none to watch being made. Walk "
            "through a model with one (classtoken inspect MODEL says), or use: classtoken explain."
        )
    if isinstance(tower.prepare, ImagePreprocessor):
        shown, shape, truth = _image(tower.prepare, tokens, item)
    else:
        assert isinstance(tower.prepare, TextPreprocessor)
        shown, shape, truth = _text(tower.prepare, tokens, str(item.content))
    classifier = tower.reading.classifier
    known = classifier is not None and item.label in classifier.labels
    names = iter(class_token_names(roles.count(Role.CLASS), classifier))
    shown = tuple(
        replace(token, text=next(names)) if token.role == "class" and not token.text else token for token in shown
    )
    return Prepared(item, tokens, shown, shape, Truth(item.label if known else None, truth), roles.index(Role.CLASS))


def class_token_names(count: int, classifier: Classifier | None) -> list[str]:
    """What several class tokens are called: by the class that each one answers for, or by their number."""
    if count == 1:
        return [""]
    if classifier is not None and isinstance(classifier.head, PerTokenHead):
        return [f"class token “{label}”" for label in classifier.labels]
    return [f"class token {i + 1}" for i in range(count)]


def _picture(path: Path) -> Item:
    return Item(path.stem[:40] or "picture", path.name, path)


def short(text: str) -> str:
    """A text as a title."""
    return text if len(text) <= 28 else text[:27].rstrip() + "…"


def _image(
    prepare: ImagePreprocessor, tokens: Tokens, item: Item
) -> tuple[tuple[ShownToken, ...], ShownInput, np.ndarray | None]:
    if tokens.grid is None or tokens.pixels is None or tokens.pixels.dim() != 4:
        raise OptionError(
            "this model reads patches of varying grids; the walkthrough shows models with one patch grid."
        )
    rows, columns = tokens.grid
    shown, patch, register = [], 0, 0
    for role in tokens.roles_BL[0].tolist():
        if role == Role.CONTENT:
            shown.append(ShownToken("content", str(patch + 1), cell=divmod(patch, columns)))
            patch += 1
        else:
            register += role == Role.REGISTER
            shown.append(ShownToken(role_name(role), f"register {register}" if role == Role.REGISTER else ""))
    pixels = tokens.pixels[0].float().cpu().numpy()
    height, width = pixels.shape[1:]
    picture = Image.fromarray(_eight_bits(pixels, prepare))
    seen = ShownInput("image", data_uri(picture), width, height, (rows, columns))
    truth = None
    if item.mask is not None:
        white = Image.fromarray(np.repeat(item.mask[..., None].astype(np.uint8) * 255, 3, axis=2))
        values = _eight_bits(prepare.prepare(white).values, prepare)[..., 0] / 255
        patch_rows, patch_columns = height // rows, width // columns
        cut = values[: rows * patch_rows, : columns * patch_columns].reshape(rows, patch_rows, columns, patch_columns)
        truth = cut.mean((1, 3)).reshape(-1).astype(np.float32)
    return tuple(shown), seen, truth


def _eight_bits(values_CHW: np.ndarray, prepare: ImagePreprocessor) -> np.ndarray:
    """Pixels as they were before normalisation: what the model saw, as a picture."""
    recipe = prepare.recipe
    values = values_CHW.transpose(1, 2, 0)
    if recipe.mean is not None and recipe.std is not None:
        values = values * np.array(recipe.std) + np.array(recipe.mean)
    scale = 1.0 if recipe.rescale is None else 1 / recipe.rescale
    return (values * scale).round().clip(0, 255).astype(np.uint8)


def data_uri(picture: Image.Image) -> str:
    """A picture as a data URI, without loss, since what the model saw is shown as it is; small ones enlarged."""
    while max(picture.size) < 96:
        picture = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST)
    out = io.BytesIO()
    picture.save(out, "WEBP", lossless=True, quality=80)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _text(
    prepare: TextPreprocessor, tokens: Tokens, text: str
) -> tuple[tuple[ShownToken, ...], ShownInput, np.ndarray | None]:
    words = prepare.words(text)
    try:
        spans: list[tuple[int, int] | None] = prepare.spans(text)
    except OptionError:
        spans = [None] * len(words)
    shown = []
    for role, word, span in zip(tokens.roles_BL[0].tolist(), words, spans, strict=True):
        units = None if span is None else (_utf16(text[: span[0]]), _utf16(text[: span[1]]))
        shown.append(ShownToken(role_name(role), _readable(word), span=units))
    return tuple(shown), ShownInput("text", text=text), None


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _readable(word: str) -> str:
    """A word piece without its tokenizer's marks for spaces."""
    return word.replace("Ġ", " ").replace("▁", " ").strip() or word
