"""`classtoken inspect MODEL`."""

from typing import Annotated

import typer

from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import InspectOptions


def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a hub id, or builtin:NAME.")],
    options: InspectOptions,
    evidence: Annotated[bool, typer.Option("--evidence", help="Show every observation behind every claim.")] = False,
) -> Answer:
    """Say which vectors a checkpoint can give, which one its authors meant, and the evidence.

    Reads the files, then runs small experiments on the loaded model: does position 0 depend on the input, is the mask
    causal, does padding or a batch mate move the vector, which formula gives pooler_output, are its weights there.

    With --against: what differs between two checkpoints, and the cosine of their vectors on sample inputs.

    Example:

        classtoken inspect builtin:photos
    """
    from classtoken.jobs.inspect import inspect as job

    with progress("inspecting"):
        found = job(model, options)
    return Answer(found, text=found.table(evidence=True) if evidence else None)
