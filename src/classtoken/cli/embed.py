"""`classtoken embed`."""

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
    Masks,
    Model,
    Precision,
    Revision,
    TextColumn,
    source_options,
)
from classtoken.cli.output import Answer, answer
from classtoken.cli.progress import progress

Pooling = Annotated[
    str | None,
    typer.Option(
        "--pooling",
        metavar="NAMES",
        help="Vectors to write, joined by commas: cls, mean, cls+mean@-2 ...; the model's own if left out.",
    ),
]


def embed(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder of images, a file of records, or a glob.")],
    model: Model,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the vectors go; a stopped run goes on.")],
    pooling: Pooling = None,
    normalize: Annotated[
        bool | None, typer.Option("--normalize/--no-normalize", help="Unit length or not, whatever the model's own is.")
    ] = None,
    precision: Precision = "fp32",
    modality: Annotated[
        str | None, typer.Option("--modality", metavar="text|image", help="Which side of a model that has both.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="NAME", help="A prompt of the model's by name, or one in words.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first record that cannot be embedded, instead of listing it.")
    ] = False,
    limit: Limit = None,
    carry: Annotated[
        str | None,
        typer.Option(
            "--carry",
            metavar="NAMES|none",
            help="Columns kept beside the vectors, joined by commas; the text or the path and all others if left out.",
        ),
    ] = None,
    part_rows: Annotated[
        int, typer.Option("--part-rows", metavar="N", min=1, help="Records of one output file.")
    ] = 2048,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    label_separator: LabelSeparator = "|",
    labels: Labels = None,
    masks: Masks = None,
    device: Device = None,
    revision: Revision = None,
    json: Json = False,
) -> Answer:
    """Turn a data set into vectors.

    Writes DIR/part-*.parquet (id, one column per vector, label, group, the text or path, every other
    column) and DIR/_meta: the manifest, and quarantine.parquet with the records that could not be embedded
    and why. A run that was stopped goes on where it was when it is given again; vectors made in another
    way are never mixed in.

    \b
    Examples:
        classtoken embed photos/ --model builtin:photos --out vectors
        classtoken embed reviews.csv --model models/minilm --out vectors --text-column body
        classtoken embed photos.parquet --model models/deit --out vectors --pooling cls,mean
    """
    from classtoken.jobs.embed import embed as job

    options = source_options(
        id_column, text_column, image_column, label_column, group_column, label_separator, labels, masks
    )
    with progress("embedding") as report:
        result = job(
            model,
            source,
            out,
            pooling=pooling,
            normalize=normalize,
            precision=precision,
            device=device,
            revision=revision,
            modality=modality,
            prompt=prompt,
            source_options=options,
            strict=strict,
            limit=limit,
            part_rows=part_rows,
            carry=carry,
            report=report,
        )
    return answer(result, json)
