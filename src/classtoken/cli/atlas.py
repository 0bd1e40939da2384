"""`classtoken atlas DIR`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.numbers import port_option
from classtoken.cli.operands import Folder
from classtoken.cli.output import Answer
from classtoken.cli.progress import progress, say
from classtoken.options import AtlasOptions


def atlas(
    folder: Folder,
    options: AtlasOptions,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The page, something.html; atlas.html if left out.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page to this machine; its search box finds by meaning.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="With --serve: a loopback address.")] = "127.0.0.1",
    port: Annotated[int, port_option("With --serve: 0 takes a free one.")] = 0,
) -> Answer:
    """Draw a folder of vectors as one page: neighbours near each other, with their pictures or texts.

    The page opens without a network: colours by label, group or cluster, a search box, a lasso, clusters with typical
    and odd members. How far the layout can be trusted is measured and said.

    \b
    Examples:
        classtoken atlas vectors --out atlas.html
        classtoken atlas vectors --serve
        classtoken atlas vectors --most 50000 --no-pictures --out all.html
    """
    if serve:
        from classtoken.errors import OptionError
        from classtoken.jobs.atlas_served import serve_atlas

        if out is not None:
            raise OptionError("give either --out FILE.html or --serve.")
        serve_atlas(folder, options, host=host, port=port, say=say, showing=progress("drawing"))
        return Answer("stopped")
    place = out or Path("atlas.html")
    with progress("drawing") as report:
        from classtoken.jobs.atlas import atlas as job

        return Answer(job(folder, place, options, report=report))
