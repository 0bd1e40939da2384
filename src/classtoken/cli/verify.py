"""`classtoken verify DIR`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.output import Answer
from classtoken.cli.progress import progress


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `classtoken embed` made.")],
) -> Answer:
    """Check that a folder of vectors is whole.

    Reads every byte: files and checksums against the manifest, counts, unique ids, finite vectors, their
    lengths. The exit code is 2 when something is wrong.

    \b
    Example:
        classtoken verify vectors
    """
    from classtoken.sink import verify as job

    with progress("verifying"):
        found = job(folder)
    return Answer(found, exit_code=0 if found.ok else 2)
