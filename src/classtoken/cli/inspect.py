"""`classtoken inspect MODEL`."""

from dataclasses import replace
from typing import Annotated

import typer

from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import InspectOptions


def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a hub id, or builtin:NAME.")],
    options: InspectOptions,
    other: Annotated[
        str | None, typer.Argument(metavar="[MODEL2]", help="Another one: what differs, as with --against.")
    ] = None,
    evidence: Annotated[bool, typer.Option("--evidence", help="Show every observation behind every claim.")] = False,
) -> Answer:
    """Say which vectors a checkpoint can give, which one its authors meant, and the evidence.

    Reads the files, then runs small experiments on the loaded model: does position 0 depend on the input, is the mask
    causal, does padding or a batch mate move the vector, which formula gives pooler_output, are its weights there.

    With MODEL2 (or --against): what differs between two checkpoints, and the cosine of their vectors on sample inputs.

    Example:

        classtoken inspect builtin:photos
    """
    if other is not None and options.against is not None:
        raise typer.BadParameter("two other models: give one, as MODEL2 or by --against")
    if other is not None:
        options = replace(options, against=other)
    with progress("inspecting"):
        from classtoken.jobs.inspect import inspect as job

        found = job(model, options)
    return Answer(found, text=found.table(evidence=True) if evidence else None)
