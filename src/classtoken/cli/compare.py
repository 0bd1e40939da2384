"""`classtoken compare SOURCE`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.output import Answer, wrote
from classtoken.cli.progress import progress, say
from classtoken.options import CompareOptions


def compare(
    options: CompareOptions,
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="A folder of images, a file of records, a glob, or -.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="MODEL", help="A folder, a hub id, or builtin:NAME; several.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write a report: .html, .json or .csv.")
    ] = None,
    read: Annotated[
        list[Path] | None,
        typer.Option("--read", metavar="FILE", help="Tables of the .json files that compare wrote; folders too."),
    ] = None,
) -> Answer:
    """Say which vector is best for your task, and how sure that is.

    Class token, mean, maximum, learned poolings, any layer, any encoder, or stored vectors: all are judged on the same
    items, from one pass through each encoder, with intervals and paired tests. Candidates that cannot be told apart
    are one group. Without --test every record is judged once, by what was learned without its fold.

    \b
    Examples:
        classtoken compare photos/ --model builtin:photos --task classification --out report.html
        classtoken compare pairs.csv --model models/minilm --task similarity --pooling cls,mean,max
        classtoken compare --read reports/
        classtoken compare train.csv --test test.csv --model models/minilm --pooling cls,mean,map
    """
    if (source is None) == (not read):
        raise typer.BadParameter("give SOURCE, or --read FILE (not both, and not neither)")
    if read:
        from classtoken.jobs.compare import read_comparisons

        return Answer(read_comparisons(read))
    with progress("comparing") as report:
        from classtoken.jobs.compare import compare as job

        found = job(model or None, source, out, options, report=report, tell=say)
    return Answer(found, after=wrote(out))
