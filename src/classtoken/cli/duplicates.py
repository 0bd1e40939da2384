"""`classtoken duplicates DIR`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.operands import Folder
from classtoken.cli.output import Answer, wrote
from classtoken.cli.progress import progress
from classtoken.files import in_shell
from classtoken.options import DuplicatesOptions


def duplicates(
    folder: Folder,
    options: DuplicatesOptions,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="All pairs (.parquet), a page (.html), or .json.")
    ] = None,
) -> Answer:
    """Find rows of a folder of vectors that are alike, and say which would go. Nothing is deleted.

    Equal inputs first, then every pair of vectors as alike as --above, exactly. Each row that would go is that alike
    to a row that stays. The pairs are kept in the folder: another threshold needs no new run.

    \b
    Examples:
        classtoken duplicates vectors
        classtoken duplicates vectors --above 0.98 --keep largest --out pairs.html
        classtoken duplicates train-vectors --against test-vectors --out leaked.parquet
    """
    with progress("looking for pairs") as report:
        from classtoken.jobs.duplicates import duplicates as job

        result = job(folder, out, options, report=report)
    look = (f"look at them: classtoken duplicates {in_shell(folder)} --out pairs.html",) if result.pairs else ()
    return Answer(result, after=wrote(out) or look)
