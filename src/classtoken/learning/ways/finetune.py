"""A published MODEL trained further: some of its blocks, or all, with a new head."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from classtoken.contract.reading import Reading
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import TextStem
from classtoken.errors import OptionError, TrainingError
from classtoken.inputs import unread_in_words
from classtoken.inputs.preprocessor import prepared_by
from classtoken.learning.data.images import kept_at, load_images
from classtoken.learning.data.labels import Labelling, classes_of, labelling
from classtoken.learning.data.partners import partners_of
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.split import divide
from classtoken.learning.data.texts import Texts, tokenized
from classtoken.learning.data.training_set import TrainingSet, light
from classtoken.learning.loop.seeds import WEIGHTS, seed_of
from classtoken.learning.model import begin_with, new_network, set_regularisation
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.learn import learn
from classtoken.learning.ways.objective import UNSUPERVISED, labels_for
from classtoken.learning.ways.teacher import text_probabilities
from classtoken.learning.ways.trained import TrainedModel
from classtoken.pooling.spec import parse
from classtoken.tensors import tensor_hash
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record, Rejected


def unfreeze(encoder: Encoder, which: str) -> int:
    """Let `all` of an encoder learn, or its `last-N` blocks and the final norm; the number of parameters that do."""
    if which == "all":
        chosen = [encoder]
    else:
        word, _, number = which.partition("-")
        if word != "last" or not number.isdecimal() or not 1 <= int(number) <= len(encoder.blocks):
            raise OptionError(
                f"unfreeze = {which!r} is not understood; write all, or last-1 to last-{len(encoder.blocks)} for "
                "so many blocks."
            )
        encoder.requires_grad_(False)
        chosen = [*list(encoder.blocks)[-int(number) :], encoder.final_norm]  # type: ignore[list-item]
    for module in chosen:
        module.requires_grad_(True)
    fixed = (
        encoder.shape.stem.sinusoidal
        if isinstance(encoder.shape.stem, TextStem)
        else (encoder.shape.stem.positions == "sinusoidal")
    )
    if fixed:  # sines and cosines are no weights
        encoder.stem.get_parameter(
            "position.weight" if isinstance(encoder.shape.stem, TextStem) else "position"
        ).requires_grad_(False)
    return sum(p.numel() for p in encoder.parameters() if p.requires_grad)


def finetune(run: TrainingRun, records: Sequence[Record]) -> TrainedModel:
    """Train the encoder of a loaded MODEL further on labelled records, as the recipe says."""
    recipe, reading = run.recipe, run.embedder.tower(run.modality).reading
    encoder, spec = trainable(run, reading), parse(recipe.pooling)
    for term in spec.terms:
        if not term.learned:
            reading.check(term)
        if term.name == "pooler":
            raise OptionError(
                f"the vector of '{run.embedder.name}' is its own pooled output, not trained here. Name "
                "another `pooling` (cls, last, mean), or unfreeze nothing: a head on frozen vectors can be trained."
            )
    rows = _prepare_images(run, records) if run.modality == "image" else _prepare_texts(run, records)
    unfreeze(encoder, recipe.unfreeze)
    set_regularisation(encoder, recipe.loop)
    seeds = seed_of(recipe.loop.seed, WEIGHTS), seed_of(recipe.loop.seed, WEIGHTS, 1)
    headless = recipe.objective.kind in UNSUPERVISED
    if headless and reading.after and recipe.pooling == reading.contract.pooling:
        raise OptionError(
            f"'{run.embedder.name}' puts layers of its own behind its pooling, which are not trained here. Name "
            "another `pooling` than the model's own to train the encoder without them."
        )
    head = nn.Identity() if headless else recipe.head
    network = new_network(encoder, spec, head, rows, seeds=seeds)
    begin_with(network.readout, reading.learned)
    return learn(run, network, rows)


def trainable(run: TrainingRun, reading: Reading) -> Encoder:
    """The encoder of one side. Raises `OptionError` for one whose weights are not trained here."""
    encoder: Any = reading.encoder
    if not is_trainable(encoder) or (reading.family is None and reading.config.get("shape") is None):
        raise OptionError(
            f"'{run.embedder.name}' comes in as a foreign module, whose weights are not trained here. Unfreeze "
            "nothing: a head on its frozen vectors can be trained."
        )
    return encoder


def resized(prepare: ImagePreprocessor, side: int) -> ImagePreprocessor:
    """A MODEL's preprocessing for images of `side` x `side` pixels, to whose patches its positions are interpolated.

    Raises `OptionError` where a side is not a whole number of patches.
    """
    patch = prepare.patch
    if side % patch:
        raise OptionError(
            f"[data] size = {side} is not a whole number of patches of {patch} pixels; the next one is "
            f"{side - side % patch + patch}."
        )
    return ImagePreprocessor(prepare.recipe.covering(side), prepare.native_layout, patch, prepare.decoding)


def pictures_of(
    run: TrainingRun, records: Sequence[Record], labels: Callable[[Sequence[Record]], Labelling] | None
) -> tuple[Pictures, list[Record], list[Rejected]]:
    """Pictures as the model's own preprocessing makes them, bytes until they are augmented; the records that they are
    of, and those that could not be read."""
    recipe, device, tower = run.recipe, run.device, run.embedder.tower("image")
    assert isinstance(tower.prepare, ImagePreprocessor)
    if recipe.data.size:
        tower.prepare = resized(tower.prepare, recipe.data.size)
    wanted = tower.prepare.recipe
    if wanted.output is None or wanted.mean is None or wanted.std is None:
        raise OptionError(f"fine-tuning needs pictures of one size, and this model's recipe is: {wanted.describe()}.")
    pixels, kept, refused = load_images(records, kept_at(wanted, recipe.augment.side))
    found = None if labels is None else labels(kept)
    targets, classes = (None, 0) if found is None else (found.targets.to(device), len(found.labels))
    numbers = (wanted.mean, wanted.std, recipe.augment, classes, wanted.output)
    return Pictures(pixels.to(device), targets, tower.layout, *numbers), kept, refused


def _prepare_images(run: TrainingRun, records: Sequence[Record]) -> TrainingSet:
    """Labelled pictures."""
    recipe, tower = run.recipe, run.embedder.tower("image")
    pictures, kept, refused = pictures_of(run, records, labelling)
    labels, several = classes_of(kept)
    division = divide(kept, recipe.data.held_out, recipe.loop.seed)
    grid = tower.layout.grid
    return TrainingSet(
        pictures,
        labels,
        several,
        division,
        prepared_by(tower.prepare),
        tuple(refused),
        positions=grid[0] * grid[1] if grid else None,
        grid=grid,
        over=tower.reading.over,
        records=light(kept),
    )


def _prepare_texts(run: TrainingRun, records: Sequence[Record]) -> TrainingSet:
    """Texts as the model's own tokenizer cuts them."""
    recipe, device, tower = run.recipe, run.device, run.embedder.tower("text")
    prepare = tower.prepare
    assert isinstance(prepare, TextPreprocessor)
    if recipe.data.text_columns:
        return _prepare_partners(run, prepare, records)
    rows, kept, refused = tokenized(prepare, records)
    found, targets = labels_for(recipe.objective.kind, kept)
    division = divide(kept, recipe.data.held_out, recipe.loop.seed)
    texts = [str(record.text) for record in kept]
    taught = None
    if recipe.objective.kind == "distillation" and recipe.objective.teachers:
        teachers = recipe.objective.teachers
        taught = text_probabilities(teachers, texts, division.learned, found.targets, found.labels, device).to(device)
    return TrainingSet(
        Texts(
            rows, None if targets is None else targets.to(device), prepare, device, recipe.augment.drop_words, taught
        ),
        found.labels,
        found.several,
        division,
        prepared_by(prepare),
        tuple(refused),
        positions=max(len(row) for row in rows),
        over=tower.reading.over,
        taught="" if taught is None else tensor_hash(taught),
        records=light(kept),
        unread=unread_in_words(prepare, sum(row.cut > 0 for row in rows)),
    )


def _prepare_partners(run: TrainingRun, prepare: TextPreprocessor, records: Sequence[Record]) -> TrainingSet:
    """Texts with their partners, and scores where those are learned."""
    recipe = run.recipe
    data, kept, refused = partners_of(prepare, records, recipe.data, run.device)
    if len(kept) < 2:
        raise TrainingError(f"{len(kept)} records have texts and partners; learning needs two or more.")
    division = divide([replace(record, label=None) for record in kept], recipe.data.held_out, recipe.loop.seed)
    return TrainingSet(
        data,
        (),
        False,
        division,
        prepared_by(prepare),
        tuple(refused),
        positions=max(len(row) for column in data.columns for row in column),
        over=run.embedder.tower("text").reading.over,
        unread=unread_in_words(prepare, sum(row.cut > 0 for column in data.columns for row in column)),
    )
