"""A whole source turned into vectors on the disk."""

from collections.abc import Callable
from pathlib import Path

from classtoken.embedder import Embedder, Precision, load
from classtoken.errors import OptionError, SourceError
from classtoken.results.embed import EmbedResult
from classtoken.run import run
from classtoken.run.embedding import EmbedStage
from classtoken.sink import Manifest, ParquetSink, carried_columns, read_quarantine
from classtoken.sink.manifest import META
from classtoken.source import Plan, Source, SourceOptions, first_record, make_plan, open_source
from classtoken.source.plan import TASK_ROWS
from classtoken.values import Progress

#: Refused records that the result names.
EXAMPLES = 3


def embed(
    model: str | Path | Embedder,
    source: str | Path | Source,
    out: str | Path,
    *,
    pooling: str | None = None,
    normalize: bool | None = None,
    precision: Precision = "fp32",
    device: str | None = None,
    revision: str | None = None,
    modality: str | None = None,
    prompt: str | None = None,
    source_options: SourceOptions | None = None,
    strict: bool = False,
    limit: int | None = None,
    part_rows: int = TASK_ROWS,
    carry: str | None = None,
    report: Callable[[Progress], None] | None = None,
) -> EmbedResult:
    """Turn every record of a source into vectors in the folder `out`; a run that was stopped goes on where it was.

    pooling: names joined by commas, all from one pass; None for the contract's own vector. modality: needed only for a
        model of two towers on a source with both texts and images. limit: the first records only. part_rows: records of
        one output file, which is also what is lost at most when a run is stopped. carry: columns kept beside the
        vectors, joined by commas, or `none`; the text or the path and every other column if left out.

    Raises `SourceError` for what cannot be read or when no record could be embedded, `ManifestMismatch` when `out`
    holds vectors made in another way, and what `load` raises. With an `Embedder` as the model, its own pooling,
    precision, device and normalize stand, and must not be given here.
    """
    _check_counts(limit, part_rows)
    opened = open_source(source, source_options)
    plan = make_plan(opened, task_rows=part_rows, limit=limit)
    if isinstance(model, Embedder):
        if (pooling, normalize, precision, device, revision) != (None, None, "fp32", None, None):
            raise OptionError("an Embedder has its own pooling, normalize, precision and device; give them to load().")
        embedder = model
    else:
        embedder = load(
            model, pooling=pooling, normalize=normalize, precision=precision, device=device, revision=revision
        )
    first = first_record(opened, plan)
    stage = EmbedStage(embedder, embedder.modality_of(first, modality, source=opened.name), prompt=prompt)
    carried = carried_columns(first, plan.listing.meta, stage.columns, _names(carry))
    manifest = Manifest(
        model=_name(embedder.name),
        revision=revision,
        source=opened.name,
        kind=opened.kind,
        columns=dict(stage.columns),
        fingerprint=stage.fingerprint(),
        carried=tuple(column.name for column in carried),
        prompt=prompt,
        plan=plan.hash,
        tasks=len(plan.tasks),
        total=plan.total,
    )
    with ParquetSink(Path(out), manifest, carried) as sink:
        finished, progress = run(opened, plan, stage, sink, strict=strict, report=report)
    return _result(Path(out), finished, progress, plan)


def _check_counts(limit: int | None, part_rows: int) -> None:
    if limit is not None and limit < 1:
        raise OptionError(f"the limit is {limit}; give a whole number from 1, or leave it out.")
    if part_rows < 1:
        raise OptionError(f"{part_rows} rows a part; give a whole number from 1.")


def _names(carry: str | None) -> tuple[str, ...] | None:
    """The columns to carry: None for all of them."""
    if carry is None:
        return None
    names = tuple(name.strip() for name in carry.split(",") if name.strip())
    return () if names == ("none",) else names


def _name(model: str) -> str:
    """A local folder is known by its whole path, so that the model is found again from anywhere."""
    return Path(model).resolve().as_posix() if Path(model).is_dir() else model


def _result(out: Path, manifest: Manifest, progress: Progress, plan: Plan) -> EmbedResult:
    examples = read_quarantine(out / META, EXAMPLES)
    if not manifest.rows:
        raise SourceError(
            f"none of the {manifest.total} records could be embedded; the first, '{examples[0].id}', "
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
    )
