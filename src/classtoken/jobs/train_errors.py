"""The errors that a training has made among the records that judged it, as a page to look at."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from classtoken.files import write_text
from classtoken.inputs import thumbnail
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.trained import TrainedModel
from classtoken.measure.answers import AnsweredRecord, JudgedAnswers
from classtoken.report.predictions import predictions_page
from classtoken.results.base import write
from classtoken.results.predict import PredictResult
from classtoken.results.train import TrainResult
from classtoken.sink.manifest import META
from classtoken.values import Record

PAGE = "errors.html"


def with_errors(
    result: TrainResult, trained: TrainedModel, run: TrainingRun, again: Callable[[], Iterable[Record]]
) -> TrainResult:
    """Write DIR/_meta/errors.html where records judged the classifier, and say so in the result. `again` gives the
    records once more, with their pictures.

    Every record is shown with what a head has answered that had not seen it. Below `_meta`, for it shows the records,
    which whoever hands the model on may not want to.
    """
    answers = JudgedAnswers(trained.rows.labels, trained.rows.several)
    for record, probabilities in trained.answers(result.temperature):
        label = "|".join(record.label) if isinstance(record.label, tuple) else record.label
        shown = record.text or (str(record.image) if isinstance(record.image, Path) else "")
        answers.count(AnsweredRecord(record.id, label, probabilities, record.group, shown))
    if not answers.judged:
        return result
    found = PredictResult(
        out=result.out,
        model=run.out.name,
        labels=result.labels,
        records=answers.judged,
        refused=0,
        examples=(),
        seconds=0.0,
        judged=answers.judged,
        accuracy=answers.accuracy,
        interval=result.intervals.get("accuracy", result.intervals.get("exact_match")),
        label_figures=tuple(answers.label_figures()),
        confusions=answers.confusions,
        sureness=answers.sureness,
        mistakes=answers.mistakes,
        source=result.source,
        date=result.date,
    )
    wanted = {one.id for one in found.mistakes} if result.modality == "image" else set()
    seen = (record for record in again() if record.id in wanted) if wanted else ()
    pictures = {record.id: thumbnail(record.image) or "" for record in seen if record.image is not None}
    how = f"by one of {result.folds} heads that had" if result.folds else "by the model, which had"
    said = f"Each record was answered {how} not learned from it."
    page = run.out / META / PAGE
    write_text(page, predictions_page(found, pictures, said=said))
    told = replace(result, report=page.as_posix())
    write(told, run.out / "result.json")
    return told
