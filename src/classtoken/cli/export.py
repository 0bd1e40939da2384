"""`classtoken export MODEL`."""

from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import ExportOptions


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model; for lance and faiss a folder of vectors.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder; FILE.onnx: the graph alone.")],
    options: ExportOptions,
) -> Answer:
    """Hand a model or a folder of vectors over to other software.

    --format onnx writes the whole contract as a graph: ids or pixels in, the right vector out. That ONNX
    Runtime alone gives the same vectors, padded on either side, is proved before anything is kept, and the
    proof is written beside it; --out FILE.onnx writes the graph alone. --format lance and faiss take a folder
    that `classtoken embed` made.

    \b
    Examples:
        classtoken export models/minilm --out minilm-onnx
        classtoken export vectors --format faiss --out index
    """
    with progress("exporting"):
        from classtoken.jobs.export import export as job

        return Answer(job(model, out, options))
