"""The options that several commands share, so that they have one name and one help text."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from classtoken.source import SourceOptions

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Model = Annotated[str, typer.Option("--model", metavar="MODEL", help="A folder, a hub id, or builtin:NAME.")]
Device = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1 or mps; the best one if left out.")
]
Revision = Annotated[
    str | None, typer.Option("--revision", metavar="REV", help="The branch, tag or commit of a hub model.")
]
Precision = Annotated[Literal["fp32", "bf16"], typer.Option("--precision", help="Numbers that the model computes in.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="The first N records only.")]

# What the columns of a SOURCE are called.
IdColumn = Annotated[
    str | None, typer.Option("--id-column", metavar="NAME", help="Column of ids; `id`, else paths or row numbers.")
]
TextColumn = Annotated[
    str | None, typer.Option("--text-column", metavar="NAME", help="Column of texts; `text` or `sentence` if left out.")
]
ImageColumn = Annotated[
    str | None, typer.Option("--image-column", metavar="NAME", help="Column of images; `image` if left out.")
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", metavar="NAME", help="Column of labels; `label` if left out.")
]
GroupColumn = Annotated[
    str | None, typer.Option("--group-column", metavar="NAME", help="Column of groups; `group` if left out.")
]
LabelSeparator = Annotated[
    str, typer.Option("--label-separator", metavar="TEXT", help="What stands between several labels of a record.")
]
Labels = Annotated[
    Path | None, typer.Option("--labels", metavar="FILE", help="A table of ids and labels beside the source.")
]
Masks = Annotated[Path | None, typer.Option("--masks", metavar="DIR", help="A folder with a mask (.png) per image.")]


def source_options(
    id_column: str | None,
    text_column: str | None,
    image_column: str | None,
    label_column: str | None,
    group_column: str | None,
    label_separator: str,
    labels: Path | None,
    masks: Path | None,
) -> "SourceOptions":
    """The eight options of a SOURCE as the value that sources take."""
    from classtoken.source import SourceOptions

    return SourceOptions(
        id_column=id_column,
        text_column=text_column,
        image_column=image_column,
        label_column=label_column,
        group_column=group_column,
        label_separator=label_separator,
        labels=labels,
        masks=masks,
    )
