"""`classtoken embed SOURCE`."""

from typing import Annotated

import typer

from classtoken.cli.operands import Model, Source
from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import EmbedOptions


def embed(
    source: Source,
    model: Model,
    out: Annotated[
        str,
        typer.Option("--out", metavar="DIR", help="A folder or URL for the vectors; a stopped run goes on."),
    ],
    options: EmbedOptions,
    plan: Annotated[bool, typer.Option("--plan", help="Print the resolved plan as JSON, and stop.")] = False,
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
        classtoken embed reviews.csv --model models/minilm --out vectors --update
    """
    from classtoken.jobs.embed import embed as job
    from classtoken.jobs.embed import embed_plan

    if plan:
        with progress("planning"):
            return Answer(embed_plan(model, source, out, options))

    with progress("embedding") as report:
        return Answer(job(model, source, out, options, report=report))
