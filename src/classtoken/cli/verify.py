"""`classtoken verify [DIR]`."""

from typing import Annotated

import typer

from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import VerifyOptions


def verify(
    options: VerifyOptions,
    folder: Annotated[
        str | None, typer.Argument(metavar="[DIR]", help="A folder that `classtoken embed` made.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Whose vectors they should be; a folder, hub id, ...")
    ] = None,
) -> Answer:
    """Check vectors: that a folder is whole, and that anybody's are what a model was meant to give.

    Of DIR every byte is read: files and checksums against the manifest, counts, unique ids, finite vectors, their
    lengths; with --model, whether that model makes these vectors. --endpoint asks a service (as OpenAI, TEI or Ollama
    answer), --against reads stored texts with vectors, and names what they really are: pooling, layer, prompt, unit
    length, where texts are cut, the end token, or another model. The exit code is 2 when something is wrong.

    \b
    Examples:
        classtoken verify vectors
        classtoken verify --model models/minilm --endpoint http://127.0.0.1:8000
    """
    with progress("verifying"):
        from classtoken.jobs.verify import verify as job

        found = job(folder, model, options)
    return Answer(found, exit_code=0 if found.ok else 2)
