"""Train a head, a learned pooling, a fine-tune or an encoder from scratch, and leave a folder that opens again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from classtoken.destination import check_folder
from classtoken.embedder import load
from classtoken.embedder.spec import device_of
from classtoken.encoder.shape import ImageStem
from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.learning.data.features import ReadRecords
from classtoken.learning.data.records import drawn, renamed
from classtoken.learning.folder.finish import finish
from classtoken.learning.loop.seeds import own_randomness
from classtoken.learning.recipe import Recipe, recipe_of
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.finetune import finetune
from classtoken.learning.ways.frozen import train_frozen
from classtoken.learning.ways.objective import UNSUPERVISED
from classtoken.learning.ways.scratch import shape_of, train_from_scratch
from classtoken.learning.ways.trained import TrainedModel
from classtoken.learning.work import check_training
from classtoken.options import SourceOptions, TrainOptions
from classtoken.pooling.spec import parse_many
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
    """Train on the labelled records of a source and write a model folder to `out`: see `classtoken.train`."""
    began, recipe, out = monotonic(), recipe_of(options), user_path(out)
    if source is None and recipe.data.source is None:
        raise OptionError("there is nothing to learn from: give a source, or a recipe with [data] source.")
    if model is None and recipe.model is None:
        raise OptionError(
            "give a model to train a head or to fine-tune, or a recipe with a [model] table to train one anew."
        )
    if model is None and recipe.data.size:
        raise OptionError("[data] size is for a model that is fine-tuned; one from scratch has [model.stem] image.")
    source = recipe.data.source if source is None else source
    if "," in recipe.pooling and (model is None or recipe.unfreeze):
        raise OptionError(f"`pooling` = '{recipe.pooling}': several are compared on frozen vectors only; name one.")
    check_folder(out, {"model": model, "source": source, "recipe": options.recipe})
    if options.features is not None:
        check_folder(options.features, {"model": model, "source": source})
    check_training(out, overwrite=options.overwrite)
    opened = open_source(source, recipe.data.columns(options.source_options))
    refused: list[Rejected] = []
    run = TrainingRun(
        recipe,
        out,
        str(device_of(options.device)),
        options.half,
        report,
        overwrite=options.overwrite,
        shared_features=options.features,
    )

    def taken(bad: list[Rejected]) -> Iterator[Record]:
        def read() -> Iterator[Record]:
            bad.clear()
            return opened.records(bad)

        return renamed(drawn(read, recipe.data.limit, recipe.loop.seed), recipe.data.label_names)

    records = run.read.noted(taken(refused))
    with own_randomness(run.device):
        if model is None:
            trained = train_from_scratch(run, records, unlabelled=list(run.read.noted(_unlabelled(recipe, refused))))
        else:
            run, trained = _further(run, model, ReadRecords.of(lambda: taken([]), records), options, opened.name)
        return finish(trained, run, refused, monotonic() - began)


def _further(
    run: TrainingRun, model: str | Path, records: ReadRecords, options: TrainOptions, source: str
) -> tuple[TrainingRun, TrainedModel]:
    """A MODEL trained further, or a head on its frozen vectors; pooled as its authors meant, if not told otherwise."""
    _check_further(run.recipe)
    _check_used(run.recipe, options)
    embedder = load(model, device=run.device, revision=options.revision, accept=options.accept)
    side = embedder.modality_of(records.first, options.modality, source=source)
    pooling = run.recipe.pooling or embedder.tower(side).reading.meant()
    run = replace(run, recipe=replace(run.recipe, pooling=pooling), model=embedder, modality=side)
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


def _check_further(recipe: Recipe) -> None:
    """Refuse what only an encoder from scratch, or one that learns, can do."""
    wanted = recipe.objective
    if recipe.data.unlabelled or wanted.kind in UNSUPERVISED:
        what = "records without labels" if recipe.data.unlabelled else f"[objective] kind = '{wanted.kind}'"
        raise OptionError(f"{what}: only an encoder from scratch learns so. Leave out the model; give a [model] table.")
    if recipe.data.size and not recipe.unfreeze:
        raise OptionError("[data] size is for an encoder that learns; `unfreeze` all of it or last-N.")
    if wanted.kind == "distillation" and not recipe.unfreeze:
        raise OptionError("a teacher has nothing to teach a frozen encoder; `unfreeze` all of it or last-N.")


def _check_used(recipe: Recipe, options: TrainOptions) -> None:
    """Refuse options that a frozen encoder has no use for."""
    if recipe.unfreeze:
        return
    unused = {"learning_rate": "is chosen on held-out records", "layer_decay": "is for an encoder that learns"}
    unused["patience"] = "is for an encoder that learns"
    specs = parse_many(recipe.pooling) if recipe.pooling else ()
    if recipe.head.kind == "linear" and not any(term.learned for spec in specs for term in spec.terms):
        unused |= dict.fromkeys(("epochs", "batch"), "has no meaning for logistic regression, which is solved exactly")
    for name, why in unused.items():
        if getattr(options, name) is not None:
            raise OptionError(f"`{name}` {why}; leave it out, or `unfreeze` all of the encoder or last-N.")
    if not options.augment:
        raise OptionError("`augment` is for fine-tuning on images; leave it out, or `unfreeze` the encoder.")
