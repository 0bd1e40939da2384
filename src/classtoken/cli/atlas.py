"""`classtoken atlas DIR`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.operands import Folder
from classtoken.cli.output import Answer
from classtoken.cli.progress import progress, say
from classtoken.options import AtlasOptions


def atlas(
    folder: Folder,
    options: AtlasOptions,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page, something.html.")] = Path("atlas.html"),
) -> Answer:
    """Draw a folder of vectors as one page: neighbours near each other, with their pictures or texts.

    The page opens without a network: colours by label, group or cluster, a search box, a lasso, clusters with typical
    and odd members. How far the layout can be trusted is measured and said.

    \b
    Examples:
        classtoken atlas vectors --out atlas.html
        classtoken atlas vectors --most 50000 --no-pictures --out all.html
    """
    from classtoken.jobs.atlas import atlas as job

    with progress("drawing") as report:
        found = Answer(job(folder, out, options, report=report))
    say(f"wrote {out}")
    return found
