"""An item as the model gets it and as a reader sees it."""

import base64
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.results.explain import TokenView
from classtoken.tensors import Tokens
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Role

NAMES = {Role.CLASS: "class", Role.DISTILLATION: "distillation", Role.REGISTER: "register"}


@dataclass(frozen=True)
class Prepared:
    """One input: its tokens, what to write on each, and the picture as a data URI."""

    name: str
    modality: str
    tokens: Tokens
    views: tuple[TokenView, ...]
    image: str | None = None
    patch: int = 16
    mask_id: int | None = None


def prepared(embedder: Embedder, item: Any, *, modality: str | None = None, prompt: str | None = None) -> Prepared:
    """Prepare one item. Raises `OptionError` for several, and the preprocessing's own errors for bad ones."""
    if isinstance(item, list | tuple):
        raise OptionError(f"one input is explained at a time, not {len(item)}; give --data for a whole data set.")
    tower = embedder.tower(modality)
    tokens = embedder.tokens([item], modality=modality, prompt=prompt)
    if isinstance(tower.prepare, TextPreprocessor):
        return _text(embedder, tower.prepare, str(item), tokens, prompt)
    assert isinstance(tower.prepare, ImagePreprocessor)
    return _image(tower.prepare, item, with_grid(tower.prepare, tokens))


def with_grid(prepare: ImagePreprocessor, tokens: Tokens) -> Tokens:
    """Tokens that know their patch grid, where all rows share one."""
    if tokens.grid is not None or tokens.grids is not None:
        return tokens
    return replace(tokens, grid=prepare.layout.grid)


def mask_id_of(prepare: TextPreprocessor) -> int:
    """The word piece that stands for nothing: [MASK], or padding where a tokenizer has none."""
    for name in ("[MASK]", "<mask>"):
        found = prepare.tokenizer.id_of(name)
        if found is not None:
            return found
    return prepare.pad_id


def _text(embedder: Embedder, prepare: TextPreprocessor, text: str, tokens: Tokens, prompt: str | None) -> Prepared:
    roles = [Role(int(r)) for r in tokens.roles_BL[0]]
    words = prepare.words(text, prompt=prompt)
    words += [""] * (len(roles) - len(words))
    views = tuple(TokenView(role, word) for role, word in zip(roles, words, strict=True))
    name = text if len(text) <= 60 else text[:57] + "..."
    return Prepared(name, "text", tokens, views, mask_id=mask_id_of(prepare))


def _image(prepare: ImagePreprocessor, item: Any, tokens: Tokens) -> Prepared:
    grid, views, patches = tokens.grid, [], 0
    counts: dict[Role, int] = {}
    for number in tokens.roles_BL[0].tolist():
        role = Role(number)
        if role == Role.CONTENT:
            cell = divmod(patches, grid[1]) if grid is not None else None
            at = f"patch {patches}" if cell is None else f"patch {patches} (row {cell[0]}, column {cell[1]})"
            views.append(TokenView(role, at, cell))
            patches += 1
        else:
            counts[role] = counts.get(role, 0) + 1
            views.append(TokenView(role, f"{NAMES.get(role, role.name.lower())} {counts[role]}"))
    name = Path(item).name if isinstance(item, str | Path) else "image"
    side = patch_of(tokens)
    return Prepared(name, "image", tokens, tuple(views), picture_of(tokens), side)


def patch_of(tokens: Tokens) -> int:
    """Side of a patch in pixels."""
    if tokens.pixels is None or tokens.pixels.dim() != 4 or tokens.grid is None:
        return 1
    return int(tokens.pixels.shape[-2]) // tokens.grid[0]


def window_of(tokens: Tokens) -> int:
    """Side of the windows that occlusion removes together: 2x2 patches on grids of more than 64."""
    return 2 if tokens.grid is not None and tokens.grid[0] * tokens.grid[1] > 64 else 1


def picture_of(tokens: Tokens) -> str | None:
    """What the model saw as a PNG data URI: its pixels brought to 0..255 by their own range."""
    if tokens.pixels is None or tokens.pixels.dim() != 4:
        return None
    pixels = tokens.pixels[0].detach().float().cpu()
    low, high = torch.quantile(pixels.flatten(), torch.tensor([0.002, 0.998]))
    scaled = ((pixels - low) / (high - low).clamp_min(1e-6)).clamp(0, 1).mul(255).round()
    array = np.ascontiguousarray(scaled.byte().permute(1, 2, 0).numpy())
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).convert("RGB").save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def name_of(embedder: Embedder) -> str:
    """The model's name for a reader: a built-in's or a hub's, or the folder's own name."""
    return Path(embedder.name).resolve().name if Path(embedder.name).exists() else embedder.name
