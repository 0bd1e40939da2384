"""`classtoken embed SOURCE`."""

from typing import TYPE_CHECKING, Annotated

import typer

from classtoken.cli.operands import Model, Source
from classtoken.cli.output import Answer
from classtoken.cli.progress import events as events_of
from classtoken.cli.progress import progress
from classtoken.files import in_shell
from classtoken.options import EmbedOptions

if TYPE_CHECKING:
    from classtoken.results.embed import EmbedResult


def embed(
    source: Source,
    model: Model,
    out: Annotated[
        str,
        typer.Option("--out", metavar="DIR", help="A folder or URL for the vectors; a stopped run goes on."),
    ],
    options: EmbedOptions,
    plan: Annotated[bool, typer.Option("--plan", help="Print the resolved plan as JSON, and stop.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Progress as JSON lines on stderr, for programs.")] = False,
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
    if plan:
        with progress("planning"):
            from classtoken.jobs.embed import embed_plan

            return Answer(embed_plan(model, source, out, options))

    with (events_of if events else progress)("embedding") as report:
        from classtoken.jobs.embed import embed as job

        result = job(model, source, out, options, report=report)
    return Answer(result, after=() if events else (next_of(result),))


def next_of(result: "EmbedResult") -> str:
    """The command that a person would give next."""
    if not result.complete:
        if result.parts < result.tasks:
            return "next: the other tasks, then the same command with --finish"
        return "next: the same command with --finish in the place of --tasks"
    asked = '"some words"' if result.modality == "text" else "PICTURE.jpg"
    return f"next: classtoken search {in_shell(result.out)} {asked}"
