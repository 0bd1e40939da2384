"""A whole source turned into vectors, here or in a store."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classtoken.errors import SourceError
from classtoken.model_folder import columns_learned_from
from classtoken.options import EmbedOptions
from classtoken.places import Place, place_of
from classtoken.results.embed import EmbedPlan, EmbedResult
from classtoken.run.asked import check_options, finished
from classtoken.run.onto import Onto, RunOutcome, closed, read_at_other_times, run_onto, slice_of
from classtoken.run.staff import Staff
from classtoken.run.update import unchanged
from classtoken.sink import ParquetSink, check_place, read_manifest, read_quarantine
from classtoken.sink.beside import check_format, files_of, write_beside
from classtoken.sink.manifest import META, has_manifest
from classtoken.sink.parquet import receipts
from classtoken.source import Listing, open_source
from classtoken.source.base import called_in_words
from classtoken.values import Progress

if TYPE_CHECKING:  # of a finished folder nothing is computed
    from classtoken.embedder import Embedder

#: Rejected records that the result names.
EXAMPLES = 10
Report = Callable[[Progress], None]


def embed(
    model: "str | Path | Embedder", source: Any, out: str | Path, options: EmbedOptions, *, report: Report | None = None
) -> EmbedResult:
    """Turn every record of a source into vectors in the folder `out`: see `classtoken.embed`."""
    check_options(options)
    place = place_of(out)
    check_format(place, options.format)
    check_place(place, overwrite=options.overwrite)
    if options.finish:
        return _closed(place, options)
    there = read_manifest(place).called if has_manifest(place) else {}
    source = open_source(source, options.source_options, {**columns_learned_from(model), **there})
    for _ in source.records([], limit=1):  # a wrong column is told at once, and not after the model is there
        break
    if has_manifest(place) and (known := finished(model, source, place, options)) is not None:
        manifest, total = known.manifest, known.plan.total
        outcome = RunOutcome(manifest, Progress(total, total, total, manifest.refused), unchanged())
        return _result(place, outcome, known.plan.listing, files_of(place, options.format))
    return _computed(model, source, out, options, report)


def _computed(
    model: "str | Path | Embedder", source: Any, out: str | Path, options: EmbedOptions, report: Report | None
) -> EmbedResult:
    """What is left is computed."""
    from classtoken.audit.golden import keep_golden
    from classtoken.run.cut import cut_texts
    from classtoken.run.prepared import PreparedRun

    work = PreparedRun.of(model, source, out, options).sampled()
    only = None if options.tasks is None else slice_of(options.tasks, len(work.plan.tasks))
    staff = Staff(options.workers, options.engine, options.address)
    how = Onto(work.modality, options.update, options.gone == "keep", options.strict, only, staff)
    with ParquetSink(
        work.place, work.manifest, work.carried, overwrite=options.overwrite, shared=only is not None
    ) as sink:
        outcome = run_onto(sink, work.source, work.plan, work.stage, how, report)
        keep_golden(work.place, work.stage.embedder, work.modality, work.stage.prompt)
        files = write_beside(work.place, outcome.manifest, options.format) if outcome.manifest.complete else ()
    cut = cut_texts(work.place, outcome.manifest, work.stage)
    return replace(_result(work.place, outcome, work.plan.listing, files), cut_texts=cut)


def embed_plan(model: "str | Path | Embedder", source: Any, out: str | Path, options: EmbedOptions) -> EmbedPlan:
    """What `embed` would do: its tasks, and what decides the numbers. Nothing is computed or written."""
    from classtoken.run.prepared import PreparedRun

    work = PreparedRun.of(model, source, out, options)
    begun = has_manifest(work.place) and read_manifest(work.place).plan == work.plan.hash
    done = tuple(receipt.part.task for receipt in receipts(work.place)) if begun else ()
    manifest = work.manifest
    return EmbedPlan(
        model=manifest.model,
        source=manifest.source,
        kind=manifest.kind,
        out=work.place.name,
        modality=work.modality,
        columns=manifest.columns,
        carried=manifest.carried,
        fingerprint=manifest.fingerprint.to_dict(),
        plan=work.plan.hash,
        total=work.plan.total,
        tasks=work.plan.tasks,
        done=done,
    )


def _closed(place: Place, options: EmbedOptions) -> EmbedResult:
    """Close a folder whose tasks were done in slices."""
    with ParquetSink(place, read_manifest(place)) as sink:
        other = read_at_other_times(sink)
        manifest = closed(sink)
        files = write_beside(place, manifest, options.format)
    done = Progress(manifest.total, manifest.total, manifest.total, manifest.refused)
    found = _result(place, RunOutcome(manifest, done, unchanged()), None, files)
    return replace(found, notes=(*found.notes, *filter(None, (other,))))


def _result(place: Place, outcome: RunOutcome, listing: Listing | None, files: tuple[str, ...] = ()) -> EmbedResult:
    manifest, progress, changes = outcome.manifest, outcome.progress, outcome.changes
    examples = read_quarantine(place, EXAMPLES)
    if not manifest.rows and manifest.complete:
        raise SourceError(
            f"none of the {manifest.total} records could be embedded; the first, '{examples[0].id}': "
            f"{examples[0].reason}. All are in {place.name}/{META}/quarantine.parquet."
        )
    return EmbedResult(
        out=place.name,
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
        notes=(*filter(None, (called_in_words(manifest.called),)), *(() if listing is None else listing.notes)),
        new=changes.new,
        changed=changes.changed,
        gone=changes.gone,
        computed=changes.computed,
        unit=changes.what,
        complete=manifest.complete,
        tasks=manifest.tasks,
        store=manifest.store,
        clipped=manifest.clipped / max(1, manifest.rows * sum(manifest.columns.values())),
        sampled=manifest.sampled,
        files=files,
        extra=manifest.extra,
        tokens=manifest.tokens,
        token_rate=progress.token_rate,
    )
