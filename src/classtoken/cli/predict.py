"""`classtoken predict SOURCE`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.operands import Model, Source
from classtoken.cli.output import Answer
from classtoken.options import PredictOptions


def predict(
    source: Source,
    model: Model,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where predictions.csv goes.")],
    options: PredictOptions,
) -> Answer:
    """Label every record with a trained classifier.

    Writes DIR/predictions.csv (id, label, probability) and DIR/quarantine.parquet with the records that
    could not be read and why. Where the records have labels, it says how many were right.

    \b
    Examples:
        classtoken predict photos/ --model builtin:photos --out labelled
        classtoken predict reviews.csv --model builtin:sentiment --out labelled --all
    """
    from classtoken.verbs import predict_job as job

    return Answer(job(model, source, out, options))
