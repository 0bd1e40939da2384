"""`classtoken predict SOURCE`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.operands import Model, Source
from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import PredictOptions


def predict(
    source: Source,
    model: Model,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where it goes; a stopped run goes on.")],
    options: PredictOptions,
) -> Answer:
    """Label every record with a trained classifier.

    Writes DIR/predictions.csv (id, label, prediction, probability, the text or path), DIR/part-*.parquet
    (id and the probability of every label) and DIR/_meta/quarantine.parquet with the records that could
    not be read and why. Where the records have labels, it says how many were right, and DIR/report.html
    shows the errors, what is taken for what, and every label. A stopped run goes on where it was.

    With --class (or --classes FILE: a line each) a model of texts and images labels by what classes are called, in
    one or several --template; no training.

    \b
    Examples:
        classtoken predict photos/ --model builtin:photos --out labelled
        classtoken predict photos/ --model clip --class cat --class dog --template "a photo of a {}" --out labelled
        classtoken predict reviews.csv --model builtin:sentiment --out labelled --all
    """
    from classtoken.jobs.predict import predict as job

    with progress("labelling") as report:
        return Answer(job(model, source, out, options, report=report))
