"""`classtoken serve`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.numbers import port_option
from classtoken.cli.output import Answer
from classtoken.cli.progress import say
from classtoken.options import ServeOptions


def serve(
    options: ServeOptions,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="MODEL", help="A folder, a hub id or builtin:NAME; several as NAME=MODEL."),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="An address; other than this machine's own only with keys.")
    ] = "127.0.0.1",
    port: Annotated[int, port_option("0 takes a free one.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", metavar="FILE", help="Keys of which requests must bring one, a line each."),
    ] = None,
) -> Answer:
    """Give the right vector to applications, over HTTP as OpenAI's clients ask for it.

    POST /v1/embeddings takes texts, ids of tokens, and images as data URLs; GET /v1/models, /health and /metrics say
    what is there. With --folder, POST /v1/search finds what is like a text, a picture or a row. Requests are batched
    together, and each vector is what `embed` gives. Overload is refused (429), not queued.

    \b
    Examples:
        classtoken serve --model models/minilm
        classtoken serve --folder vectors
        classtoken serve --model photos=builtin:photos --model texts=models/minilm --port 9000
    """
    from classtoken.jobs.serve import serve as job

    job(model or (), options, host=host, port=port, api_key_file=api_key_file, say=say)
    return Answer("stopped")
