"""The operands that several commands share, so that they have one name and one help text."""

from typing import Annotated

import typer

Folder = Annotated[str, typer.Argument(metavar="DIR", help="A folder of vectors, as `classtoken embed` makes it.")]
Model = Annotated[str, typer.Option("--model", metavar="MODEL", help="A folder, a hub id, or builtin:NAME.")]
Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A folder of images, a file of records, a glob, or - (stdin).")
]
