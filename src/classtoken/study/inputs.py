"""An item, or the records of a source, as a study reads them."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from typing import Any, cast

from PIL import Image

from classtoken.embedder import Embedder
from classtoken.encoder.protocol import has_open_weights
from classtoken.errors import OptionError
from classtoken.files import shown_name
from classtoken.head import PerTokenHead
from classtoken.inputs import InputView, PreparedInput, Preprocessor, check_item, listed, prepare_one, rows, thumbnail
from classtoken.maps.table import Setting
from classtoken.probe.subject import Subject, check_tokens
from classtoken.readout.classifier import Classifier
from classtoken.results.explain import TokenView
from classtoken.tensors import Tokens
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Modality, Record, Rejected, Role

NAMES = {Role.CLASS: "class token", Role.DISTILLATION: "distillation token"}
BATCH = 8
NOTHING = "holds one token or no patch or word piece, so there is nothing to attend to"


def prepare_item(
    embedder: Embedder, item: Any, *, modality: str | None = None, prompt: str | None = None
) -> PreparedInput:
    """Prepare one item that `modality_of` took. Raises `OptionError` for one with nothing to attend to."""
    tower = embedder.tower(modality)
    found = prepare_one(tower.prepare, listed(item)[0], prompt=prompt)
    tokens = on_device(embedder, tower.prepare, found.tokens)
    check_tokens(tokens)
    if not bool((tokens.roles_BL == Role.CONTENT).any()):
        raise OptionError(f"this {found.view.modality} holds no patch or word piece, so there is nothing to explain.")
    return replace(found, tokens=tokens)


def modality_of(embedder: Embedder, item: Any, asked: str | None = None) -> Modality:
    """Which side of a model an item is for: the one `asked` for; else of pictures, and of names of files that are
    there, the images' side. Raises the errors of `check_one`."""
    if asked is None and len(embedder.modalities) > 1:
        named = isinstance(item, str) and len(item) < 4096 and "\n" not in item and Path(item).is_file()
        side = "image" if named or not isinstance(item, str) else "text"
    else:
        side = embedder.tower(asked).modality
    check_one(embedder, item, side, asked)
    return cast(Modality, side)


def check_one(embedder: Embedder, item: Any, side: str, asked: str | None = None) -> None:
    """Raise `OptionError` for several items, and for one that this side of a model does not read (`check_item`)."""
    items = listed(item)
    if len(items) != 1:
        raise OptionError(f"one input is explained at a time, not {len(items)}; explain a data set for many.")
    check_item(items[0], side, embedder.name, asked)


def on_device(embedder: Embedder, prepare: Preprocessor, tokens: Tokens) -> Tokens:
    """Tokens where the model is, with the patch grid where all rows share one."""
    moved = tokens.to(embedder.device, embedder.dtype)
    known = moved.grid is not None or moved.grids is not None
    return moved if known else replace(moved, grid=prepare.layout.grid)


def attends(tokens: Tokens) -> bool:
    """Whether every row holds content, and more than one token."""
    content = (tokens.roles_BL == Role.CONTENT).any(1)
    return bool((content & (tokens.mask_BL.sum(1) > 1)).all())


def name_of_item(item: Any, view: InputView) -> str:
    """A few words for the input: its beginning, or its file."""
    if view.text is not None:
        return begun(view.text)
    return Path(item).name if isinstance(item, str | Path) else "image"


def begun(text: str) -> str:
    """A text in one line, its beginning in whole words where it is longer than 60 characters."""
    line = " ".join(text.split())
    if len(line) <= 60:
        return line
    whole = line[:58].rsplit(" ", 1)[0]
    return (whole if len(whole) > 30 else line[:57]).rstrip(" ,;:") + " ..."


def token_names(view: InputView, classifier: Classifier | None = None) -> tuple[str, ...]:
    """What every token is called, in whatever is said of it: a word piece, `class token`, `patch 86 (row 6, column 2)`,
    `register 0`. Numbers count from 0, as in a cut (`tokens:p86`); several class tokens are called by the class that
    each one answers for, where the classifier reads them so."""
    of_class = class_token_names(classifier)
    found: list[str] = []
    counts: dict[Role, int] = {}
    for role, word, cell in zip(view.roles, view.words, view.cells, strict=True):
        number = counts[role] = counts.get(role, -1) + 1
        if view.modality == "text" and word:
            found.append(readable(word))
        elif role == Role.CONTENT:
            found.append(f"patch {number}" + ("" if cell is None else f" (row {cell[0]}, column {cell[1]})"))
        elif role == Role.CLASS and view.roles.count(role) > 1 and number < len(of_class):
            found.append(of_class[number])
        else:
            alone = view.roles.count(role) == 1 and role != Role.REGISTER
            found.append(NAMES.get(role, role.name.lower()) + ("" if alone else f" {number}"))
    return tuple(found)


def class_token_names(classifier: Classifier | None) -> tuple[str, ...]:
    """Several class tokens by the class that each answers for; nothing where the classifier does not read them so."""
    if classifier is None or not isinstance(classifier.head, PerTokenHead):
        return ()
    return tuple(f"class token “{label}”" for label in classifier.labels)


def token_views(view: InputView, classifier: Classifier | None = None) -> tuple[TokenView, ...]:
    """What to write on each token."""
    names = token_names(view, classifier)
    return tuple(TokenView(*parts) for parts in zip(view.roles, names, view.cells, strict=True))


def typical_of(
    embedder: Embedder, subject: Subject, tokens: Tokens, *, modality: str | None = None, prompt: str | None = None
) -> float | None:
    """How typical an input is of the labels; None where the classifier is not what is asked, or does not know."""
    classifier = embedder.tower(modality).reading.classifier
    if subject.head is None or classifier is None or classifier.typical is None:
        return None
    _, typical_B = embedder.answers_of(tokens, modality=modality, prompt=prompt)
    return None if typical_B is None else float(typical_B[0])


def readable(word: str) -> str:
    """A word piece without its tokenizer's marks for spaces."""
    return word.replace("Ġ", " ").replace("▁", " ").strip() or word


def given_as(embedder: Embedder, subject: Subject, *items: Any) -> tuple[str, ...] | None:
    """Items as they were given, then the model, for the command that walks them through; None for items of a program's
    own, and for a model whose numbers cannot be followed."""
    if not all(isinstance(item, str | Path) for item in items) or not has_open_weights(subject.encoder):
        return None
    return (*map(str, items), embedder.spec.model)


def picture_uri(view: InputView) -> str | None:
    """Exactly what the model saw, as a PNG data URI."""
    if view.picture is None:
        return None
    file = io.BytesIO()
    Image.fromarray(view.picture).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def original_of(item: Any, view: InputView) -> str | None:
    """The picture as it was given, small, as a data URI; None for a text."""
    return thumbnail(listed(item)[0]) if view.modality == "image" else None


def setting_of(prepare: Preprocessor, tokens: Tokens, seed: int) -> Setting:
    """What maps need besides the trace."""
    grid, side = tokens.grid, patch_side(tokens)
    window = 2 if grid is not None and grid[0] * grid[1] > 64 else 1
    return Setting(side, mask_id_of(prepare) if isinstance(prepare, TextPreprocessor) else None, seed, window)


def mask_id_of(prepare: TextPreprocessor) -> int:
    """The word piece that stands for nothing: [MASK], or padding where a tokenizer has none."""
    for name in ("[MASK]", "<mask>"):
        found = prepare.tokenizer.id_of(name)
        if found is not None:
            return found
    return prepare.pad_id


def patch_side(tokens: Tokens) -> int:
    """Side of a patch in pixels; 1 for what has no patches."""
    if tokens.pixels is None:
        return 1
    if tokens.pixels.dim() == 3:  # cut into patches already
        return isqrt(tokens.pixels.shape[-1] // 3)
    if tokens.grid is None:
        return 1
    return int(tokens.pixels.shape[-2]) // tokens.grid[0]


def name_of(embedder: Embedder) -> str:
    """The model's name for a reader: a built-in's or a hub's, or the folder's own name."""
    return shown_name(embedder.name)


@dataclass(frozen=True)
class StudiedInputs:
    """Records that could be prepared, in their order, in batches; `rejected` counts the others."""

    records: tuple[Record, ...]
    batches: tuple[Tokens, ...]
    rejected: int

    def single(self) -> Iterator[tuple[Record, Tokens]]:
        """One input at a time, padding cut away."""
        at = 0
        for batch in self.batches:
            for row in range(len(batch)):
                yield self.records[at], batch.unpadded(row)
                at += 1


def prepare_records(
    embedder: Embedder,
    records: Sequence[Record],
    *,
    modality: str | None = None,
    prompt: str | None = None,
    batch: int = BATCH,
) -> StudiedInputs:
    """Records as batches, in their order. Bad ones are counted; `OptionError` when none is left."""
    prepare = embedder.tower(modality).prepare
    rejected: dict[int, Rejected] = {}
    ready = []
    for place, row in rows(prepare, enumerate(records), rejected.__setitem__, prompt=prompt):
        if prepare.modality == "image" or attends(prepare.collate([row])):
            ready.append((place, row))
        else:
            rejected[place] = Rejected(records[place].id, NOTHING)
    if not ready:
        raise OptionError(f"none of the {len(records)} records can be read by this model.")
    chunks = [ready[start : start + batch] for start in range(0, len(ready), batch)]
    batches = tuple(on_device(embedder, prepare, prepare.collate([row for _, row in chunk])) for chunk in chunks)
    return StudiedInputs(tuple(records[place] for place, _ in ready), batches, len(rejected))
