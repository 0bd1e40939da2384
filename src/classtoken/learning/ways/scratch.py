"""Encoders from scratch: from a recipe and records to a trained network."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import ImageStem, Shape, TextStem
from classtoken.errors import OptionError
from classtoken.inputs import unread_in_words
from classtoken.inputs.preprocessor import prepared_by
from classtoken.learning.data.images import kept_at, load_images
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.split import divide
from classtoken.learning.data.texts import VOCABULARY, Texts, learn_vocabulary, tokenized, with_text
from classtoken.learning.data.training_set import TrainingSet, light
from classtoken.learning.loop.seeds import WEIGHTS, seed_of
from classtoken.learning.model import Network, new_network, set_regularisation, spec_for
from classtoken.learning.recipe import Recipe
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.beginning import begin_with
from classtoken.learning.ways.learn import learn
from classtoken.learning.ways.objective import UNSUPERVISED, labels_for
from classtoken.learning.ways.teacher import text_probabilities
from classtoken.learning.ways.trained import TrainedModel
from classtoken.learning.work import FILE, begin_folder
from classtoken.plain import encode
from classtoken.tensors import tensor_hash
from classtoken.tokens.recipe import ImageRecipe
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import IMAGE_POOLED, Record, Role

FURTHER = ("pairs", "similarity", "clip")
"""objectives that need a MODEL to begin with"""


def shape_of(recipe: Recipe) -> Shape:
    """The recipe's [model] table as a shape."""
    return recipe.shape()


def image_recipe(stem: ImageStem, mean: Sequence[float], std: Sequence[float]) -> ImageRecipe:
    """How pictures are prepared for an encoder of ours: short side resized, centre cut out, normalised."""
    side = min(stem.image)
    return ImageRecipe(
        resize="short side", size=(side, side), crop=stem.image, mean=tuple(mean), std=tuple(std), source="the recipe"
    )


def train_from_scratch(
    run: TrainingRun, records: Iterable[Record], *, unlabelled: Sequence[Record] = ()
) -> TrainedModel:
    """Train an encoder with random first weights on labelled records, as the recipe says."""
    shape, kind = shape_of(run.recipe), run.recipe.objective.kind
    if kind in FURTHER:
        raise OptionError(f"[objective] kind = '{kind}' trains a MODEL further; give one, and leave out [model].")
    if run.overwrite:  # what is there is not touched before all that may be refused has been read
        with tempfile.TemporaryDirectory() as folder:
            return _trained(replace(run, made=Path(folder)), shape, records, unlabelled)
    run.held.take(run.out)
    begin_folder(run.out)
    return _trained(run, shape, records, unlabelled)


def _trained(run: TrainingRun, shape: Shape, records: Iterable[Record], unlabelled: Sequence[Record]) -> TrainedModel:
    if isinstance(shape.stem, ImageStem):
        rows = prepare_images(run.recipe, shape, records, unlabelled, run.device)
    else:
        rows = prepare_texts(run, shape.stem, list(records), unlabelled)
    return learn(run, first_network(run.recipe, shape, rows), rows)


def prepare_images(
    recipe: Recipe, shape: Shape, records: Iterable[Record], unlabelled: Sequence[Record], device: str
) -> TrainingSet:
    """Pictures in memory as bytes, targets (none: -1, or nan where there may be several), and the split."""
    stem, augment, mean, std = shape.stem, recipe.augment, recipe.data.mean, recipe.data.std
    assert isinstance(stem, ImageStem)
    wanted = kept_at(image_recipe(stem, mean, std), augment.side)
    pixels, kept, refused = load_images(records, wanted)
    found, targets = labels_for(recipe.objective.kind, kept)
    division = divide(kept, recipe.data.held_out, recipe.loop.seed)
    if unlabelled:
        if augment.mixup or augment.cutmix:
            raise OptionError("mixup and cutmix mix labels, and unlabelled pictures have none; set both to 0.")
        more, extra, bad = load_images(unlabelled, wanted)
        division = division.with_more(len(extra), len(kept))
        targets = None if targets is None else with_nothing(targets, len(extra))
        pixels, kept, refused = torch.cat((pixels, more)), [*kept, *extra], [*refused, *bad]
    on_device = None if targets is None else targets.to(device)
    return TrainingSet(
        Pictures(pixels.to(device), on_device, shape.layout, mean, std, augment, len(found.labels), stem.image),
        found.labels,
        found.several,
        division,
        [encode(wanted)],
        tuple(refused),
        positions=stem.grid[0] * stem.grid[1],
        grid=stem.grid,
        over=IMAGE_POOLED,
        records=light(kept),
    )


def prepare_texts(
    run: TrainingRun, stem: TextStem, records: Sequence[Record], unlabelled: Sequence[Record]
) -> TrainingSet:
    """A vocabulary (`tokenizer.json` in the run's folder), tokens, targets (-1: no label), and the split.

    The vocabulary is learned from the texts that are learned from, those without labels among them.
    """
    recipe, out, device = run.recipe, run.made or run.out, run.device
    usable, refused = with_text(records)
    extra, bad = with_text(unlabelled)
    labels_for(recipe.objective.kind, usable)  # refuses what cannot be learned from before anything is written
    # Before a folder is claimed for these texts, what is there may have been learned from others.
    if not ((out / FILE).exists() and (out / VOCABULARY).exists()):
        learned = divide(usable, recipe.data.held_out, recipe.loop.seed).learned
        read = [*(usable[row] for row in learned.tolist()), *extra]
        learn_vocabulary([str(record.text) for record in read], stem.vocabulary, out, recipe.data.longest)
    prepare = TextPreprocessor.from_folder(out, positions=stem.positions or None, max_length=recipe.data.longest)
    rows, usable, worse = tokenized(prepare, usable)
    more, extra, worst = tokenized(prepare, extra)
    found, targets = labels_for(recipe.objective.kind, usable)
    texts = [str(record.text) for record in (*usable, *extra)]
    division = divide(usable, recipe.data.held_out, recipe.loop.seed)
    taught = None
    if targets is None:
        division = division.with_more(len(extra), len(usable))
    elif recipe.objective.kind == "distillation" and recipe.objective.teachers:
        teachers = recipe.objective.teachers
        taught = text_probabilities(teachers, texts, division.learned, targets, found.labels, device).to(device)
        targets = with_nothing(targets, len(extra))
        division = division.with_more(len(extra), len(usable))
    if taught is not None or targets is None:
        rows += more
    on_device = None if targets is None else targets.to(device)
    return TrainingSet(
        Texts(rows, on_device, prepare, device, recipe.augment.drop_words, taught),
        found.labels,
        found.several,
        division,
        prepared_by(prepare),
        (*refused, *bad, *worse, *worst),
        taught="" if taught is None else tensor_hash(taught),
        records=light(usable),
        unread=unread_in_words(prepare, sum(row.cut > 0 for row in rows)),
    )


def with_nothing(targets: Tensor, count: int) -> Tensor:
    """Targets with `count` rows more that have no label: -1, or nan where a row may have several."""
    nothing = float("nan") if targets.is_floating_point() else -1
    return torch.cat((targets, targets.new_full((count, *targets.shape[1:]), nothing)))


def first_network(recipe: Recipe, shape: Shape, rows: TrainingSet) -> Network:
    """Fresh weights: the encoder's by its own rule, readout's and head's from the recipe's seed too."""
    seed, options = recipe.loop.seed, recipe.loop
    encoder = Encoder(shape).initialise(seed_of(seed, WEIGHTS))
    if recipe.starts:
        begin_with(encoder, recipe.starts, seed)
    set_regularisation(encoder, options)
    tokens = shape.stem.class_tokens if isinstance(shape.stem, ImageStem) else 1
    if recipe.head.kind == "distilled" and not shape.layout.count(Role.DISTILLATION):
        raise OptionError(
            "head 'distilled' reads a distillation token, and the encoder has none; set distillation_tokens = 1 in "
            "[model.stem]."
        )
    spec = spec_for(recipe.pooling or "cls", recipe.head.kind, tokens)
    head = nn.Identity() if recipe.objective.kind in UNSUPERVISED else recipe.head
    seeds = seed_of(seed, WEIGHTS, 1), seed_of(seed, WEIGHTS, 2)
    return new_network(encoder, spec, head, rows, seeds=seeds, class_tokens=tokens)
