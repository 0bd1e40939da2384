"""Train a head, a learned pooling, a fine-tune or an encoder from scratch, and leave a folder that opens again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from classtoken.destination import check_folder
from classtoken.embedder import load
from classtoken.embedder.spec import device_of, name_of
from classtoken.encoder.shape import ImageStem
from classtoken.errors import OptionError, TrainingError
from classtoken.files import last_part, user_path
from classtoken.jobs.train_errors import with_errors
from classtoken.learning.data.features import ReadRecords
from classtoken.learning.data.partners import partner_columns
from classtoken.learning.data.records import drawn, renamed, with_labels
from classtoken.learning.folder.finish import finish
from classtoken.learning.loop.processes import joined
from classtoken.learning.loop.seeds import own_randomness
from classtoken.learning.recipe import PARTNERED, VECTORS, Recipe, recipe_of
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.checks import check_further, check_used
from classtoken.learning.ways.finetune import finetune
from classtoken.learning.ways.frozen import train_frozen
from classtoken.learning.ways.objective import UNSUPERVISED
from classtoken.learning.ways.scratch import shape_of, train_from_scratch
from classtoken.learning.ways.trained import TrainedModel
from classtoken.learning.ways.two_towers import train_two_towers
from classtoken.learning.work import FinishedBefore, check_training
from classtoken.model_folder import columns_learned_from
from classtoken.options import SourceOptions, TrainOptions
from classtoken.pooling.spec import parse_many
from classtoken.results.base import left_out_in_words
from classtoken.results.train import TrainResult
from classtoken.source import open_source
from classtoken.values import Progress, Record, Rejected


def train(
    model: str | Path | None,
    source: Any,
    out: str | Path,
    options: TrainOptions,
    *,
    report: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train on the records of a source and write a model folder to `out`: see `classtoken.train`."""
    recipe, out = recipe_of(options), user_path(out)
    model = None if model is None else name_of(model)
    if recipe.pooling:
        parse_many(recipe.pooling)  # one that there is not is told before a model is loaded
    if source is None and recipe.data.source is None:
        raise OptionError("there is nothing to learn from: give a source, or a recipe with [data] source.")
    if model is None and recipe.model is None:
        raise OptionError("give a model to train a head or to fine-tune, or a recipe with a [model] to train one anew.")
    if model is None and recipe.data.size:
        raise OptionError("[data] size is for a model that is fine-tuned; one from scratch has [model.stem] image.")
    source, device = recipe.data.source if source is None else source, str(device_of(options.device))
    if "," in recipe.pooling and (model is None or recipe.unfreeze or recipe.objective.kind in VECTORS):
        raise OptionError(f"`pooling` = '{recipe.pooling}': several are compared on frozen vectors only; name one.")
    with joined(device) as processes, processes.folder(out) as folder:
        check_folder(folder, {"model": model, "source": source, "recipe": options.recipe})
        if options.features is not None:
            check_folder(options.features, {"model": model, "source": source})
        check_training(folder, overwrite=options.overwrite)
        run = TrainingRun(
            recipe,
            folder,
            device,
            options.half,
            report,
            overwrite=options.overwrite,
            shared_features=options.features,
            processes=processes,
        )
        return _trained(run, model, source, options)


def _trained(run: TrainingRun, model: str | Path | None, source: Any, options: TrainOptions) -> TrainResult:
    """One process' part of a training; the first one judges and writes."""
    began, refused, columns = monotonic(), list[Rejected](), run.recipe.data.columns(options.source_options)
    if run.recipe.objective.kind in PARTNERED:
        scored = run.recipe.objective.kind == "similarity"
        found = partner_columns(source, columns, run.recipe.data, scored=scored)
        columns = replace(columns, text_column=found.text_column)
        run = replace(run, recipe=replace(run.recipe, data=found))
    opened = open_source(source, columns, columns_learned_from(model))
    data, seed = run.recipe.data, run.recipe.loop.seed
    run = replace(run, source=last_part(opened.name), called=opened.called(), notes=lambda: opened.notes)

    def taken(bad: list[Rejected]) -> Iterator[Record]:
        def read() -> Iterator[Record]:
            bad.clear()
            return with_labels(opened.records(bad), bad, needed=run.recipe.objective.kind not in UNSUPERVISED)

        return renamed(drawn(read, data.limit, seed), data.label_names)

    records = run.read.noted(taken(refused), data.beside)
    try:
        with own_randomness(run.device), run.alone():
            if model is None:
                more = list(run.read.noted(_unlabelled(run.recipe, refused)))
                trained = train_from_scratch(run, records, unlabelled=more)
            else:
                run, trained = _further(run, model, ReadRecords.of(lambda: taken([]), records), options, opened.name)
            seconds, page = monotonic() - began, partial(with_errors, trained=trained, run=run, again=lambda: taken([]))
            return run.processes.agreed(lambda: finish(trained, run, refused, seconds, page))
    except TrainingError as error:
        raise TrainingError(f"{error}{left_out_in_words(refused)}") from None
    except FinishedBefore as before:
        return replace(before.result, notes=(*before.result.notes, "it was finished before; nothing was computed anew"))


def _further(
    run: TrainingRun, model: str | Path, records: ReadRecords, options: TrainOptions, source: str
) -> tuple[TrainingRun, TrainedModel]:
    """A MODEL trained further, or a head on its frozen vectors; pooled as its authors meant, if not told otherwise."""
    if run.recipe.objective.kind in VECTORS and not run.recipe.unfreeze:
        run = replace(run, recipe=replace(run.recipe, unfreeze="all"))
    check_further(run)
    check_used(run.recipe, options)
    embedder = load(model, device=run.device, revision=options.revision, accept=options.accept)
    if run.recipe.objective.kind == "clip":
        run = replace(run, model=embedder, modality="image")
        return run, train_two_towers(run, list(records.again()))
    side = embedder.modality_of(records.first, options.modality, source=source)
    named = run.recipe.pooling
    recipe = replace(run.recipe, pooling=named or embedder.tower(side).reading.meant())
    run = replace(run, recipe=recipe, model=embedder, modality=side, own_pooling=not named)
    return run, finetune(run, list(records.again())) if run.way == "finetune" else train_frozen(run, records)


def _unlabelled(recipe: Recipe, refused: list[Rejected]) -> list[Record]:
    """Records without their labels; bad ones go into `refused`."""
    if not recipe.data.unlabelled:
        return []
    if recipe.objective.kind == "supervised" and isinstance(shape_of(recipe).stem, ImageStem):
        raise OptionError(
            "unlabelled pictures are learned from with a teacher or with [objective] kind = 'dino'; labels alone have "
            "no use for them."
        )
    columns = SourceOptions(text_column=recipe.data.unlabelled_text_column)
    return [
        replace(record, label=None)
        for source in recipe.data.unlabelled
        for record in open_source(source, columns).records(refused)
    ]
