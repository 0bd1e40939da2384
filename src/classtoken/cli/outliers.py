"""`classtoken outliers DIR`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.operands import Folder
from classtoken.cli.output import Answer, wrote
from classtoken.cli.progress import progress
from classtoken.files import in_shell
from classtoken.options import OutliersOptions


def outliers(
    folder: Folder,
    options: OutliersOptions,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write a page (.html) or .json.")] = None,
) -> Answer:
    """Find odd rows of a folder of vectors, and labels that their neighbours contradict. Nothing is changed.

    \b
    Examples:
        classtoken outliers vectors
        classtoken outliers vectors -k 30 --out odd.html
    """
    with progress("finding neighbours") as report:
        from classtoken.jobs.outliers import outliers as job

        result = job(folder, out, options, report=report)
    look = (f"look at them: classtoken outliers {in_shell(folder)} --out odd.html",) if result.odd else ()
    return Answer(result, after=wrote(out) or look)
