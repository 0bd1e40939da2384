"""A published MODEL trained further: some of its blocks, or all, with a new head."""

from collections.abc import Sequence

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import TextStem
from classtoken.errors import OptionError
from classtoken.learning.data.images import kept_at, load_images
from classtoken.learning.data.labels import labelling
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.split import split
from classtoken.learning.data.texts import Texts, tokenized
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.loop.seeds import WEIGHTS, seed_of
from classtoken.learning.model import new_network, set_regularisation
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.learn import learn
from classtoken.learning.ways.teacher import text_probabilities
from classtoken.learning.ways.trained import TrainedModel
from classtoken.pooling.spec import parse
from classtoken.tensors import tensor_hash
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record


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
    encoder = reading.encoder
    if not is_trainable(encoder) or (reading.family is None and reading.config.get("shape") is None):
        raise OptionError(
            f"'{run.embedder.name}' comes in as a foreign module, whose weights are not trained here. Unfreeze "
            "nothing: a head on its frozen vectors can be trained."
        )
    rows = _prepare_images(run, records) if run.modality == "image" else _prepare_texts(run, records)
    unfreeze(encoder, recipe.unfreeze)
    set_regularisation(encoder, recipe.loop.drop_path, recipe.loop.dropout)
    spec = parse(recipe.pooling)
    for term in spec.terms:
        if not term.learned:
            reading.check(term)
    seeds = seed_of(recipe.loop.seed, WEIGHTS), seed_of(recipe.loop.seed, WEIGHTS, 1)
    return learn(run, new_network(encoder, spec, recipe.head, rows, seeds=seeds), rows)


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


def _prepare_images(run: TrainingRun, records: Sequence[Record]) -> TrainingSet:
    """Pictures as the model's own preprocessing makes them, bytes until they are augmented."""
    recipe, device, tower = run.recipe, run.device, run.embedder.tower("image")
    assert isinstance(tower.prepare, ImagePreprocessor)
    if recipe.data.size:
        tower.prepare = resized(tower.prepare, recipe.data.size)
    wanted = tower.prepare.recipe
    if wanted.output is None or wanted.mean is None or wanted.std is None:
        raise OptionError(f"fine-tuning needs pictures of one size, and this model's recipe is: {wanted.describe()}.")
    pixels, kept, refused = load_images(records, kept_at(wanted, recipe.augment.side))
    found, grid = labelling(kept), tower.layout.grid
    learned, held_out = split(kept, recipe.data.held_out, recipe.loop.seed)
    numbers = (wanted.mean, wanted.std, recipe.augment, len(found.labels), wanted.output)
    return TrainingSet(
        Pictures(pixels.to(device), found.targets.to(device), tower.layout, *numbers),
        found.labels,
        found.several,
        learned,
        held_out,
        tower.prepare.identity(),
        tuple(refused),
        positions=grid[0] * grid[1] if grid else None,
        grid=grid,
        over=tower.reading.over,
    )


def _prepare_texts(run: TrainingRun, records: Sequence[Record]) -> TrainingSet:
    """Texts as the model's own tokenizer cuts them."""
    recipe, device, tower = run.recipe, run.device, run.embedder.tower("text")
    prepare = tower.prepare
    assert isinstance(prepare, TextPreprocessor)
    rows, kept, refused = tokenized(prepare, records)
    found = labelling(kept)
    learned, held_out = split(kept, recipe.data.held_out, recipe.loop.seed)
    texts = [str(record.text) for record in kept]
    taught = None
    if recipe.objective.kind == "distillation" and recipe.objective.teacher is not None:
        teacher = recipe.objective.teacher
        taught = text_probabilities(teacher, texts, learned, found.targets, found.labels, device).to(device)
    return TrainingSet(
        Texts(rows, found.targets.to(device), prepare, device, recipe.augment.drop_words, taught),
        found.labels,
        found.several,
        learned,
        held_out,
        prepare.identity(),
        tuple(refused),
        positions=max(len(row) for row in rows),
        over=tower.reading.over,
        taught="" if taught is None else tensor_hash(taught),
    )
