"""A source, models and stored vectors -> the whole result of a comparison."""

import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from classtoken.comparison.audit import audit_of, gaps_of, parts_of
from classtoken.comparison.beside import LENGTHS, token_lengths
from classtoken.comparison.candidates import refuse_repeated
from classtoken.comparison.contest import Entrant, Standing, standing
from classtoken.comparison.dense import Segmentation
from classtoken.comparison.describing import content_of, likeness, overlap_of, shapes
from classtoken.comparison.entrants import (
    Kept,
    Passed,
    Report,
    asked_besides,
    entrants_of,
    kept,
    learned_entrants,
    pass_through,
    stored_entrants,
    stored_vectors,
)
from classtoken.comparison.extract import Stored
from classtoken.comparison.labelled import Labelled
from classtoken.comparison.layers import by_layer
from classtoken.comparison.learned import learned_in_words
from classtoken.comparison.moved import moved
from classtoken.comparison.neighbours import confusion_of, neighbours_of
from classtoken.comparison.opening import columns_of_candidates, open_task
from classtoken.comparison.overlooked import overlooked
from classtoken.comparison.task import JudgedTask
from classtoken.comparison.words import advice_of
from classtoken.embedder import ModelSpec
from classtoken.errors import OptionError
from classtoken.files import in_shell
from classtoken.fingerprint import hash_value
from classtoken.inputs import unread_in_words
from classtoken.measure.paired import detectable
from classtoken.measure.statistics import LEAST
from classtoken.options import CompareOptions
from classtoken.options.base import all_fields
from classtoken.results.compare import BEST_LAYER, CompareResult, LayerCurve, PositionBias, Protocol, SplitOverlap
from classtoken.results.compare_words import METRICS, difference_in_words
from classtoken.version import __version__

ONLY_OF_MODELS = ("pooling", "by_layer", "prompt", "prompt_text")
"""options that change nothing about stored vectors"""
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "transformers")


def compared(
    models: Sequence[Any],
    source: Any,
    options: CompareOptions,
    *,
    report: Report = None,
    tell: Callable[[str], object] | None = None,
) -> CompareResult:
    """Judge all candidates. `tell` is called before the work with what these items can show."""
    began = monotonic()
    if not models and not options.vectors:
        raise OptionError("nothing is to be compared; give a model, or stored vectors as `vectors`.")
    idle = [name for name in ONLY_OF_MODELS if not models and getattr(options, name)]
    if idle:
        raise OptionError(f"`{idle[0]}` is of a model's vectors, and only stored ones are given; leave it out.")
    task = open_task(source, options, columns_of_candidates(models, options.vectors))
    audit_of(task)
    before = detectable(task.deviation, task.units.count)
    if tell is not None:
        tell(_beforehand(task, before))
    passed = pass_through(models, task, options, report)
    name = str(source) if isinstance(source, str | Path) else type(source).__name__
    return judged_after(task, passed, Told(name, options, before, began, task.told), report)


def judged_after(task: JudgedTask, passed: Sequence[Passed], told: "Told", report: Report = None) -> CompareResult:
    """The result of a task whose records have been through the models: one pass may serve several tasks."""
    if isinstance(task, Segmentation):
        tower = _only(passed).model.embedder.tower(passed[0].model.modality)
        task.prepared(tower.prepare, tower.layout.grid)
    keeping = kept(task, passed)
    field = _field_of(passed, stored_vectors(told.options, task), keeping, report)
    return _result(keeping, passed, field, told)


def _only(passed: Sequence[Passed]) -> Passed:
    """The one model of a dense task: masks are cut as it sees pictures."""
    if len(passed) != 1:
        raise OptionError(f"dense compares the patches of one model, and {len(passed)} were given.")
    return passed[0]


@dataclass(frozen=True)
class _Field:
    """All candidates that were judged, and those that could not be; the curves by layer, and by a sentence's place."""

    entrants: tuple[Entrant, ...]
    left_out: Mapping[str, str]
    curves: tuple[LayerCurve, ...]
    position: tuple[PositionBias, ...]


@dataclass(frozen=True)
class Told:
    """What is told of a run besides its findings."""

    source: str
    options: CompareOptions
    before: float
    began: float
    """by the clock of `time.monotonic`"""
    notes: tuple[str, ...] = ()
    """what the source says of itself"""


def _field_of(passed: Sequence[Passed], arrays: Mapping[str, Stored], keeping: Kept, report: Report) -> _Field:
    several = len(passed) > 1 or bool(passed and arrays)
    found, left_out = entrants_of(passed, keeping, report, several=several)
    more, faults = stored_entrants(arrays, keeping)
    found = [*found, *more]
    curves: list[LayerCurve] = []
    position: list[PositionBias] = []
    for one in passed:
        prefix = f"{one.name}: " if several else ""
        found += learned_entrants(one, keeping, prefix, report)
        layered = by_layer(one, keeping, prefix, report)
        fresh, same = apart(layered.chosen, found, keeping.task.metric)
        found += fresh
        left_out |= same
        curves += layered.curves
        position += moved(one, keeping.task.records, prefix)
    left_out = {**left_out, **faults}
    if not found:
        first = next(iter(left_out.items()))
        raise OptionError(f"no candidate can be judged; the first, {first[0]}: {first[1]}.")
    refuse_repeated([one.name for one in found])
    return _Field(tuple(found), left_out, tuple(curves), tuple(position))


def apart(chosen: Sequence[Entrant], others: Sequence[Entrant], metric: str) -> tuple[list[Entrant], dict[str, str]]:
    """The candidates at their best layer, without those that give on every item what the last layer gives."""
    plain = {one.name: one.judged.values[metric] for one in others}
    fresh, same = [], {}
    for one in chosen:
        name = one.name.removesuffix(BEST_LAYER)
        if name in plain and np.array_equal(plain[name], one.judged.values[metric]):
            same[one.name] = f"it gives on every item what {name} gives"
        else:
            fresh.append(one)
    return fresh, same


def _beforehand(task: JudgedTask, smallest: float) -> str:
    """What these items can show, before anything is computed."""
    counted = f"{len(task.items)} items" + ("" if task.units.alone else f" in {task.units.count} clusters")
    named = METRICS.get(task.metric, task.metric)
    return (
        f"{counted} can show a difference of {difference_in_words(smallest, task.metric)} in {named} between two "
        f"candidates in 4 of 5 such comparisons, if {task.assumed}; smaller ones less often"
    )


def _result(keeping: Kept, passed: Sequence[Passed], field: _Field, told: Told) -> CompareResult:
    task, seed = keeping.task, told.options.seed
    found = standing(task, field.entrants, seed=seed)
    said = advice_of(found.candidates, found.differences, task.metric)
    # What is advised comes first: what is mistaken for what, and what is found nearest, is shown of that.
    entrants = sorted(found.entrants, key=lambda one: one.name != said.name)
    real = [one for one in entrants if one.role == "candidate"]
    looked_at, lying = audit_of(task), shapes(found.entrants, task)
    overlap = overlap_of(task, next((one for one in real if one.vectors is not None), real[0]))
    candidates = tuple(
        replace(
            one,
            shape=lying.get(one.name),
            parts={} if looked_at is None else parts_of(entrant, task, looked_at),
        )
        for one, entrant in zip(found.candidates, found.entrants, strict=True)
    )
    settings = task.settings()
    if any(one.asked.learned for one in passed):
        settings["learned poolings and their controls"] = learned_in_words(told.options.seeds)
    if field.curves and isinstance(task, Labelled):
        settings["best layer"] = (
            "of every part of the split the one that is best on a held-out fifth of its learned part"
        )
    return CompareResult(
        candidates=candidates,
        advice=said.line,
        sure=said.sure,
        use=said.pooling,
        advised=said.name,
        detectable=found.detectable,
        detectable_before=told.before,
        protocol=Protocol(task.name, task.metric, settings, _data_hash(task)),
        items=len(task.items),
        units=task.units.count,
        clusters=task.clusters,
        narrower=found.narrower,
        differences=found.differences,
        source=told.source,
        models=tuple(one.name for one in passed),
        command=_command(passed, told.source, told.options),
        versions={
            "classtoken": __version__,
            **{name: version(name) for name in LIBRARIES},
            "python": platform.python_version(),
        },
        fingerprints={
            one.name: one.model.embedder.fingerprint("mean", modality=one.model.modality).hash() for one in passed
        },
        by_layer=field.curves,
        alike={} if isinstance(task, Segmentation) else likeness(found.entrants),
        position=field.position,
        lengths=tuple(
            row
            for one in passed
            if LENGTHS in one.found.beside
            for row in token_lengths(one.name, one.found.beside[LENGTHS])
        ),
        overlap=overlap,
        confusion=confusion_of(next((one for one in real if one.judged.predicted is not None), real[0]), task),
        neighbours=neighbours_of(entrants, task),
        audited=task.choices.group or "",
        gaps=() if looked_at is None else gaps_of(found.entrants, task, looked_at),
        overlooked=()
        if looked_at is None
        else tuple(row for one in passed for row in overlooked(one, task, looked_at)),
        refused=task.refused,
        left_out=field.left_out,
        notes=(
            *_notes(task, found, overlap),
            *(() if looked_at is None else looked_at.notes),
            *_unread(passed),
            *told.notes,
        ),
        seconds=monotonic() - told.began,
    )


def _data_hash(task: JudgedTask) -> str:
    """A hash of what is judged: ids, contents, labels, clusters, the split; wherever the files lie."""
    said = [[record.id, content_of(record), record.label] for record in task.records]
    return hash_value([said, list(task.items), task.units.of.tolist(), task.answers()])


def _unread(passed: Sequence[Passed]) -> tuple[str, ...]:
    """Of every model that reads less of some items than there is."""
    return tuple(f"{one.name}: {said}" for one in passed for said in unread_in_words(one.model.prepare, one.found.long))


def _notes(task: JudgedTask, found: Standing, overlap: SplitOverlap | None) -> tuple[str, ...]:
    notes = [*task.limits()]
    if task.units.count < LEAST:
        notes.append(
            f"{task.units.count} independent items are too few for intervals of means; {LEAST} or more are needed."
        )
    if task.clusters and not task.units.alone:
        notes.append(f"Items come in {task.units.count} clusters ({task.clusters}){_without_clusters(found.narrower)}.")
    if isinstance(task, Labelled) and not task.given_test and len(task.split.parts) < task.choices.folds:
        notes.append(
            f"{len(task.split.parts)} folds instead of {task.choices.folds}: no class fills more, or the "
            "clusters do not."
        )
    if overlap is not None and overlap.equal:
        without = "no item is left" if overlap.score_without is None else f"{overlap.score_without:.4f}"
        whole = isinstance(task, Labelled) and not (task.given_test or task.clusters) and _texts(task)
        apart = " Clusters by 'text' would keep equal ones together, and count them once." if whole else ""
        notes.append(
            f"{overlap.equal} of {overlap.checked} judged items are equal to one that was learned from, {overlap.near} "
            f"more nearly so; {overlap.candidate} has {overlap.score:.4f} with them, and without them {without}.{apart}"
        )
    return tuple(notes)


def _without_clusters(narrower: float) -> str:
    """What intervals would have been without clusters; nothing where clusters leave no chance at all."""
    if not narrower:
        return ""
    off = f"{narrower:.2f} times too narrow" if narrower >= 1 else f"{1 / narrower:.2f} times too wide"
    return f"; without them intervals would have been {off}"


def _texts(task: JudgedTask) -> bool:
    return all(record.text is not None for record in task.records)


def _command(passed: Sequence[Passed], source: str, options: CompareOptions) -> str:
    """The command line that does the same again, with a remark on what only Python can ask of a model."""
    parts: list[str] = []
    remarks: list[str] = []
    for one in passed:
        spec = one.model.embedder.spec
        parts += ["--model", spec.model]
        asked = asked_besides(spec, ModelSpec("", precision=options.precision, revision=options.revision))
        remarks += [f"{spec.model} with {asked}"] if asked else []
    usual = CompareOptions()
    for field in all_fields(CompareOptions):
        holder, plain = (options, usual) if field.inside is None else (options.source_options, usual.source_options)
        value = getattr(holder, field.name)
        if value == getattr(plain, field.name) or not field.about.shown or field.name == "overwrite":
            continue
        if isinstance(value, tuple) and not field.about.joined:
            parts += [part for one in value for part in (field.flag, str(one))]
        elif isinstance(value, tuple):
            parts += [field.flag, ",".join(map(str, value))]
        elif value is True:
            parts.append(field.flag)
        else:
            parts += [field.flag, str(value)]
    only = f"  # in Python, by ModelSpec: {'; '.join(remarks)}" if remarks else ""
    return f"classtoken compare {in_shell(source)} {shlex.join(parts)}{only}"
