"""A run onto what is there: nothing, the same work begun, or the work on an earlier state of the source."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from classtoken.errors import ManifestMismatch, OptionError, SourceError
from classtoken.run.engine import RunWork
from classtoken.run.known import ledger_of_state, state_of
from classtoken.run.local import do_what_is_left
from classtoken.run.staff import SentStage, Staff
from classtoken.run.stage import Stage
from classtoken.run.update import Changes, RefusedBefore, Update, altered, compare, take_over, unchanged
from classtoken.sink import Manifest, ParquetSink, check_place, read_manifest
from classtoken.sink.manifest import has_manifest, summed, write_manifest
from classtoken.sink.parquet import receipt_of, receipts
from classtoken.sink.quarantine import quarantine_is_whole, write_quarantine
from classtoken.source import Plan, Source, first_record
from classtoken.source.base import IMAGES
from classtoken.source.contents import KnownContents
from classtoken.values import Modality, Progress

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Onto:
    """How a run goes onto what is there.

    update: bring vectors of an earlier state of the source up to date; keep: with the rows that it no longer has. only:
    these tasks, as part of a run that others do too, and that somebody closes.
    """

    modality: Modality
    update: bool = False
    keep: bool = False
    strict: bool = False
    only: Collection[int] | None = None
    staff: Staff = field(default_factory=Staff)


@dataclass(frozen=True)
class RunOutcome:
    """What a run came to; `manifest` counts what is done so far where it is not complete."""

    manifest: Manifest
    progress: Progress
    changes: Changes


def run_onto(
    sink: ParquetSink, source: Source, plan: Plan, stage: SentStage, how: Onto, report: Report | None = None
) -> RunOutcome:
    """Do what is left to do.

    Raises `ManifestMismatch` with the number of records that are new, changed and gone where the source has changed
    and no update was asked for, and what `run` raises.
    """
    there = _begun(sink)
    touched = there is not None and _touched(sink, there, source, plan, how.modality)
    if there is not None and (how.update or there.plan != plan.hash or (touched and there.complete)):
        return _onto_another(sink, there, _Asked(source, plan, stage, how), report)
    if touched:
        _forget_altered(sink, source, plan, stage, how)
    work = RunWork(KnownContents(source, how.modality), sink.writer(), how.strict)
    progress = do_what_is_left(plan, how.staff.engine_for(stage), sink, work, report, how.only)
    _check_unchanged(sink, work.source, plan, stage)
    manifest = sink.finish() if how.only is None else so_far(sink)
    return RunOutcome(manifest, progress, unchanged(progress.done - progress.before))


def so_far(sink: ParquetSink) -> Manifest:
    """The manifest with what has been done by anybody, not complete."""
    return replace(summed(sink.manifest, tuple(receipt.part for receipt in receipts(sink.folder))), complete=False)


def closed(sink: ParquetSink) -> Manifest:
    """Close a folder whose tasks were done in slices: those of an update of it, where one was begun."""
    sink.lock()
    if (finished := take_over(sink)) is not None:
        return finished
    state = state_of(sink.folder)
    if not has_manifest(state):
        return sink.finish()
    with ParquetSink(state, read_manifest(state)) as update:
        update.lock()
        update.finish()
    finished = take_over(sink)
    assert finished is not None
    return finished


def read_at_other_times(sink: ParquetSink) -> str:
    """What a user should be told where slices listed the source's files with different times: copies of it, or files
    that were changed between two slices. Empty where all are of one listing."""
    times = {receipt.times for receipt in receipts(sink.folder)} - {""}
    if len(times) < 2 or has_manifest(state_of(sink.folder)):  # parts that stay have the times of older runs
        return ""
    return (
        f"slices read {sink.manifest.source} with different times of its files, as copies of it have, or files that "
        "were changed meanwhile; the same run, neither a slice nor the end of slices, compares what they hold"
    )


def slice_of(tasks: str, count: int) -> range:
    """`100-199`, or `7`: numbers of tasks from 0, both ends among them. Raises `OptionError`."""
    first, dash, last = tasks.partition("-")
    try:
        chosen = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        chosen = range(0)
    if not chosen or chosen.start >= count:
        raise OptionError(
            f"`tasks` is '{tasks}'; give a number or two as 0-{count - 1}: there are {count} tasks, numbered from 0."
        )
    return chosen


@dataclass(frozen=True)
class _Asked:
    """The work on another state of a source."""

    source: Source
    plan: Plan
    stage: SentStage
    how: Onto


def _onto_another(sink: ParquetSink, there: Manifest, asked: _Asked, report: Report | None) -> RunOutcome:
    plan, how = asked.plan, asked.how
    ledger = ledger_of_state(sink.folder)
    # Another folder may have files of the same names, sizes and times.
    before = None if asked.source.kind == IMAGES and asked.source.name != there.source else ledger.file_hash
    hashed = KnownContents(asked.source, how.modality, before)
    changes = compare(hashed, plan, ledger, RefusedBefore(receipts(sink.folder)), sink.carried, asked.stage)
    if how.update and not how.keep:
        changes = changes.without_kept()
    same = there.complete and not changes.any
    if same and (there.plan == plan.hash or len(changes.stays) == len(plan.tasks)):
        if not quarantine_is_whole(sink.folder, there.refused):
            write_quarantine(sink.folder, [entry for receipt in receipts(sink.folder) for entry in receipt.refused])
        if there.times != plan.listing.times and not sink.shared:
            write_manifest(sink.folder, replace(there, times=plan.listing.times))  # looked at, and nothing is another
        return RunOutcome(there, Progress(plan.total, plan.total, plan.total, there.refused), changes)
    if not how.update:
        _refuse(sink, asked.source, changes)
    update = Update(sink, ledger, changes, keep=how.keep)
    with update.begin() as state:
        work = RunWork(hashed, state.writer(), how.strict)
        engine = how.staff.engine_for(asked.stage, sink.folder)
        progress = do_what_is_left(plan, engine, state, work, report, how.only)
        _check_unchanged(state, hashed, plan, asked.stage)
        if how.only is not None:
            return RunOutcome(so_far(state), progress, changes)
        state.finish()
    finished = take_over(sink)
    assert finished is not None
    return RunOutcome(finished, progress, changes)


def _begun(sink: ParquetSink) -> Manifest | None:
    """The manifest of vectors of the same making that are there already, with other runs kept out; else None."""
    check_place(sink.folder, overwrite=sink.overwrite)
    if not has_manifest(sink.folder):
        return None
    there = read_manifest(sink.folder)
    if replace(sink.manifest, plan=there.plan).differences(there) or sink.overwrite:
        return None
    sink.lock()
    there = (None if sink.shared else take_over(sink)) or there
    sink.go_on_beside(there)
    return there


def _check_unchanged(sink: ParquetSink, source: Source, plan: Plan, stage: SentStage) -> None:
    """Raise `SourceError` where the source's files were changed while they were read, whatever they hold by now, and
    parts were made of something else; those are left to be done again."""
    if source.state() == plan.state:
        return
    other = list(altered(sink.folder, source, plan, stage, sink.carried))
    for number in other:
        sink.folder.delete(receipt_of(number))
    if other:
        raise SourceError(
            f"{source.name} was changed while it was being read: {len(other)} of {len(plan.tasks)} tasks read "
            "something else, and are to be done again. Stop whatever writes to it, and run again."
        )


def redo_altered(sink: ParquetSink, source: Source, plan: Plan, stage: Stage, modality: Modality) -> None:
    """Leave those tasks to be done again whose parts were made of something else than the source holds now, where it
    is listed as it was: before a run that has no updates."""
    there = _begun(sink)
    if there is not None and there.plan == plan.hash and _touched(sink, there, source, plan, modality):
        _forget_altered(sink, source, plan, stage, Onto(modality))


def _forget_altered(sink: ParquetSink, source: Source, plan: Plan, stage: Stage, how: Onto) -> None:
    """Take back the receipts of tasks, of those that are ours to do, that were made of something else."""
    known = KnownContents(source, how.modality, ledger_of_state(sink.folder).file_hash)
    tasks = tuple(task for task in plan.tasks if how.only is None or task.number in how.only)
    for number in altered(sink.folder, known, replace(plan, tasks=tasks), stage, sink.carried):
        sink.folder.delete(receipt_of(number))


def _touched(sink: ParquetSink, there: Manifest, source: Source, plan: Plan, modality: Modality) -> bool:
    """Whether files may hold something else, though they are listed as they were, or may be read that could not be.

    Where the listing does not cover all that they hold, their times say so. Of images that a table names nothing does:
    they are looked at one by one, and those whose time is another are read.
    """
    if plan.listing.times != there.times or any(receipt.may_pass for receipt in receipts(sink.folder)):
        return True
    named = modality == "image" and source.kind != IMAGES
    return named and isinstance(first_record(source, plan).image, Path)


def _refuse(sink: ParquetSink, source: Source, changes: Changes) -> NoReturn:
    what = f"{changes}" if changes.any else "the same records in another order, or cut into other parts"
    raise ManifestMismatch(
        f"{sink.place} holds vectors of an earlier state of {source.name}: {what}. Set `update` to compute what is new "
        "and changed, or give another folder, or set `overwrite` to replace them."
    )
