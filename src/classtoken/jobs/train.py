"""Train a head, a learned pooling, a fine-tune or an encoder from scratch, and leave a folder that opens again."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import torch
from torch import Tensor

from classtoken.embedder import Embedder, load
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import ImageStem, TextStem
from classtoken.errors import OptionError, OutputError, SourceError
from classtoken.learning import folder as files
from classtoken.learning.batches import Feed
from classtoken.learning.calibrate import calibration_error, fit_temperature
from classtoken.learning.finetune import finetune
from classtoken.learning.frozen import Fitted, train_frozen
from classtoken.learning.model import pooling_arguments
from classtoken.learning.objectives.supervised import Task, classification_scores, collect
from classtoken.learning.recipe import Recipe, read_recipe
from classtoken.learning.record import card, machine
from classtoken.learning.scratch import Trained, image_recipe, train_from_scratch
from classtoken.results.base import write
from classtoken.results.train import TrainResult, Trial
from classtoken.source import Source, SourceOptions, open_source
from classtoken.values import Record, Refused

DRAWN = {"scenes": "records", "tiny": "tiny_records"}
"""sources that the package draws itself: builtin:scenes?count=1000&seed=0, builtin:tiny"""
EXAMPLES = 3


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
    wanted = recipe if isinstance(recipe, Recipe) else read_recipe(recipe) if recipe is not None else Recipe()
    place, out = _device(device), Path(out)
    _check_out(out)
    spec = source if source is not None else wanted.data.source
    if spec is None:
        raise OptionError("there is nothing to learn from: give a SOURCE, or a recipe with [data] source.")
    refused: list[Refused] = []
    records = read_records(spec, _options(source_options, wanted), refused, wanted.data.limit)
    if model is None:
        if wanted.model is None:
            raise OptionError("give --model MODEL to train a head or fine-tune, or --config FILE with a [model] table.")
        columns = SourceOptions(text_column=wanted.data.unlabelled_text_column)
        extra = [r for s in wanted.data.unlabelled for r in read_records(s, columns, [], None)]
        trained = train_from_scratch(wanted, records, out, unlabelled=extra, device=place)
        result = _finish(trained, wanted, out, "scratch", place, refused, monotonic() - began, half)
    else:
        embedder = load(model, device=place, revision=revision)
        listed = list(records)
        side = _modality(embedder, listed, modality)
        wanted = _with_pooling(wanted, embedder, side)
        if wanted.unfreeze:
            trained = finetune(wanted, embedder, listed, out, modality=side, device=place)
            result = _finish(
                trained, wanted, out, "finetune", place, refused, monotonic() - began, half, embedder, side
            )
        else:
            fitted = train_frozen(wanted, embedder, listed, out, modality=side, device=place)
            result = _finish_frozen(fitted, wanted, embedder, side, out, place, refused, monotonic() - began)
    return result


def read_records(
    spec: str | Path | Source, options: SourceOptions, refused: list[Refused], limit: int | None
) -> Iterator[Record]:
    """Records of a SOURCE, or of pictures that the package draws (`builtin:scenes?count=1000&seed=0`)."""
    if isinstance(spec, str) and spec.startswith("builtin:"):
        yield from _drawn(spec)
        return
    yield from open_source(spec, options).records(refused, limit=limit)


def _drawn(spec: str) -> Iterator[Record]:
    from classtoken.builtin import scenes

    parts = urlsplit(spec)
    if parts.path not in DRAWN:
        raise SourceError(
            f"there is no built-in source '{spec}'; there are {', '.join(f'builtin:{n}' for n in DRAWN)}."
        )
    try:
        values = {
            name: int(given[-1]) for name, given in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()
        }
    except ValueError:
        raise SourceError(
            f"'{spec}' is not understood; write builtin:{parts.path}?count=1000&seed=0&start=0."
        ) from None
    unknown = sorted(values.keys() - {"count", "seed", "start"})
    if unknown:
        raise SourceError(f"'{spec}' has {unknown[0]}; a built-in source takes count, seed and start.")
    count = values.pop("count", 1000)
    yield from getattr(scenes, DRAWN[parts.path])(count, **values)


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(f"'{out}' is a file; give a folder to --out.")


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


def _modality(embedder: Embedder, records: Sequence[Record], asked: str | None) -> str:
    """Which side of the model the records are for."""
    if not records:
        raise SourceError("no record could be read; give a SOURCE with images or texts.")
    there = [name for name, value in (("text", records[0].text), ("image", records[0].image)) if value is not None]
    fits = [name for name in embedder.modalities if name in there and asked in (None, name)]
    if len(fits) != 1:
        raise OptionError(
            f"'{embedder.name}' reads {' and '.join(embedder.modalities)}, the records have {' and '.join(there) or 'nothing'}"
            f"{f', and {asked} was asked for' if asked else ''}; name one side with --modality text or image."
        )
    return fits[0]


def _with_pooling(recipe: Recipe, embedder: Embedder, modality: str) -> Recipe:
    """No pooling named: the one that the model's authors meant."""
    if recipe.pooling:
        return recipe
    return replace(recipe, pooling=embedder.tower(modality).reading.contract.pooling)


def _finish(
    trained: Trained,
    recipe: Recipe,
    out: Path,
    way: str,
    device: str,
    refused: list[Refused],
    seconds: float,
    half: bool,
    embedder: Embedder | None = None,
    side: str = "",
) -> TrainResult:
    """Judge on the held-out part, write the folder."""
    prepared, network = trained.prepared, trained.network.eval()
    logits, targets = _held_out_logits(trained)
    several, labels = prepared.several, prepared.labels
    temperature, scores, errors = _judged(logits, targets, several)
    count = sum(p.numel() for p in network.parameters())
    learned_encoder = count
    if way == "finetune" and recipe.unfreeze != "all":
        frozen = len(network.encoder.blocks) - int(recipe.unfreeze.removeprefix("last-"))  # type: ignore[arg-type]
        learned_encoder -= sum(p.numel() for b in list(network.encoder.blocks)[:frozen] for p in b.parameters())  # type: ignore[union-attr, arg-type]
        learned_encoder -= sum(p.numel() for p in network.encoder.stem.parameters())  # type: ignore[union-attr]
    every = [*refused, *prepared.refused]
    result = TrainResult(
        out=out.as_posix(),
        way=way,
        task="multilabel" if several else "single",
        labels=labels,
        pooling=str(network.readout.spec),
        head=recipe.head.kind,
        records=len(prepared.data),
        learned=len(prepared.learned),
        held_out=len(prepared.held_out),
        parameters=count,
        trained_parameters=learned_encoder,
        steps=trained.outcome.steps,
        seconds=trained.outcome.seconds,
        scores=scores,
        temperature=temperature,
        error=errors[1],
        error_before=errors[0],
        stopped_early=trained.outcome.stopped_early,
        refused=len(every),
        examples=tuple(every[:EXAMPLES]),
        machine=machine(device),
        notes=(f"the whole command took {seconds:.0f} s",),
    )
    arguments = pooling_arguments(
        network.readout.spec,
        network.encoder.hidden_size,
        prepared.layout_positions,
        prepared.grid,  # type: ignore[arg-type]
    )
    saved = files.saved_readout(
        network.readout,
        network.head,
        arguments=arguments,
        labels=labels,
        several=several,
        temperature=temperature,
        training={"way": way, "scores": dict(scores)},
    )
    encoder = network.encoder.cpu()
    assert isinstance(encoder, Encoder)
    reading = embedder.tower(side).reading if embedder is not None else None
    if reading is None or reading.family is None or embedder is None:
        if embedder is not None:
            files.copy_files(embedder.folder, out)
        files.write_own(out, encoder, saved, half=half)
        _write_own_settings(out, encoder, recipe, str(network.readout.spec))
    else:
        files.write_tuned(out, embedder.folder, reading.config, reading.family, encoder, saved)
    _write_record(out, result, recipe, every)
    return result


def _held_out_logits(trained: Trained) -> tuple[Tensor, Tensor]:
    prepared = trained.prepared
    rows = prepared.held_out if len(prepared.held_out) else prepared.learned[:2048]
    with torch.no_grad():
        logits, targets = collect(trained.network, Feed(prepared.data, rows, 256, 0).looks())
    return logits.cpu(), targets.cpu()


def _judged(logits: Tensor, targets: Tensor, several: bool) -> tuple[float, dict[str, float], tuple[float, float]]:
    """Temperature, scores, and the calibration error before and after."""
    task: Task = "multi" if several else "single"
    temperature = fit_temperature(logits, targets, task)
    errors = (calibration_error(logits, targets, task), calibration_error(logits / temperature, targets, task))
    return temperature, classification_scores(logits, targets, task), errors


def _write_own_settings(out: Path, encoder: Encoder, recipe: Recipe, pooling: str) -> None:
    stem = encoder.shape.stem
    if isinstance(stem, ImageStem) and not (out / "preprocessor_config.json").exists():
        files.write_image_settings(out, image_recipe(stem, recipe.data.mean, recipe.data.std))
    elif isinstance(stem, TextStem):
        files.write_text_settings(out, pooling, encoder.hidden_size, recipe.data.longest)


def _finish_frozen(
    fitted: Fitted,
    recipe: Recipe,
    embedder: Embedder,
    side: str,
    out: Path,
    device: str,
    refused: list[Refused],
    seconds: float,
) -> TrainResult:
    """Judge on the held-out part, write the model's own files with the new readout and head."""
    reading = embedder.tower(side).reading
    temperature, scores, errors = _judged(fitted.logits, fitted.targets, fitted.several)
    own = sum(p.numel() for p in fitted.head.parameters()) + sum(
        p.numel() for pooling in fitted.arguments for p in fitted.readout.poolings.parameters() if pooling
    )
    every = [*refused, *fitted.refused]
    result = TrainResult(
        out=out.as_posix(),
        way="frozen",
        task="multilabel" if fitted.several else "single",
        labels=fitted.labels,
        pooling=str(fitted.readout.spec),
        head=recipe.head.kind,
        records=fitted.records,
        learned=fitted.learned,
        held_out=len(fitted.targets),
        parameters=own + sum(p.numel() for p in reading.encoder.parameters()),
        trained_parameters=own,
        steps=fitted.steps,
        seconds=seconds,
        scores=scores,
        temperature=temperature,
        error=errors[1],
        error_before=errors[0],
        chosen=fitted.chosen,
        trials=tuple(Trial(t.setting, t.score) for t in fitted.tried),
        features_cached=fitted.cached,
        refused=len(every),
        examples=tuple(every[:EXAMPLES]),
        machine=machine(device),
    )
    files.copy_files(embedder.folder, out)
    saved = files.saved_readout(
        fitted.readout,
        fitted.head,
        arguments=fitted.arguments,
        labels=fitted.labels,
        several=fitted.several,
        temperature=temperature,
        unit_length=reading.contract.unit_length and reading.contract.pooling == str(fitted.readout.spec),
        training={"way": "frozen", "scores": dict(scores)},
    )
    files.write_saved_readout(out, saved)
    _write_record(out, result, recipe, every)
    return result


def _write_record(out: Path, result: TrainResult, recipe: Recipe, refused: Iterable[Refused]) -> None:
    """training.json, the quarantine, the card."""
    with (out / "quarantine.jsonl").open("w", encoding="utf-8") as file:
        for entry in refused:
            file.write(json.dumps({"id": entry.id, "reason": entry.reason}, ensure_ascii=False) + "\n")
    write(result, out / "result.json")
    record: dict[str, Any] = {"result": result.to_dict(), "recipe": recipe.to_dict()}
    files.write_json(out / "training.json", record)
    (out / "README.md").write_text(card(out.name, recipe.about, record), encoding="utf-8")
