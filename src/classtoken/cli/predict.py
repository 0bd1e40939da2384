"""`classtoken predict SOURCE`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.operands import Model
from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import PredictOptions


def predict(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images, a file of records, a glob, or - (stdin); without --out a picture or a text.",
        ),
    ],
    model: Model,
    options: PredictOptions,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where labels of many records go; a stopped run goes on."),
    ] = None,
) -> Answer:
    """Label every record with a trained classifier; of one picture or one text, print the answer.

    Writes DIR/predictions.csv (id, label, prediction, probability, the text or path), DIR/part-*.parquet
    (id and the probability of every label) and DIR/_meta/quarantine.parquet with the records that could
    not be read and why. Where the records have labels, it says how many were right, and DIR/report.html
    shows the errors, what is taken for what, and every label. A stopped run goes on where it was.

    With --class (or --classes FILE: a line each) a model of texts and images labels by what classes are called, in
    one or several --template; no training.

    \b
    Examples:
        classtoken predict cat.jpg --model builtin:photos
        classtoken predict photos/ --model builtin:photos --out labelled
        classtoken predict photos/ --model clip --class cat --class dog --template "a photo of a {}" --out labelled
        classtoken predict reviews.csv --model builtin:sentiment --out labelled --all
    """
    if out is None:
        with progress("labelling"):
            from classtoken.jobs.predict_item import predict_item

            return Answer(predict_item(model, sys.stdin.read().strip() if source == "-" else source, options))
    with progress("labelling") as report:
        from classtoken.jobs.predict import predict as job

        return Answer(job(model, source, out, options, report=report))
