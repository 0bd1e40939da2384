"""A whole source turned into vectors on the disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from classtoken.audit.golden import keep_golden
from classtoken.destination import check_folder
from classtoken.embedder import Embedder, load, prompt_of
from classtoken.errors import SourceError
from classtoken.files import user_path
from classtoken.options import EmbedOptions
from classtoken.results.embed import EmbedResult
from classtoken.run.embedding import EmbedStage
from classtoken.run.update import Changes, Onto, run_onto
from classtoken.sink import Manifest, ParquetSink, carried_columns, check_place, read_quarantine
from classtoken.sink.manifest import META
from classtoken.source import Plan, first_record, make_plan, open_source
from classtoken.values import Progress

#: Rejected records that the result names.
EXAMPLES = 3


def embed(
    model: str | Path | Embedder,
    source: Any,
    out: str | Path,
    options: EmbedOptions,
    *,
    report: Callable[[Progress], None] | None = None,
) -> EmbedResult:
    """Turn every record of a source into vectors in the folder `out`: see `classtoken.embed`."""
    out = user_path(out)
    folder = model.folder if isinstance(model, Embedder) else model
    check_folder(out, {"model": folder, "source": source})
    check_place(out, overwrite=options.overwrite)
    opened = open_source(source, options.source_options)
    plan = make_plan(opened, task_rows=options.part_rows, limit=options.limit)
    embedder = load(
        model,
        pooling=options.pooling,
        normalize=options.normalize,
        precision=options.precision,
        device=options.device,
        revision=options.revision,
        accept=options.accept,
        max_length=options.max_length,
    )
    first = first_record(opened, plan)
    modality = embedder.modality_of(first, options.modality, source=opened.name)
    stage = EmbedStage(embedder, modality, prompt=prompt_of(embedder, modality, options.prompt, options.prompt_text))
    carried = carried_columns(first, plan.listing.meta, stage.columns, _names(options.carry))
    manifest = stage.manifest(opened, plan, carried=tuple(column.name for column in carried))
    with ParquetSink(out, manifest, carried, overwrite=options.overwrite) as sink:
        how = Onto(modality, options.update, options.gone == "keep", options.strict)
        finished, progress, changes = run_onto(sink, opened, plan, stage, how, report)
    keep_golden(out, embedder, modality, stage.prompt)
    return _result(out, finished, progress, plan, changes)


def _names(carry: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The columns to carry: None for all of them."""
    return () if carry == ("none",) else carry


def _result(out: Path, manifest: Manifest, progress: Progress, plan: Plan, changes: Changes) -> EmbedResult:
    examples = read_quarantine(out, EXAMPLES)
    if not manifest.rows:
        raise SourceError(
            f"none of the {manifest.total} records could be embedded; the first, '{examples[0].id}': "
            f"{examples[0].reason}. All are in {out}/{META}/quarantine.parquet."
        )
    return EmbedResult(
        out=out.as_posix(),
        model=manifest.model,
        source=manifest.source,
        modality=manifest.fingerprint.modality,
        columns=manifest.columns,
        total=manifest.total,
        rows=manifest.rows,
        refused=manifest.refused,
        cut=manifest.cut,
        before=progress.before,
        parts=len(manifest.parts),
        seconds=progress.seconds,
        rate=progress.rate,
        examples=examples,
        notes=plan.listing.notes,
        new=changes.new,
        changed=changes.changed,
        gone=changes.gone,
        computed=changes.computed,
    )
