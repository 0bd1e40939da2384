"""A source, models and stored vectors -> the whole result of a comparison."""

import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

from classtoken.comparison.candidates import refuse_repeated
from classtoken.comparison.contest import Standing, standing
from classtoken.comparison.entrants import (
    Kept,
    Passed,
    Report,
    entrants_of,
    kept,
    pass_through,
    stored_entrants,
    stored_vectors,
)
from classtoken.comparison.opening import open_task
from classtoken.comparison.task import JudgedTask
from classtoken.comparison.words import METRICS, advice_of, points
from classtoken.errors import OptionError
from classtoken.fingerprint import hash_value
from classtoken.measure.paired import detectable
from classtoken.measure.statistics import LEAST
from classtoken.options import CompareOptions
from classtoken.options.base import all_fields
from classtoken.results.compare import CompareResult, Protocol
from classtoken.version import __version__

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
    task = open_task(source, options)
    before = detectable(task.deviation, task.units.count)
    if tell is not None:
        tell(_beforehand(task, before))
    passed = pass_through(models, task, options, report)
    arrays = stored_vectors(options, task)
    keeping = kept(task, passed)
    entrants, left_out = entrants_of(passed, keeping, several=len(passed) > 1 or bool(passed and arrays))
    more, faults = stored_entrants(arrays, keeping)
    entrants, left_out = [*entrants, *more], {**left_out, **faults}
    if not entrants:
        first = next(iter(left_out.items()))
        raise OptionError(f"no candidate can be judged; the first, {first[0]}: {first[1]}.")
    refuse_repeated([one.name for one in entrants])
    found = standing(keeping.task, entrants, seed=options.seed)
    return _result(keeping, passed, found, options, before, _Told(source, left_out, monotonic() - began))


class _Told:
    """What is told of a run besides its findings."""

    def __init__(self, source: Any, left_out: Mapping[str, str], seconds: float):
        self.source, self.left_out, self.seconds = source, left_out, seconds

    @property
    def name(self) -> str:
        """The source in a word."""
        return str(self.source) if isinstance(self.source, str | Path) else type(self.source).__name__


def _beforehand(task: JudgedTask, smallest: float) -> str:
    """What these items can show, before anything is computed."""
    counted = f"{len(task.items)} items" + ("" if task.units.alone else f" in {task.units.count} clusters")
    named = METRICS.get(task.metric, task.metric)
    return (
        f"{counted} can show a difference of {points(smallest)} points of {named} between two candidates (80 % power, "
        f"5 %), if {task.assumed}; smaller ones will look like ties"
    )


def _result(
    keeping: Kept,
    passed: Sequence[Passed],
    found: Standing,
    options: CompareOptions,
    before: float,
    told: _Told,
) -> CompareResult:
    task = keeping.task
    advice, sure = advice_of(found.candidates, found.differences, task.metric)
    fingerprints = {
        one.name: one.model.embedder.fingerprint("mean", modality=one.model.modality).hash() for one in passed
    }
    return CompareResult(
        candidates=found.candidates,
        advice=advice,
        sure=sure,
        detectable=found.detectable,
        detectable_before=before,
        protocol=Protocol(task.name, task.metric, task.settings(), _data_hash(task)),
        items=len(task.items),
        units=task.units.count,
        clusters=task.clusters,
        narrower=found.narrower,
        differences=found.differences,
        source=told.name,
        models=tuple(one.name for one in passed),
        command=_command(passed, told.name, options),
        versions={
            "classtoken": __version__,
            **{name: version(name) for name in LIBRARIES},
            "python": platform.python_version(),
        },
        fingerprints=fingerprints,
        refused=task.refused,
        left_out=told.left_out,
        notes=_notes(task, found),
        seconds=told.seconds,
    )


def _data_hash(task: JudgedTask) -> str:
    """A hash of what is judged: ids, contents, labels, clusters, the split."""
    said = [
        [r.id, r.text, str(r.image) if not isinstance(r.image, bytes) else r.image.hex(), r.label] for r in task.records
    ]
    return hash_value([said, list(task.items), task.units.of.tolist()])


def _notes(task: JudgedTask, found: Standing) -> tuple[str, ...]:
    notes = []
    if task.units.count < LEAST:
        notes.append(f"{task.units.count} independent items are too few for intervals; {LEAST} or more are needed.")
    if task.clusters:
        notes.append(
            f"Items come in {task.units.count} clusters ({task.clusters}); without them intervals would have been "
            f"{found.narrower:.2f} times too narrow."
        )
    if task.refused:
        notes.append(f"{len(task.refused)} items do not count; `refused` names them and says why.")
    return tuple(notes)


def _command(passed: Sequence[Passed], source: str, options: CompareOptions) -> str:
    """The command line that does the same again."""
    parts = ["classtoken", "compare", source]
    for one in passed:
        parts += ["--model", one.model.embedder.name]
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
    return shlex.join(parts)
