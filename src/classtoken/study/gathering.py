"""The same numbers over many inputs, batch by batch: arrays with a row per input."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import BadRecord, OptionError
from classtoken.maps.truth import patch_shares
from classtoken.probe.capture import Captured, Keep, row_places, take
from classtoken.probe.interventions import before_layer, record
from classtoken.probe.lens import lens
from classtoken.probe.run_on import resume
from classtoken.probe.subject import Subject
from classtoken.study.artefacts import outliers
from classtoken.study.description import attention_distance, class_distance, describe_row
from classtoken.study.inputs import patch_of, with_grid
from classtoken.tensors import Tokens
from classtoken.tokens.decode import decode
from classtoken.tokens.image import ImagePreprocessor
from classtoken.values import Record, Role

BATCH = 8


@dataclass
class Gathered:
    """Arrays over inputs by name: (n, N), (n, N, H), (n, P) or (n, T, ...)."""

    arrays: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, name: str, values: Tensor) -> None:
        """A batch's values."""
        self.arrays.setdefault(name, []).append(values.detach().double().cpu().numpy())

    def __getitem__(self, name: str) -> np.ndarray:
        return np.concatenate(self.arrays[name])

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    @property
    def names(self) -> tuple[str, ...]:
        """What was gathered."""
        return tuple(self.arrays)


@dataclass(frozen=True)
class Inputs:
    """Records that could be prepared, in batches of equal layout; `refused` counts the others."""

    records: tuple[Record, ...]
    batches: tuple[Tokens, ...]
    refused: int

    def single(self) -> Iterator[tuple[Record, Tokens]]:
        """One input at a time, padding cut away."""
        at = 0
        for batch in self.batches:
            for row in range(len(batch)):
                yield self.records[at], one(batch, row)
                at += 1


def one(tokens: Tokens, row: int) -> Tokens:
    """One input of a batch without its padding."""
    kept = tokens.roles_BL[row] != Role.PAD
    return Tokens(
        tokens.roles_BL[row : row + 1, kept],
        None if tokens.ids_BL is None else tokens.ids_BL[row : row + 1, kept],
        None if tokens.pixels is None else tokens.pixels[row : row + 1],
        tokens.grid,
        None if tokens.grids is None else tokens.grids[row : row + 1],
    )


def prepare(
    embedder: Embedder, records: list[Record], *, modality: str | None, prompt: str | None, batch: int = BATCH
) -> Inputs:
    """Records -> batches. Bad ones are counted; `OptionError` when none is left."""
    tower = embedder.tower(modality)
    preprocessor = tower.prepare
    image = isinstance(preprocessor, ImagePreprocessor)
    good = [r for r in records if _readable(embedder, r, image, modality)]
    if not good:
        raise OptionError(f"none of the {len(records)} records can be read by this model.")
    batches = []
    for start in range(0, len(good), batch):
        items = [r.image if image else r.text for r in good[start : start + batch]]
        tokens = embedder.tokens(items, modality=modality, prompt=prompt)
        batches.append(with_grid(preprocessor, tokens) if isinstance(preprocessor, ImagePreprocessor) else tokens)
    return Inputs(tuple(good), tuple(batches), len(records) - len(good))


def _readable(embedder: Embedder, record_: Record, image: bool, modality: str | None) -> bool:
    """Whether a record can be prepared and has something to attend to; pictures are only opened."""
    try:
        if image and record_.image is not None:
            decode(record_.image)
        elif not image and record_.text is not None:
            roles = embedder.tokens([record_.text], modality=modality).roles_BL
            return bool((roles == Role.CONTENT).any()) and roles.shape[1] > 1
        else:
            return False
    except BadRecord:
        return False
    return True


def gather(subject: Subject, inputs: Inputs, report: Callable[[str], None] | None = None) -> Gathered:
    """Descriptions, lens and states of the class token(s) over all inputs."""
    found = Gathered()
    done = 0
    for n, tokens in enumerate(inputs.batches):
        _describe(subject, tokens, found)
        done += len(tokens)
        if report is not None and n % 4 == 0:
            report(f"explain: {done} of {len(inputs.records)} inputs described")
    return found


def _describe(subject: Subject, tokens: Tokens, found: Gathered) -> None:
    """Everything that one forward shows: the class token's rows, distances, states of all layers."""
    side, grid = patch_of(tokens), tokens.grid
    classes = tokens.roles_BL == Role.CLASS
    places = row_places(tokens.roles_BL, {Role.CLASS}) if bool(classes.any(1).all()) else None
    rows: list[Tensor] = []
    distances: list[Tensor] = []

    def reduce(weights_BHLL: Tensor) -> Tensor:
        if places is not None:
            rows.append(take(weights_BHLL, places, dim=2))
        if grid is not None:
            distances.append(attention_distance(weights_BHLL, tokens.roles_BL, grid, side))
        return weights_BHLL.new_empty(0)

    names = [before_layer(i, subject.depth) for i in range(subject.depth + 1)]
    shown = not {"states", "embeddings"} & set(subject.encoder.gaps)
    reductions: dict[str, Callable[[Tensor], Tensor]] = {f"blocks.{i}.weights": reduce for i in range(subject.depth)}
    reductions |= {name: _same for name in names} if shown else {}
    keep = Keep(reductions)
    with torch.no_grad():
        final = subject.states(tokens, keep)
        outcome = subject.outcome(final)
    layers = tuple(range(subject.depth))
    captured = Captured(layers, {"weights": tuple(rows)}, final, outcome, tokens.roles_BL, grid)
    if places is not None:
        _rows(captured, places, side, found)
    if distances:
        found.add("attention_distance", torch.stack(distances, 1))
    if shown:
        _states(subject, tokens, [keep.kept[name] for name in names], found)


def _same(value: Tensor) -> Tensor:
    return value


def _rows(captured: Captured, places_BR: Tensor, side: int, found: Gathered) -> None:
    roles, grid = captured.roles_BL, captured.grid
    row = describe_row(captured, places_BR)
    found.add("relative_entropy", row.relative_BNH)
    found.add("effective_tokens", row.effective_BNH)
    found.add("on_itself", row.itself_BNH)
    found.add("head_agreement", row.agreement_BN)
    for role, mass in row.masses.items():
        found.add(f"mass_{role.name.lower()}", mass)
    weights = captured.stack("weights")
    if grid is not None:
        spread = [class_distance(w, roles, grid, side).mean(2) for w in captured.parts["weights"]]
        found.add("spread", torch.stack(spread, 1))
        content = (roles == Role.CONTENT).nonzero()[:, 1].view(len(roles), -1)
        found.add("direct", weights.mean((1, 2, 3)).gather(1, content))
    if places_BR.shape[1] > 1:
        found.add("class_maps", weights[:, -1].mean(1))


def _states(subject: Subject, tokens: Tokens, states: list[Tensor], found: Gathered) -> None:
    found.add("outlier_share", torch.stack([outliers(x, tokens.roles_BL).share_B for x in states[1:]], 1))
    classes = tokens.roles_BL == Role.CLASS
    if int(classes.sum(1).min()) > 1:
        held = [x[classes].view(len(tokens), -1, x.shape[-1]) for x in states]
        found.add("class_states", torch.stack(held, 1))
    if subject.head is not None and is_stepwise(subject.encoder):
        found.add("lens_answers", answers_of(subject, lens(subject, tokens, states).outcome_BNC))


def answers_of(subject: Subject, outcome: Tensor) -> Tensor:
    """What the model says, (..., 1): the best class; with several labels an input (..., C): which of them apply."""
    return (outcome > 0).long() if subject.multilabel else outcome.argmax(-1, keepdim=True)


def swaps(subject: Subject, inputs: Inputs) -> Gathered:
    """Answers when the class token before layer l is that of the next input in the batch (images of one layout)."""
    found = Gathered()
    for tokens in inputs.batches:
        if len(tokens) < 2 or subject.head is None or "states" in subject.encoder.gaps:
            continue
        if bool((tokens.roles_BL != tokens.roles_BL[:1]).any()):
            continue
        names = [before_layer(i, subject.depth) for i in range(subject.depth + 1)]
        kept = record(subject, tokens, names)
        places = (tokens.roles_BL == Role.CLASS)[..., None]
        with torch.no_grad():
            clean = answers_of(subject, subject(tokens))
            found.add("clean", clean)
            found.add("donor", clean.roll(1, 0))
            mixed = [torch.where(places, kept[name].roll(1, 0), kept[name]) for name in names]
            answers = [answers_of(subject, resume(subject, tokens, x, layer)) for layer, x in enumerate(mixed)]
        found.add("answers", torch.stack(answers, 1))
    return found


def mask_shares(record: Record, grid: tuple[int, int] | None, prepare: object) -> np.ndarray | None:
    """The share of every patch that the object covers, through the model's own crop; None without a usable mask.

    Every value of the mask but 0 is the object.
    """
    path = record.meta.get("mask")
    if not path or grid is None or not isinstance(prepare, ImagePreprocessor):
        return None
    with Image.open(Path(str(path))) as file:
        values = np.asarray(file)
    mask = np.asarray(values > 0)
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
            index = names.get(str(label), int(label) if str(label).isdigit() else -1)
            if not 0 <= index < len(labels):
                return None
            truth[row, index] = True
    return truth
