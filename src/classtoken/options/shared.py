"""Options that several verbs have: one name, one type, one help text each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import classtoken.values as values
from classtoken.options.base import Option, Options
from classtoken.plain import AtLeastOne

OF_MODEL, OF_SOURCE, OF_EVERY = "The model and the machine", "What stands in the source", "Of every command"
"""headings of the help"""

# -- of a model --------------------------------------------------------------------------------------------------------

Device = Annotated[
    str | None, Option("cpu, cuda, cuda:1 or mps; the best one if left out.", metavar="DEVICE", group=OF_MODEL)
]
Revision = Annotated[str | None, Option("The branch, tag or commit of a hub model.", metavar="REV", group=OF_MODEL)]
Accept = Annotated[
    tuple[str, ...],
    Option(
        "Keys of the model's files, not understood here, that move no vector.",
        metavar="KEY",
        joined=True,
        group=OF_MODEL,
    ),
]
Precision = Annotated[
    values.Precision,
    Option(
        "Numbers that the model computes in; bf16 and int8 (native encoders, on a CPU) are not exact.", group=OF_MODEL
    ),
]
Normalize = Annotated[
    bool | None, Option("Unit length or not, whatever the model's own is.", off="no-normalize", group=OF_MODEL)
]
Overwrite = Annotated[bool, Option("Replace results of classtoken's own that are there; nobody else's files.")]
Side = Annotated[
    values.Modality | None,
    Option("Which side of a model that has both; text: a text, even if a file is called so.", group=OF_MODEL),
]
Prompt = Annotated[str | None, Option("A prompt of the model's by name.", metavar="NAME", group=OF_MODEL)]
PromptText = Annotated[str | None, Option("A prompt in words, put before every text.", metavar="TEXT", group=OF_MODEL)]

# -- of a folder of vectors --------------------------------------------------------------------------------------------

Column = Annotated[str | None, Option("Which of the folder's vectors, where it holds several.", metavar="NAME")]

# -- of a source -------------------------------------------------------------------------------------------------------

Limit = Annotated[AtLeastOne | None, Option("The first N records only.", metavar="N", group=OF_SOURCE)]


@dataclass(frozen=True)
class SourceOptions(Options):
    """What the columns are called where they are not called id, text|sentence, image, label, group.

    A column of a `.csv` or `.tsv` file without a header is named by its number from 0; when any column is, the file has
    no header. `labels` is a table of id and label that replaces the source's own labels; `masks` a folder with a mask
    per image (same name up to the suffix). Several labels in one text are joined by `label_separator`.
    """

    id_column: Annotated[
        str | None, Option("Column of ids; 'id', else paths or row numbers.", metavar="NAME", group=OF_SOURCE)
    ] = None
    text_column: Annotated[
        str | None, Option("Column of texts; 'text' or 'sentence' if left out.", metavar="NAME", group=OF_SOURCE)
    ] = None
    image_column: Annotated[
        str | None, Option("Column of images; 'image' if left out.", metavar="NAME", group=OF_SOURCE)
    ] = None
    label_column: Annotated[
        str | None, Option("Column of labels; 'label' if left out.", metavar="NAME", group=OF_SOURCE)
    ] = None
    group_column: Annotated[
        str | None, Option("Column of groups; 'group' if left out.", metavar="NAME", group=OF_SOURCE)
    ] = None
    label_separator: Annotated[
        str, Option("What stands between several labels of a record.", metavar="TEXT", group=OF_SOURCE)
    ] = "|"
    delimiter: Annotated[
        str | None,
        Option("What separates columns in .csv: ; , | or tab; found out if left out.", metavar="TEXT", group=OF_SOURCE),
    ] = None
    encoding: Annotated[
        str | None,
        Option("Of text files that are not UTF-8, such as cp1252 (Excel's).", metavar="NAME", group=OF_SOURCE),
    ] = None
    labels: Annotated[
        Path | None, Option("A table of ids and labels beside the source.", metavar="FILE", group=OF_SOURCE)
    ] = None
    masks: Annotated[Path | None, Option("A folder with a mask (.png) per image.", metavar="DIR", group=OF_SOURCE)] = (
        None
    )


AS_USUAL = SourceOptions()
"""columns under their usual names"""
