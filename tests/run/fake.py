"""A run of a model that needs no weights. Also a program to be killed."""

import sys
from pathlib import Path

from classtoken.fingerprint import Fingerprint
from classtoken.run import run
from classtoken.sink import Manifest, ParquetSink
from classtoken.source import Plan, make_plan, open_source
from classtoken.testing.stages import FakeStage, FakeStageSpec, fake_vector
from classtoken.values import Progress

__all__ = ["FakeStage", "FakeStageSpec", "embed", "fake_vector", "manifest_of"]


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


if __name__ == "__main__":
    embed(Path(sys.argv[1]), Path(sys.argv[2]), FakeStage(float(sys.argv[3])))
