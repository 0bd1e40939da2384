"""What comes after learning: judge on the held-out part, write the folder, its record and its card."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import ImageStem, TextStem
from classtoken.head import Head
from classtoken.learning.data.batches import Feed
from classtoken.learning.folder import write as files
from classtoken.learning.folder.record import card, machine
from classtoken.learning.model import pooling_arguments
from classtoken.learning.objectives.supervised import Task, classification_scores, collect
from classtoken.learning.recipe import Recipe
from classtoken.learning.ways.calibrate import calibration_error, fit_temperature
from classtoken.learning.ways.frozen import Fitted
from classtoken.learning.ways.scratch import Trained, image_recipe
from classtoken.readout.saved import SavedReadout, write_saved
from classtoken.results.base import write
from classtoken.results.train import TrainResult, Trial
from classtoken.values import Refused

EXAMPLES = 3


@dataclass(frozen=True)
class Run:
    """What a run was given: its recipe, its folder, its device, and the MODEL that it began with, if any."""

    recipe: Recipe
    out: Path
    device: str
    way: str
    refused: tuple[Refused, ...]
    seconds: float
    half: bool = False
    embedder: Embedder | None = None
    modality: str = ""


def finish(trained: Trained, run: Run) -> TrainResult:
    """Judge a trained network on the held-out part and write its folder."""
    prepared, network = trained.prepared, trained.network.eval()
    encoder = network.encoder
    assert is_trainable(encoder)
    head = network.head if isinstance(network.head, Head) else None
    temperature, scores, errors = 1.0, dict(trained.outcome.looks[-1]) if trained.outcome.looks else {}, (0.0, 0.0)
    if head is not None:
        logits, targets = _held_out_logits(trained)
        temperature, scores, errors = _judged(logits, targets, prepared.several)
    labels = prepared.labels if head is not None else ()
    every = (*run.refused, *prepared.refused)
    result = TrainResult(
        out=run.out.as_posix(),
        way=run.way,
        task="multilabel" if prepared.several else "single",
        labels=labels,
        pooling=str(network.readout.spec),
        head="none" if head is None else run.recipe.head.kind,
        records=len(prepared.data),
        learned=len(prepared.learned),
        held_out=len(prepared.held_out),
        parameters=sum(p.numel() for p in network.parameters()),
        trained_parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        steps=trained.outcome.steps,
        seconds=trained.outcome.seconds,
        scores=scores,
        temperature=temperature,
        error=errors[1],
        error_before=errors[0],
        stopped_early=trained.outcome.stopped_early,
        refused=len(every),
        examples=every[:EXAMPLES],
        machine=machine(run.device),
        notes=(f"the whole command took {run.seconds:.0f} s",),
    )
    saved = files.saved_readout(
        network.readout,
        head,
        arguments=pooling_arguments(network.readout.spec, encoder, prepared.layout_positions, prepared.grid),
        labels=labels,
        several=prepared.several and head is not None,
        temperature=temperature,
        label_names=run.recipe.data.label_names,
        training={"way": run.way, "scores": dict(scores)},
    )
    _write_network(run, encoder.cpu(), saved)
    _write_record(run.out, result, run.recipe, every)
    return result


def _write_network(run: Run, encoder: Encoder, saved: SavedReadout) -> None:
    """The encoder in its own library's format where it came from one, else in ours; and what prepares its inputs."""
    reading = run.embedder.tower(run.modality).reading if run.embedder is not None else None
    if run.embedder is not None and reading is not None and reading.family is not None:
        files.write_tuned(run.out, run.embedder.folder, reading.config, reading.family, encoder, saved)
        return
    if run.embedder is not None:
        files.copy_files(run.embedder.folder, run.out)
    files.write_own(run.out, encoder, saved, half=run.half)
    stem, data = encoder.shape.stem, run.recipe.data
    if isinstance(stem, ImageStem) and not (run.out / "preprocessor_config.json").exists():
        files.write_image_settings(run.out, image_recipe(stem, data.mean, data.std))
    elif isinstance(stem, TextStem) and run.embedder is None:
        files.write_text_settings(run.out, saved.pooling, encoder.hidden_size, data.longest)


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


def finish_frozen(fitted: Fitted, run: Run) -> TrainResult:
    """Judge a head on the held-out part and write the MODEL's own files with the new readout and head."""
    assert run.embedder is not None
    reading = run.embedder.tower(run.modality).reading
    temperature, scores, errors = _judged(fitted.logits, fitted.targets, fitted.several)
    poolings = fitted.readout.poolings.parameters() if fitted.arguments else ()
    own = sum(p.numel() for p in (*fitted.head.parameters(), *poolings))
    every = (*run.refused, *fitted.refused)
    result = TrainResult(
        out=run.out.as_posix(),
        way=run.way,
        task="multilabel" if fitted.several else "single",
        labels=fitted.labels,
        pooling=str(fitted.readout.spec),
        head=run.recipe.head.kind,
        records=fitted.records,
        learned=fitted.learned,
        held_out=len(fitted.targets),
        parameters=own + sum(p.numel() for p in reading.encoder.parameters()),
        trained_parameters=own,
        steps=fitted.steps,
        seconds=run.seconds,
        scores=scores,
        temperature=temperature,
        error=errors[1],
        error_before=errors[0],
        chosen=fitted.chosen,
        trials=tuple(Trial(t.setting, t.score) for t in fitted.tried),
        features_cached=fitted.cached,
        refused=len(every),
        examples=every[:EXAMPLES],
        machine=machine(run.device),
    )
    contract = reading.contract
    saved = files.saved_readout(
        fitted.readout,
        fitted.head,
        arguments=fitted.arguments,
        labels=fitted.labels,
        several=fitted.several,
        temperature=temperature,
        unit_length=contract.unit_length and contract.pooling == str(fitted.readout.spec),
        label_names=run.recipe.data.label_names,
        training={"way": run.way, "scores": dict(scores)},
    )
    encoder, origin = reading.encoder, run.embedder.folder
    if (
        reading.family is not None
        and is_trainable(encoder)
        and files.published_head(reading.family, reading.config, saved)
    ):
        files.write_tuned(run.out, origin, reading.config, reading.family, encoder, saved)
    else:
        files.copy_files(origin, run.out)
        write_saved(run.out, saved)
    _write_record(run.out, result, run.recipe, every)
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
