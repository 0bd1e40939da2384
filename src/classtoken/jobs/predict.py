"""A trained classifier applied to a whole source."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from classtoken.destination import check_folder
from classtoken.embedder import Embedder, classifying_sides, load, with_prompt
from classtoken.embedder.zero_shot import worded
from classtoken.errors import SourceError
from classtoken.files import user_path, write_text
from classtoken.inputs import choose_modality, thumbnail, unread_in_words
from classtoken.learning.folder.seen import seen_before
from classtoken.learning.temperature import fitted_temperature
from classtoken.measure.answers import JudgedAnswers
from classtoken.model_folder import columns_learned_from
from classtoken.options import PredictOptions
from classtoken.report.predictions import predictions_page
from classtoken.report.predictions_table import write_table
from classtoken.results.base import write
from classtoken.results.predict import PredictResult
from classtoken.run import run
from classtoken.run.classifying import ClassifyStage
from classtoken.run.onto import redo_altered
from classtoken.sink import ParquetSink, Vectors, carried_columns, check_place, read_quarantine
from classtoken.sink.manifest import META
from classtoken.source import Source, first_record, make_plan, open_source
from classtoken.source.contents import KnownContents
from classtoken.values import Progress, Rejected

EXAMPLES = 10


def predict(
    model: str | Path | Embedder,
    source: Any,
    out: str | Path,
    options: PredictOptions,
    *,
    report: Callable[[Progress], None] | None = None,
) -> PredictResult:
    """Label every record of a source: see `classtoken.predict`."""
    began, out = monotonic(), user_path(out)
    folder = model.folder if isinstance(model, Embedder) else model
    check_folder(out, {"model": folder, "source": source})
    check_place(out, overwrite=options.overwrite)
    opened = open_source(source, options.source_options, columns_learned_from(model))
    plan = make_plan(opened, task_rows=options.part_rows, limit=options.limit)
    embedder = load(
        model, precision=options.precision, device=options.device, revision=options.revision, accept=options.accept
    )
    first = first_record(opened, plan)
    embedder = worded(embedder, options)
    sides = classifying_sides(embedder, options.modality)
    side = choose_modality(sides, first, options.modality, model=embedder.name, source=opened.name)
    embedder, prompt = with_prompt(embedder, side, options.prompt, options.prompt_text)
    stage = ClassifyStage(embedder, side, prompt=prompt)
    if options.calibrate is not None:
        stage.classifier.temperature = fitted_temperature(
            embedder, side, options.calibrate, opened.options, prompt=prompt
        )
    labels, classifier = embedder.labels, stage.classifier
    seen = seen_before(embedder.folder, opened, side, options.limit)
    answers = JudgedAnswers(labels, classifier.multilabel, classifier.label_names, seen)
    carried = carried_columns(first, {}, stage.columns)
    manifest = stage.manifest(opened, plan, carried=tuple(column.name for column in carried))
    with ParquetSink(out, manifest, carried, overwrite=options.overwrite) as sink:
        redo_altered(sink, opened, plan, stage, side)
        finished, progress = run(KnownContents(opened, side), plan, stage, sink, report=report)
        write_table(out / "predictions.csv", Vectors(out, finished), options.every, answers)
    examples = read_quarantine(out, EXAMPLES)
    if not finished.rows:
        raise SourceError(
            f"none of the {finished.total} records could be labelled; the first, '{examples[0].id}': "
            f"{examples[0].reason}. All are in {out}/{META}/quarantine.parquet."
        )
    result = PredictResult(
        out=out.as_posix(),
        model=embedder.name,
        labels=labels,
        records=finished.rows,
        before=progress.before,
        refused=finished.refused,
        examples=examples,
        seconds=monotonic() - began,
        judged=answers.judged,
        accuracy=answers.accuracy,
        interval=answers.interval,
        label_accuracy=answers.label_accuracy,
        label_figures=tuple(answers.label_figures()),
        confusions=answers.confusions,
        sureness=answers.sureness,
        mistakes=answers.mistakes,
        unknown=answers.unknown,
        untypical=answers.untypical,
        least_typical=answers.least_typical,
        report=(out / "report.html").as_posix(),
        given=answers.given_labels,
        least_sure=answers.least_sure,
        judged_seen=answers.judged_seen,
        of_others=answers.interval_of_others,
        source=opened.name,
        date=datetime.now(UTC).date().isoformat(),
        notes=(*unread_in_words(embedder.tower(side).prepare, finished.cut), *opened.notes),
    )
    _write_report(result, opened, options.limit)
    write(result, out / "result.json")
    return result


def _write_report(result: PredictResult, source: Source, limit: int | None) -> None:
    """`report.html`, with small pictures of the records that were labelled wrongly, or with least certainty."""
    assert result.report is not None
    unsure = {one.id for one in result.least_sure}
    wanted = {mistake.id for mistake in result.mistakes} | {one.id for one in result.least_typical} | unsure
    pictures: dict[str, str] = {}
    refused: list[Rejected] = []
    for record in source.records(refused, limit=limit) if wanted else ():
        if record.image is None or len(pictures) == len(wanted):
            break
        if record.id in wanted:
            pictures[record.id] = thumbnail(record.image) or ""
    write_text(Path(result.report), predictions_page(result, pictures))
