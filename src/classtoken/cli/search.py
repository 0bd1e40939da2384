"""`classtoken search DIR QUERY`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.operands import Folder
from classtoken.cli.output import Answer, wrote
from classtoken.cli.progress import progress
from classtoken.options import SearchOptions


def search(
    folder: Folder,
    options: SearchOptions,
    query: Annotated[
        str | None,
        typer.Argument(metavar="QUERY", help="A text or an image file, as the model reads; - is stdin."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write a page (.html) or .json.")] = None,
) -> Answer:
    """Find what is most like a text, a picture or a row of a folder of vectors.

    Every vector is compared, exactly, and nothing has to be set up. The model is the one that made the folder; of a
    model with a text and an image side, a QUERY that is an image file is a picture, and any other a text. A query of
    another space than the folder's is refused.

    \b
    Examples:
        classtoken search vectors "a wonderful film"
        classtoken search vectors cat.jpg -k 20 --out found.html
        classtoken search vectors --id reviews/17 --where "label = 'good' and stars >= 4"
        classtoken search vectors "a wonderful film" -k 1 --explain why.html
        classtoken search vectors --queries questions.csv --json
    """
    asked = sys.stdin.read().strip() if query == "-" else query
    with progress("searching"):
        from classtoken.jobs.search import search as job

        found = Answer(job(folder, asked, out, options), after=(*wrote(out), *wrote(options.explain)))
    return found
