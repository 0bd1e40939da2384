"""`classtoken predict`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.options import (
    Device,
    GroupColumn,
    IdColumn,
    ImageColumn,
    Json,
    LabelColumn,
    Labels,
    LabelSeparator,
    Limit,
    Model,
    Precision,
    Revision,
    TextColumn,
    source_options,
)
from classtoken.cli.output import Answer, answer


def predict(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder of images, a file of records, or a glob.")],
    model: Model,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where predictions.csv goes.")],
    every: Annotated[bool, typer.Option("--all", help="The probability of every label, not only of the best.")] = False,
    precision: Precision = "fp32",
    modality: Annotated[
        str | None, typer.Option("--modality", metavar="text|image", help="Which side of a model that has both.")
    ] = None,
    limit: Limit = None,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    label_separator: LabelSeparator = "|",
    labels: Labels = None,
    device: Device = None,
    revision: Revision = None,
    json: Json = False,
) -> Answer:
    """Label every record with a trained classifier.

    Writes DIR/predictions.csv (id, label, probability) and DIR/quarantine.parquet with the records that
    could not be read and why. Where the records have labels, it says how many were right.

    \b
    Examples:
        classtoken predict photos/ --model builtin:photos --out labelled
        classtoken predict reviews.csv --model builtin:sentiment --out labelled --all
    """
    from classtoken.jobs.predict import predict as job

    options = source_options(
        id_column, text_column, image_column, label_column, group_column, label_separator, labels, None
    )
    result = job(
        source,
        out,
        model=model,
        every=every,
        source_options=options,
        device=device,
        revision=revision,
        precision=precision,
        modality=modality,
        limit=limit,
    )
    return answer(result, json)
