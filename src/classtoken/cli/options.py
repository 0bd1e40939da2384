"""The options that several commands share, so that they have one name and one help text."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Model = Annotated[str, typer.Option("--model", metavar="MODEL", help="A folder, a hub id, or builtin:NAME.")]
Device = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1 or mps; the best one if left out.")
]
Revision = Annotated[
    str | None, typer.Option("--revision", metavar="REV", help="The branch, tag or commit of a hub model.")
]
