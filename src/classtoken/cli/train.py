"""`classtoken train [SOURCE]`."""

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.output import Answer
from classtoken.cli.progress import progress
from classtoken.options import TrainOptions


def _print_template(name: str | None) -> None:
    """Print a recipe to begin from, and stop."""
    if name is not None:
        from classtoken.learning.recipe import templates

        found = templates()
        if name not in found:
            raise typer.BadParameter(f"there is no recipe '{name}'; there are {', '.join(sorted(found))}.")
        typer.echo(found[name], nl=False)
        raise typer.Exit


def train(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The new model; a killed run goes on.")],
    options: TrainOptions,
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help="Labelled records; left out: the recipe's. builtin:scenes draws some."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="A folder, a hub id, or builtin:NAME to start from.")
    ] = None,
    recipe_template: Annotated[
        str | None,
        typer.Option(
            "--recipe-template",
            metavar="vit|bert|head",
            callback=_print_template,
            is_eager=True,
            help="Print a complete recipe to begin from, and stop.",
        ),
    ] = None,
) -> Answer:
    """Train a classifier, an encoder's vectors, or an encoder from scratch.

    With --model alone the encoder stays as it is: vectors are computed once, kept under DIR/features, and
    a head is fitted to them; of several poolings each gets one, and the best is kept. --unfreeze trains
    the encoder too. --config FILE trains a new encoder by a recipe. DIR opens with classtoken, and with
    transformers or sentence-transformers where they have such a model; README.md in it is a card with the
    measured figures. A killed run goes on where it was.

    \b
    Examples:
        classtoken train products/ --model models/deit-tiny --out products-model
        classtoken train products/ --model models/deit-tiny --pooling cls,mean,map --out products-model
        classtoken train products/ --model models/deit-tiny --unfreeze last-4 --epochs 10 --out tuned
        classtoken train --recipe-template vit > recipe.toml
        classtoken train photos/ --config recipe.toml --out my-own-vit
        classtoken train pairs.csv --model models/minilm --objective pairs --out tuned
    """
    answers = os.environ.get("RANK", "0") == "0"  # of several processes that torchrun has started the first one
    with progress("training") if answers else contextlib.nullcontext() as report:
        from classtoken.jobs.train import train as job

        result = job(model, source, out, options, report=report)
    return Answer(result if answers else "")
