"""Train a head, a learned pooling, a fine-tune or an encoder from scratch, and leave a folder that opens again."""

from dataclasses import replace
from pathlib import Path
from time import monotonic

import torch

from classtoken.embedder import load
from classtoken.encoder.shape import ImageStem
from classtoken.errors import OptionError, OutputError, SourceError
from classtoken.learning.data.records import renamed
from classtoken.learning.folder.finish import Run, finish, finish_frozen
from classtoken.learning.recipe import Recipe
from classtoken.learning.ways.finetune import finetune
from classtoken.learning.ways.frozen import train_frozen
from classtoken.learning.ways.scratch import shape_of, train_from_scratch
from classtoken.learning.ways.unsupervised import UNSUPERVISED
from classtoken.results.train import TrainResult
from classtoken.source import Source, SourceOptions, open_source
from classtoken.values import Record, Refused


def train(
    source: str | Path | Source | None,
    out: str | Path,
    *,
    model: str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    source_options: SourceOptions | None = None,
    device: str | None = None,
    revision: str | None = None,
    modality: str | None = None,
    half: bool = False,
) -> TrainResult:
    """Train on the labelled records of a source and write a model folder to `out`.

    recipe: a `Recipe` or the file of one. With `model` and `unfreeze` empty in it: a head on frozen vectors; with
        `unfreeze` all or last-N: fine-tuning; without `model`, from scratch by the recipe's [model] table.
    half: write weights as 16-bit numbers.

    A run that was killed goes on where it was when it is given again. Raises `TrainingError` (one class only, a loss
    that is not finite), `ManifestMismatch` when `out` holds another run, and what `load` and sources raise.
    """
    began = monotonic()
    wanted = recipe if isinstance(recipe, Recipe) else Recipe.from_file(recipe) if recipe is not None else Recipe()
    wanted = Recipe.from_dict(wanted.to_dict())  # a recipe made in Python is checked as one that is read
    place, out = _device(device), Path(out)
    _check_out(out)
    spec = source if source is not None else wanted.data.source
    if spec is None:
        raise OptionError("there is nothing to learn from: give a SOURCE, or a recipe with [data] source.")
    refused: list[Refused] = []
    opened = open_source(spec, _options(source_options, wanted))
    read = opened.records(refused, limit=wanted.data.limit)
    records = renamed(read, wanted.data.label_names)
    if model is None:
        if wanted.model is None:
            raise OptionError("give --model MODEL to train a head or fine-tune, or --config FILE with a [model] table.")
        trained = train_from_scratch(wanted, records, out, unlabelled=_unlabelled(wanted, refused), device=place)
        return finish(trained, Run(wanted, out, place, "scratch", tuple(refused), monotonic() - began, half))
    _check_further(wanted)
    embedder = load(model, device=place, revision=revision)
    listed = list(records)
    if not listed:
        raise SourceError("no record could be read; give a SOURCE with images or texts.")
    side = embedder.modality_of(listed[0], modality, source=opened.name)
    wanted = wanted if wanted.pooling else replace(wanted, pooling=embedder.tower(side).reading.contract.pooling)
    if wanted.unfreeze:
        trained = finetune(wanted, embedder, listed, out, modality=side, device=place)
        run = Run(wanted, out, place, "finetune", tuple(refused), monotonic() - began, half, embedder, side)
        return finish(trained, run)
    fitted = train_frozen(wanted, embedder, listed, out, modality=side, device=place)
    run = Run(wanted, out, place, "frozen", tuple(refused), monotonic() - began, half, embedder, side)
    return finish_frozen(fitted, run)


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"'{out}' is a file; give a folder to --out.")


def _unlabelled(recipe: Recipe, refused: list[Refused]) -> list[Record]:
    """Records without their labels; bad ones go into `refused`."""
    if not recipe.data.unlabelled:
        return []
    shape = shape_of(recipe)
    if recipe.objective.kind == "supervised" and isinstance(shape.stem, ImageStem):
        raise OptionError(
            "unlabelled pictures are learned from with a teacher (--teacher MODEL) or with [objective] kind = 'dino'; "
            "labels alone have no use for them."
        )
    columns = SourceOptions(text_column=recipe.data.unlabelled_text_column)
    return [
        replace(record, label=None)
        for source in recipe.data.unlabelled
        for record in open_source(source, columns).records(refused)
    ]


def _check_further(recipe: Recipe) -> None:
    """Refuse what only an encoder from scratch, or one that learns, can do."""
    wanted = recipe.objective
    if recipe.data.unlabelled or wanted.kind in UNSUPERVISED:
        what = "records without labels" if recipe.data.unlabelled else f"[objective] kind = '{wanted.kind}'"
        raise OptionError(f"{what}: only an encoder from scratch learns so. Leave out --model; give a [model] table.")
    if wanted.kind == "distillation" and not recipe.unfreeze:
        raise OptionError("a teacher has nothing to teach a frozen encoder; add --unfreeze all or last-N.")


def _options(given: SourceOptions | None, recipe: Recipe) -> SourceOptions:
    """The command line's columns, else the recipe's."""
    data, options = recipe.data, given or SourceOptions()
    return replace(
        options,
        text_column=options.text_column or data.text_column,
        image_column=options.image_column or data.image_column,
        label_column=options.label_column or data.label_column,
    )


def _device(name: str | None) -> str:
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"device '{name}' cannot be used here ({str(error).splitlines()[0]}). Try cpu.") from error
    return name
