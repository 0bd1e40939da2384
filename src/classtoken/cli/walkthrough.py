"""`classtoken walkthrough [INPUT ...]`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.numbers import port_option
from classtoken.cli.operands import Model
from classtoken.cli.output import Answer
from classtoken.cli.progress import progress, say
from classtoken.options import WalkthroughOptions


def walkthrough(
    model: Model,
    options: WalkthroughOptions,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT ...]", help="Image files, or texts in quotes; examples if left out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Write one self-contained page.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page to this machine, with uploads and free play.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="With --serve: a loopback address.")] = "127.0.0.1",
    port: Annotated[int, port_option("With --serve: 0 takes a free one.")] = 0,
) -> Answer:
    """See one vector being made, step by step, from patches or word pieces to the answer.

    A page on disk (--out) needs no network and no server. --serve adds your own pictures, whole attention matrices and
    free what-if; it listens to this machine only and prints an address with a key.

    Example:

        classtoken walkthrough --model builtin:toy --out page.html
    """
    from classtoken.errors import OptionError

    if serve == (out is not None):
        raise OptionError("give either --out FILE.html or --serve.")
    if out is not None:
        with progress("walking through"):
            from classtoken.jobs.walkthrough import walkthrough as job

            return Answer(job(model, inputs or (), out, options))
    from classtoken.jobs.walkthrough import serve_walkthrough

    serve_walkthrough(model, inputs or (), options, host=host, port=port, say=say)
    return Answer("stopped")
