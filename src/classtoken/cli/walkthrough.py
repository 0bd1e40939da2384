"""`classtoken walkthrough [INPUT ...]`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.options import Device, Json, Model, Revision
from classtoken.cli.output import Answer, answer


def walkthrough(
    model: Model,
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
    data: Annotated[
        str | None, typer.Option("--data", metavar="SOURCE", help="Take the page's statistics over this source.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=5, help="Records of --data that are used.")] = 40,
    host: Annotated[str, typer.Option("--host", help="With --serve: a loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="With --serve: 0 takes a free one.")] = 0,
    device: Device = None,
    revision: Revision = None,
    as_json: Json = False,
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
        from classtoken.jobs.walkthrough import walkthrough as job

        found = job(model, inputs or (), out=out, data=data, limit=limit, device=device, revision=revision)
        return answer(found, as_json)
    from classtoken.jobs.walkthrough import serve_walkthrough

    serve_walkthrough(
        model,
        inputs or (),
        host=host,
        port=port,
        say=lambda sentence: typer.echo(sentence, err=True),
        data=data,
        limit=limit,
        device=device,
        revision=revision,
    )
    return Answer("stopped")
