"""`classtoken explain INPUT`, and over a data set `classtoken explain --data SOURCE`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.command import Given
from classtoken.cli.operands import Model
from classtoken.cli.output import Answer, wrote
from classtoken.cli.progress import progress
from classtoken.options import ExplainDataOptions, ExplainOptions, ExplainPairOptions


def explain(
    model: Model,
    options: Annotated[Given, ExplainOptions, ExplainDataOptions, ExplainPairOptions],
    item: Annotated[
        str | None, typer.Argument(metavar="INPUT", help="An image file, or a text; - reads a text from stdin.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="SOURCE", help="Findings over a data set instead of one input.")
    ] = None,
    other: Annotated[
        str | None, typer.Option("--with", metavar="INPUT2", help="Why are the two alike? Which part met which.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write .html, .json or (one input) .png.")
    ] = None,
) -> Answer:
    """Show how the class token came to its vector, and whether any of it matters.

    For one INPUT: attention by layer and head, rollout and flow, gradients, occlusion, each tested by removing
    tokens and held against random scores and an edge detector; knock-outs, the largest indirect routes, what was
    not looked at. --with another input: which part of the one met which part of the other. With --data: the same
    over many inputs, means with 95 % intervals beside random weights.

    \b
    --cut, as often as needed, each with random cuts of equal size; --mode says what stands in its place:
        tokens:p3,p5-p9     nobody reads these patches or word pieces (a bare number: a place in the sequence)
        edges:class>p3@4-6  the class token does not read p3, in layers 4 to 6 only
        heads:2.1           what head 1 of layer 2 adds;  layers:3, attention:3, feedforward:3  what layers add
        removed:p3          the token is not in the sequence (no mode)
    With --donor, states of the other input are swapped in before every layer, role by role.

    \b
    Examples:
        classtoken explain cat.jpg --model builtin:photos --out why.html
        classtoken explain "a lovely film" --model models/sst2 --methods attention,occlusion
        classtoken explain cat.jpg --model builtin:photos --cut heads:2.1 --mode all --donor dog.jpg
        classtoken explain "a cat sleeps" --with "the kitten naps" --model models/minilm --out alike.html
        classtoken explain --data photos/ --masks masks/ --model builtin:scenes --out findings.html
    """
    if (item is None) == (data is None):
        raise typer.BadParameter("give one INPUT, or --data SOURCE (not both, and not neither)")
    if other is not None and data is not None:
        raise typer.BadParameter("--with is for one INPUT beside another, not for --data")
    if other is not None:
        both = options.make(ExplainPairOptions, otherwise="not with --with")
        with progress("explaining"):
            from classtoken.jobs.explain_pair import explain_pair

            found = Answer(explain_pair(model, [item, other], out, both))
    elif data is not None:
        many = options.make(ExplainDataOptions, otherwise="only for one INPUT, not with --data")
        with progress("explaining") as report:
            from classtoken.jobs.explain_data import explain_data

            found = Answer(explain_data(model, data, out, many, report=report))
    else:
        text = sys.stdin.read().strip() if item == "-" else item
        one = options.make(ExplainOptions, otherwise="only with --data")
        with progress("explaining"):
            from classtoken.jobs.explain import explain as job

            explained = job(model, text, out, one)
            found = Answer(explained, text=None if out is None else explained.brief)
    return replace(found, after=wrote(out))
