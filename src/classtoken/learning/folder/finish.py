"""What comes after learning: judge on the held-out part, write the folder, its record and its card."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from classtoken.contract.for_others import write_modules
from classtoken.encoder.families.timm_config import is_timm
from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import ImageStem, TextStem
from classtoken.errors import TrainingError
from classtoken.files import write_text
from classtoken.learning.folder import write as files
from classtoken.learning.folder.formats import at_size, published_form
from classtoken.learning.folder.record import base_name, card, licence_of, machine
from classtoken.learning.folder.seen import write_seen
from classtoken.learning.judge import Judgement, judge
from classtoken.learning.objectives.base import score_of
from classtoken.learning.objectives.supervised import metric_for
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.scratch import image_recipe
from classtoken.learning.ways.trained import TrainedModel
from classtoken.learning.work import being_written, list_files
from classtoken.measure.statistics import independence
from classtoken.model_folder import TRAINING, read_json, read_prompts
from classtoken.readout.saved import SavedReadout, read_saved
from classtoken.results.base import counted, write
from classtoken.results.train import PoolingFigures, TrainResult
from classtoken.sink import write_quarantine
from classtoken.source.base import called_in_words
from classtoken.tokens.image import ImagePreprocessor
from classtoken.values import Record, Rejected

EXAMPLES = 3
REFUSED = 10
"""records that could not be read, and are named"""


def finish(
    model: TrainedModel,
    run: TrainingRun,
    refused: Sequence[Rejected],
    seconds: float,
    more: Callable[[TrainResult], TrainResult],
) -> TrainResult:
    """Judge a trained model on the held-out part and write its folder, which nobody opens before it is whole.

    `refused` are records that could not be read at all, besides those that could not be prepared; `seconds` are those
    of the whole run; `more` writes what else belongs into the folder. Raises `TrainingError` for answers that are no
    numbers.
    """
    judged = Judgement(dict(model.scores))
    if model.logits is not None and model.targets is not None:
        if wrong := int((~model.logits.isfinite()).any(1).sum()):
            raise TrainingError(
                f"the answers to {wrong} of {len(model.logits)} held-out records are not finite: the weights have "
                "become too large. Lower the learning rate, or set a clip, and give another folder."
            )
        independent = independence(model.folds) * model.rows.division.independent
        judged = judge(model.logits, model.targets, model.rows.task, model.shipped, independent)
    every = (*refused, *model.rows.refused)
    result = _result(model, run, judged, every, seconds)
    saved = files.saved_readout(
        model.readout,
        model.head,
        arguments=model.pooling_arguments,
        labels=result.labels,
        several=model.rows.several and model.head is not None,
        temperature=judged.temperature,
        unit_length=_unit_length(model, run),
        label_names=run.recipe.data.label_names,
        training={"way": run.way, "scores": dict(judged.scores)},
        typical=model.typical,
        modality=_side(run),
    )
    with being_written(run.out):
        _write_model(model, run, saved)
        _write_record(model, run, result, every)
        return more(result)


def _result(
    model: TrainedModel, run: TrainingRun, judged: Judgement, refused: Sequence[Rejected], seconds: float
) -> TrainResult:
    rows, parts = model.rows, (model.encoder, model.readout, model.head)
    return TrainResult(
        out=run.out.as_posix(),
        way=run.way,
        task="multilabel" if rows.several else "single",
        labels=rows.labels if model.head is not None else (),
        pooling=str(model.readout.spec),
        head="none" if model.head is None else run.recipe.head.kind,
        records=len(rows.data),
        learned=len(rows.data) if model.folds else len(rows.learned),
        held_out=0 if model.folds else len(rows.held_out),
        parameters=sum(p.numel() for part in parts if part is not None for p in part.parameters()),
        trained_parameters=model.trained_parameters,
        steps=model.steps,
        seconds=seconds if model.seconds is None else model.seconds,
        scores=judged.scores,
        intervals=judged.intervals,
        folds=model.folds,
        temperature=judged.temperature,
        error=judged.error,
        error_before=judged.error_before,
        chosen=model.chosen,
        trials=model.trials,
        stopped_early=model.stopped_early,
        poolings=_compared(model, run),
        features_cached=model.features_cached,
        refused=len(refused),
        examples=tuple(refused[:REFUSED]),
        model="" if run.model is None else base_name(run.model.name),
        source=run.source,
        called=run.called,
        modality=_modality(model, run),
        date=datetime.now(UTC).date().isoformat(),
        licence="" if run.model is None else licence_of(run.model.folder),
        machine=machine(run.device),
        notes=(*_layers_left_out(run, model), *_notes(model, run, seconds)),
    )


def _layers_left_out(run: TrainingRun, model: TrainedModel) -> tuple[str, ...]:
    """That a model's own vector goes through layers behind its pooling which the trained one does not."""
    if run.model is None or model.head is None:
        return ()
    reading = run.embedder.tower(run.modality).reading
    if not reading.after or str(model.readout.spec) != reading.contract.pooling or model.readout.after:
        return ()
    kinds = ", ".join(dict.fromkeys(type(layer).__name__ for layer in reading.after))
    return (
        f"'{base_name(run.model.name)}' puts layers of its own ({kinds}) behind its pooling; the head reads the pooled "
        "vector, and the trained folder has none of them",
    )


def _notes(model: TrainedModel, run: TrainingRun, seconds: float) -> Iterator[str]:
    if said := called_in_words(run.called):
        yield said
    yield from run.notes()
    yield from model.rows.unread
    copies = model.rows.division.copies
    if copies:
        yield (
            f"{counted(copies, 'record')} of {len(model.rows.data)} hold{'s' * (copies == 1)} what an earlier one "
            "holds; copies were never divided between learning and judging, and intervals count them once"
        )
    alone = _alone(model)
    if alone and model.folds:
        have = "has" if len(alone) == 1 else "have"
        yield (
            f"{counted(len(alone), 'label')} {have} a single record, which the head that judges it has not seen, so "
            f"that it is wrong: {', '.join(alone[:EXAMPLES])}"
            f"{', ...' if len(alone) > EXAMPLES else ''}; look whether it is a slip"
        )
    if alike := _alike(model.rows.labels):
        yield f"labels that differ in case or spaces only: {'; '.join(alike)}; look whether they are the same"
    disputed = model.rows.division.disputed
    if disputed:
        pairs = [f"'{record.id}' ({_named(record)}) is '{first.id}' ({_named(first)})" for record, first in disputed]
        more = len(pairs) - EXAMPLES
        yield (
            f"{counted(len(pairs), 'record')} hold{'s' * (len(pairs) == 1)} what an earlier one with another label "
            f"holds, so that one of the two labels is wrong: {'; '.join(pairs[:EXAMPLES])}"
            + (f"; and {more} more, which `duplicates` names" if more > 0 else "")
        )
    if model.seconds is not None:
        yield f"the whole command took {seconds:.0f} s"


def _alike(labels: Sequence[str]) -> list[str]:
    """Labels that a slip may have made two of one, in groups."""
    groups: dict[str, list[str]] = {}
    for name in labels:
        groups.setdefault("".join(name.split()).casefold(), []).append(name)
    return [", ".join(f"'{name}'" for name in group) for group in groups.values() if len(group) > 1]


def _alone(model: TrainedModel) -> list[str]:
    """Labels that one record has, where a record has one label."""
    targets = model.rows.data.targets
    if targets is None or model.rows.several or not model.rows.labels:
        return []
    counts = targets[targets >= 0].bincount(minlength=len(model.rows.labels)).tolist()
    return [name for name, count in zip(model.rows.labels, counts, strict=True) if count == 1]


def _named(record: Record) -> str:
    """A record's label in words."""
    return ", ".join(record.label) if isinstance(record.label, tuple) else str(record.label)


def _compared(model: TrainedModel, run: TrainingRun) -> tuple[PoolingFigures, ...]:
    """Every pooling that was compared, judged on its own, best first."""
    found = []
    for one in model.poolings:
        independent = independence(one.folds) * model.rows.division.independent
        its = judge(one.logits, one.targets, model.rows.task, None, independent)
        found.append(PoolingFigures(one.pooling, its.scores, its.intervals))
    name = metric_for(model.rows.task, run.recipe.loop.metric)
    return tuple(sorted(found, key=lambda figures: -score_of(figures.scores, name)))


def _modality(model: TrainedModel, run: TrainingRun) -> str:
    """Which inputs the model reads."""
    if run.modality:
        return run.modality
    return "image" if isinstance(model.encoder.shape.stem, ImageStem) else "text"


def _unit_length(model: TrainedModel, run: TrainingRun) -> bool:
    """Whether the folder's own vectors have unit length: as the MODEL's contract says where its vectors are what they
    were, or were trained themselves. Heads read the pooled state as it is, whatever this says; where encoder and head
    have learned together, so do the vectors."""
    if run.model is None or (run.way == "finetune" and model.head is not None):
        return False
    contract = run.embedder.tower(run.modality).reading.contract
    return contract.unit_length and contract.pooling == str(model.readout.spec)


def _side(run: TrainingRun) -> str:
    """Whose readout and head these are in a folder that keeps both sides of its MODEL; empty where it keeps one."""
    if run.model is None or run.way == "finetune":
        return ""
    before = read_saved(run.embedder.folder)
    return run.modality if len(run.embedder.towers) > 1 or (before is not None and before.modality) else ""


def _write_model(model: TrainedModel, run: TrainingRun, saved: SavedReadout) -> None:
    """The encoder in its own library's format where it came from one, else in ours; and what prepares its inputs."""
    if model.whole is not None:
        files.write_whole(run.out, run.embedder.folder, model.whole, half=run.half)
        return
    encoder = model.encoder.cpu()
    if run.model is None:
        assert is_trainable(encoder)
        files.write_own(run.out, encoder, saved, half=run.half)
        stem, data = encoder.shape.stem, run.recipe.data
        if isinstance(stem, ImageStem):
            files.write_image_settings(run.out, image_recipe(stem, data.mean, data.std))
        elif isinstance(stem, TextStem) and published_form(encoder.shape) is not None:
            write_modules(run.out, saved, encoder.hidden_size, longest=data.longest)
        return
    origin, reading, moved = run.embedder.folder, run.embedder.tower(run.modality).reading, run.way == "finetune"
    family = reading.family
    opens = family is not None and is_trainable(encoder) and files.opens_by_config(origin, reading.config)
    if family is not None and opens and (moved or files.published_head(family, reading.config, saved)):
        assert is_trainable(encoder)
        config = reading.config
        if moved and run.recipe.data.size and not is_timm(read_json(origin / "config.json") or {}):
            encoder, config = at_size(encoder, family, config, run.embedder.tower(run.modality).layout.grid)
        files.write_tuned(run.out, origin, config, family, encoder, saved, half=run.half)
    elif moved:
        assert is_trainable(encoder)
        files.copy_files(origin, run.out)
        (run.out / "open_clip_config.json").unlink(missing_ok=True)
        files.write_own(run.out, encoder, saved, half=run.half)
    else:
        files.write_frozen(run.out, origin, saved, half=run.half)
    if run.modality == "text" and len(run.embedder.towers) == 1 and not saved.modality and reading.family is not None:
        include = read_prompts(origin).include
        write_modules(run.out, saved, encoder.hidden_size, include_prompt=include)
    prepare = run.embedder.tower(run.modality).prepare
    said_there = opens or not moved  # how pictures are prepared
    if isinstance(prepare, ImagePreprocessor) and (run.recipe.data.size or not said_there):
        files.write_image_settings(run.out, prepare.recipe)


def _write_record(model: TrainedModel, run: TrainingRun, result: TrainResult, refused: Sequence[Rejected]) -> None:
    """training.json, the quarantine, the card."""
    write_quarantine(run.out, refused)
    write_seen(run.out, run.read.seen, None if run.model is None else run.embedder.folder)
    write(result, run.out / "result.json")
    record: dict[str, Any] = {"result": result.to_dict(), "recipe": run.recipe.to_dict()}
    if model.work is not None:
        record["work"] = model.work.whole_hash(run.half)
    files.write_json(run.out / TRAINING, record)
    write_text(run.out / "README.md", card(run.out.name, run.recipe.about, record))
    list_files(run.out)
