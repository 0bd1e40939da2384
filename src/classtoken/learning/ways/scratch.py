"""From a recipe and records to a trained network: encoders from scratch."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import ImageStem, Shape, TextStem, shape_from_dict
from classtoken.errors import OptionError
from classtoken.learning.data.batches import Feed, split
from classtoken.learning.data.images import load_images
from classtoken.learning.data.labels import check, classes_of, targets_of
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.texts import Texts, learn_vocabulary, tokenized, with_text
from classtoken.learning.loop.loop import Loop, Outcome
from classtoken.learning.loop.seeds import WEIGHTS, seed_of
from classtoken.learning.model import Network, new_head, new_readout, set_regularisation, spec_for, width_of
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.dino import Dino
from classtoken.learning.objectives.distillation import Distillation, precomputed, precomputed_several
from classtoken.learning.objectives.supervised import Supervised, Task, class_weights
from classtoken.learning.recipe import Recipe
from classtoken.learning.ways.beginning import begin_with
from classtoken.learning.ways.teacher import ImageTeacher, text_probabilities
from classtoken.learning.ways.unsupervised import UNSUPERVISED, unsupervised, views_for
from classtoken.tokens.recipe import ImageRecipe
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import IMAGE_POOLED, TEXT_POOLED, Record, Rejected, Role


@dataclass(frozen=True)
class Prepared:
    """Records made ready for an encoder: what is learned from, what is held out, and what could not be read."""

    data: Pictures | Texts
    labels: tuple[str, ...]
    several: bool
    learned: Tensor
    held_out: Tensor
    refused: tuple[Rejected, ...]
    fingerprint: str
    layout_positions: int | None = None
    grid: tuple[int, int] | None = None
    over: frozenset[Role] = TEXT_POOLED

    @property
    def labelled(self) -> bool:
        """Whether there is something to be right about."""
        return self.data.targets is not None

    @property
    def targets(self) -> Tensor:
        """The targets of all rows."""
        assert self.data.targets is not None
        return self.data.targets


@dataclass(frozen=True)
class Trained:
    """A trained network and what its folder needs to say about it."""

    network: Network
    prepared: Prepared
    outcome: Outcome


def shape_of(recipe: Recipe) -> Shape:
    """The recipe's [model] table as a shape."""
    if recipe.model is None:
        raise OptionError(
            "training from scratch needs a [model] table in the recipe; or name --model to train one further."
        )
    return shape_from_dict(dict(recipe.model))


def image_recipe(stem: ImageStem, mean: Sequence[float], std: Sequence[float]) -> ImageRecipe:
    """How pictures are prepared for an encoder of ours: short side resized, centre cut out, normalised."""
    side = min(stem.image)
    return ImageRecipe(
        resize="short side", size=(side, side), crop=stem.image, mean=tuple(mean), std=tuple(std), source="the recipe"
    )


def train_from_scratch(
    recipe: Recipe,
    records: Iterable[Record],
    out: Path,
    *,
    unlabelled: Sequence[Record] = (),
    device: str = "cpu",
    until: int | None = None,
) -> Trained:
    """Train an encoder with random first weights on labelled records, as the recipe says."""
    shape = shape_of(recipe)
    out.mkdir(parents=True, exist_ok=True)
    if isinstance(shape.stem, ImageStem):
        prepared = prepare_images(recipe, shape, records, unlabelled, device)
    else:
        shape, prepared = prepare_texts(recipe, shape, list(records), unlabelled, out, device)
    network = new_network(recipe, shape, prepared)
    objective = objective_for(recipe, network, prepared, device)
    options = recipe.loop
    data = views_for(recipe, shape, prepared.data)
    held_out = Feed(data, prepared.held_out, options.batch, options.seed) if len(prepared.held_out) else None
    loop = Loop(
        objective,
        Feed(data, prepared.learned, options.batch, options.seed),
        held_out,
        options,
        recipe.optimiser,
        folder=out,
        fingerprint=prepared.fingerprint,
        depth=shape.depth,
        device=device,
        title=out.name,
    )
    outcome = loop.run(until=until)
    if isinstance(objective, Dino):  # its authors publish the teacher, and it is what the looks have measured
        network.load_state_dict(objective.teacher.state_dict())
    return Trained(network, prepared, outcome)


def prepare_images(
    recipe: Recipe, shape: Shape, records: Iterable[Record], unlabelled: Sequence[Record], device: str
) -> Prepared:
    """Pictures in memory as bytes, targets (none: -1, or nan where there may be several), and the split."""
    stem = shape.stem
    assert isinstance(stem, ImageStem)
    mean, std = recipe.data.mean, recipe.data.std
    pixels, kept, refused = load_images(records, image_recipe(stem, mean, std))
    labels, several, targets = _labels(recipe, kept)
    learned, held_out = split([record.label for record in kept], recipe.data.held_out, recipe.loop.seed)
    if unlabelled:
        if recipe.augment.mixup or recipe.augment.cutmix:
            raise OptionError("mixup and cutmix mix labels, and unlabelled pictures have none; set both to 0.")
        more, extra, bad = load_images(unlabelled, image_recipe(stem, mean, std))
        learned = torch.cat((learned, torch.arange(len(kept), len(kept) + len(extra))))
        targets = None if targets is None else with_nothing(targets, len(extra))
        pixels, kept, refused = torch.cat((pixels, more)), [*kept, *extra], [*refused, *bad]
    on_device = None if targets is None else targets.to(device)
    data = Pictures(pixels.to(device), on_device, shape.layout, mean, std, recipe.augment, len(labels))
    mark = fingerprint(recipe, kept, pixels.numpy().tobytes())
    positions = stem.grid[0] * stem.grid[1]
    return Prepared(data, labels, several, learned, held_out, tuple(refused), mark, positions, stem.grid, IMAGE_POOLED)


def prepare_texts(
    recipe: Recipe, shape: Shape, records: Sequence[Record], unlabelled: Sequence[Record], out: Path, device: str
) -> tuple[Shape, Prepared]:
    """A vocabulary learned from all texts (`out/tokenizer.json`), tokens, targets (-1: no label), and the split."""
    stem = shape.stem
    assert isinstance(stem, TextStem)
    usable, rejected = with_text(records)
    extra, bad = with_text(unlabelled)
    _labels(recipe, usable)  # refuses what cannot be learned from before anything is written
    if not (out / "tokenizer.json").exists():
        texts = [str(record.text) for record in (*usable, *extra)]
        learn_vocabulary(texts, stem.vocabulary, out, recipe.data.longest)
    prepare = TextPreprocessor.from_folder(out, positions=stem.positions or None, max_length=recipe.data.longest)
    rows, usable, worse = tokenized(prepare, usable)
    more, extra, worst = tokenized(prepare, extra)
    rejected = [*rejected, *bad, *worse, *worst]
    labels, several, targets = _labels(recipe, usable)
    texts = [str(record.text) for record in (*usable, *extra)]
    learned, held_out = split([record.label for record in usable], recipe.data.held_out, recipe.loop.seed)
    taught = None
    if targets is None:
        learned = torch.cat((learned, torch.arange(len(usable), len(texts))))
    elif recipe.objective.kind == "distillation" and recipe.objective.teacher:
        taught = text_probabilities(recipe.objective.teacher, texts, learned, targets, labels, device).to(device)
        targets = with_nothing(targets, len(extra))
        learned = torch.cat((learned, torch.arange(len(usable), len(texts))))
    if taught is not None or targets is None:
        rows += more
    on_device = None if targets is None else targets.to(device)
    data = Texts(rows, on_device, prepare, device, recipe.augment.drop_words, taught)
    mark = fingerprint(recipe, (*usable, *extra), "\0".join(texts).encode())
    return shape, Prepared(data, labels, several, learned, held_out, tuple(rejected), mark)


def with_nothing(targets: Tensor, count: int) -> Tensor:
    """Targets with `count` rows more that have no label: -1, or nan where a row may have several."""
    nothing = float("nan") if targets.is_floating_point() else -1
    return torch.cat((targets, targets.new_full((count, *targets.shape[1:]), nothing)))


def _labels(recipe: Recipe, records: Sequence[Record]) -> tuple[tuple[str, ...], bool, Tensor | None]:
    """Labels, whether rows may have several, and targets; without targets where nothing is learned from labels."""
    if recipe.objective.kind in UNSUPERVISED:
        labelled = recipe.objective.kind == "dino" and all(record.label is not None for record in records)
        labels, several = classes_of(records)
        return labels, several, targets_of(records, labels, several) if labelled and labels else None
    labels, several = classes_of(records)
    check(records, labels)
    return labels, several, targets_of(records, labels, several)


def new_network(recipe: Recipe, shape: Shape, prepared: Prepared) -> Network:
    """Fresh weights: the encoder's by its own rule, readout's and head's from the recipe's seed too."""
    seed = recipe.loop.seed
    encoder = Encoder(shape).initialise(seed_of(seed, WEIGHTS))
    if recipe.start is not None:
        begin_with(encoder, recipe.start, seed)
    set_regularisation(encoder, recipe.loop.drop_path, recipe.loop.dropout)
    tokens = shape.stem.class_tokens if isinstance(shape.stem, ImageStem) else 1
    if recipe.head.kind == "distilled" and not shape.layout.count(Role.DISTILLATION):
        raise OptionError(
            "head 'distilled' reads a distillation token, and the encoder has none; set distillation_tokens = 1 in "
            "[model.stem]."
        )
    spec = spec_for(recipe.pooling or "cls", recipe.head.kind, tokens)
    readout = new_readout(
        spec,
        encoder,
        prepared.over,
        positions=prepared.layout_positions,
        grid=prepared.grid,
        seed=seed_of(seed, WEIGHTS, 1),
    )
    if recipe.objective.kind in UNSUPERVISED:
        return Network(encoder, readout, nn.Identity())
    head = new_head(
        recipe.head.kind,
        width_of(readout, shape.hidden_size),
        prepared.labels,
        hidden=recipe.head.hidden,
        seed=seed_of(seed, WEIGHTS, 2),
        class_tokens=tokens,
    )
    return Network(encoder, readout, head)


def objective_for(recipe: Recipe, network: Network, prepared: Prepared, device: str) -> Objective:
    """What the recipe minimises."""
    wanted = recipe.objective
    if wanted.kind in UNSUPERVISED:
        return unsupervised(recipe, network, prepared.data)
    task: Task = "multi" if prepared.several else "single"
    if wanted.kind == "distillation":
        if wanted.teacher is None:
            raise OptionError("[objective] kind = 'distillation' needs a teacher: the name of a MODEL.")
        teach = precomputed_several if prepared.several else precomputed
        if isinstance(prepared.data, Pictures):
            data = prepared.data
            teach = ImageTeacher(wanted.teacher, prepared.labels, data.mean, data.std, device)
        return Distillation(
            network,
            teach,
            mode=wanted.mode,
            weight=wanted.teacher_weight,
            temperature=wanted.temperature,
            smoothing=wanted.label_smoothing,
            task=task,
        )
    weights = None
    if wanted.class_weights == "balanced":
        weights = class_weights(prepared.targets[prepared.learned], len(prepared.labels))
    return Supervised(network, task, smoothing=wanted.label_smoothing, weights_C=weights)


def fingerprint(recipe: Recipe, records: Iterable[Record], contents: bytes) -> str:
    """What makes two runs the same: the recipe's essence, the records, their labels."""
    digest = hashlib.sha256(json.dumps(recipe.essence(), sort_keys=True, default=list).encode())
    digest.update(json.dumps([[record.id, record.label] for record in records], default=list).encode())
    digest.update(contents)
    return digest.hexdigest()
