"""A run of a model that needs no weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from classtoken.fingerprint import Fingerprint
from classtoken.places import place_of
from classtoken.run import run
from classtoken.run.onto import Onto, run_onto
from classtoken.run.staff import Staff
from classtoken.run.update import Changes
from classtoken.sink import Manifest, ParquetSink, carried_columns
from classtoken.source import Plan, first_record, make_plan, open_source
from classtoken.testing.stages import FakeStage, FakeStageSpec, fake_vector
from classtoken.values import Progress

__all__ = ["FakeStage", "FakeStageSpec", "embed", "fake_vector", "manifest_of", "onto"]


def manifest_of(plan: Plan, name: str, kind: str) -> Manifest:
    """The manifest of a run of the fake model."""
    columns = dict(FakeStage.columns)
    return Manifest(
        model="fake",
        revision=None,
        source=name,
        kind=kind,
        columns=columns,
        fingerprint=Fingerprint("w", "c", "p", "text", tuple(columns), None, "fp32", "v"),
        plan=plan.hash,
        tasks=len(plan.tasks),
        total=plan.total,
    )


def embed(
    source: Path, out: Path, stage: FakeStage, *, part_rows: int = 5, strict: bool = False, report=None
) -> tuple[Manifest, Progress]:
    """Run it."""
    opened = open_source(source)
    plan = make_plan(opened, task_rows=part_rows)
    with ParquetSink(out, manifest_of(plan, opened.name, opened.kind)) as sink:
        return run(opened, plan, stage, sink, strict=strict, report=report)


def onto(
    source: Path,
    out: Path | str,
    stage: FakeStage,
    *,
    update: bool = False,
    keep: bool = False,
    staff: Staff | None = None,
    report: Callable[[Progress], None] | None = None,
) -> tuple[Manifest, Changes]:
    """Run it onto what is there, and carry what there is."""
    opened = open_source(source)
    plan = make_plan(opened, task_rows=5)
    carried = carried_columns(first_record(opened, plan), plan.listing.meta, stage.columns)
    names = tuple(column.name for column in carried)
    manifest = replace(manifest_of(plan, opened.name, opened.kind), carried=names)
    with ParquetSink(place_of(out), manifest, carried) as sink:
        how = Onto("text", update, keep, staff=staff or Staff())
        outcome = run_onto(sink, opened, plan, stage, how, report)
    return outcome.manifest, outcome.changes
