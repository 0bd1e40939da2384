"""An input as a person sees it: its tokens in words and where they stand in the text or the picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from classtoken.errors import OptionError
from classtoken.inputs.batches import one_batch
from classtoken.inputs.preprocessor import Preprocessor
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Role


@dataclass(frozen=True)
class InputView:
    """One input as a person sees it; every tuple has an entry per token.

    `words` are the tokenizer's own strings (images: empty). `spans` say where in `text` a token stands, in characters;
    `cells` where in the patch grid, (row, column). `picture` is (height, width, 3) bytes: exactly what the model saw
    before normalisation, None where that is no single picture.
    """

    modality: str
    roles: tuple[Role, ...]
    words: tuple[str, ...]
    spans: tuple[tuple[int, int] | None, ...]
    cells: tuple[tuple[int, int] | None, ...]
    text: str | None = None
    picture: np.ndarray | None = None


@dataclass(frozen=True)
class PreparedInput:
    """One input: its tokens as a batch of one, and how a person sees them."""

    tokens: Tokens
    view: InputView


def prepare_one(prepare: Preprocessor, item: Any, *, prompt: str | None = None) -> PreparedInput:
    """One item, prepared and made readable. Raises `BadRecord`, named by the item."""
    tokens = one_batch(prepare, [item], prompt=prompt)
    if tokens.grids is not None:  # a picture of its own grid, alone: no patch is padding
        tokens = tokens.unpadded(0)
    return PreparedInput(tokens, view_of(prepare, tokens, item, prompt=prompt))


def view_of(prepare: Preprocessor, tokens: Tokens, item: Any, *, prompt: str | None = None) -> InputView:
    """The view of an item whose tokens are the only row of `tokens`."""
    roles = tuple(Role(role) for role in tokens.roles_BL[0].tolist())
    if isinstance(prepare, TextPreprocessor):
        return _text(prepare, roles, item, prompt)
    assert isinstance(prepare, ImagePreprocessor)
    return _image(prepare, roles, tokens)


def _text(prepare: TextPreprocessor, roles: tuple[Role, ...], text: str, prompt: str | None) -> InputView:
    words = prepare.words(text, prompt=prompt)
    try:
        spans = prepare.spans(text, prompt=prompt)
    except OptionError:  # a tokenizer that cannot tell
        spans = [None] * len(words)
    filled = len(roles) - len(words)  # rows of a fixed length are filled up with padding
    left = prepare.recipe.pad_side == "left"
    words = [""] * (filled * left) + words + [""] * (filled * (not left))
    spans = [None] * (filled * left) + spans + [None] * (filled * (not left))
    return InputView("text", roles, tuple(words), tuple(spans), (None,) * len(roles), text=text)


def _image(prepare: ImagePreprocessor, roles: tuple[Role, ...], tokens: Tokens) -> InputView:
    cells: list[tuple[int, int] | None] = []
    patches, grid = 0, tokens.grid or (tokens.grids[0] if tokens.grids else None)
    for role in roles:
        patch = role == Role.CONTENT and grid is not None
        cells.append(divmod(patches, grid[1]) if patch and grid is not None else None)
        patches += patch
    picture = None
    if tokens.pixels is not None and grid is not None:
        picture = prepare.picture(tokens.pixels[0].float().cpu().numpy(), grid)
    return InputView("image", roles, ("",) * len(roles), (None,) * len(roles), tuple(cells), picture=picture)
