"""`classtoken explain`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from classtoken.cli.options import (
    Device,
    GroupColumn,
    IdColumn,
    ImageColumn,
    Json,
    LabelColumn,
    Labels,
    LabelSeparator,
    Limit,
    Masks,
    Model,
    Revision,
    TextColumn,
    source_options,
)
from classtoken.cli.output import Answer, answer
from classtoken.cli.progress import say


def explain(
    model: Model,
    item: Annotated[
        str | None, typer.Argument(metavar="INPUT", help="An image file, or a text; - reads a text from stdin.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="SOURCE", help="Findings over a data set instead of one input.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write .html, .json or (one input) .png.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option("--methods", metavar="NAMES", help="Maps, joined by commas; all that fit if left out.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="A class by index or name; the answer if left out.")
    ] = None,
    pooling: Annotated[
        str | None, typer.Option("--pooling", metavar="NAME", help="Explain this vector, not the classifier's answer.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option("--modality", metavar="text|image", help="Which side of a model that has both.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="NAME", help="A prompt of the model's by name, or one in words.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what takes many runs of the model.")] = False,
    points: Annotated[int, typer.Option("--points", metavar="N", min=2, help="Points of a deletion curve.")] = 20,
    faithful: Annotated[
        int, typer.Option("--faithful", metavar="N", min=0, help="With --data: inputs on which maps are tested.")
    ] = 16,
    cuts: Annotated[
        list[str] | None,
        typer.Option("--cut", metavar="WHAT", help="Take away tokens, edges, heads, layers; see below."),
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="renormalise, zero, mean, resample or all.")
    ] = None,
    donors: Annotated[
        list[str] | None, typer.Option("--donor", metavar="INPUT", help="Another input, whose values stand in.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of every random control.")] = 0,
    limit: Limit = None,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    label_separator: LabelSeparator = "|",
    labels: Labels = None,
    masks: Masks = None,
    device: Device = None,
    revision: Revision = None,
    json: Json = False,
) -> Answer:
    """Show how the class token came to its vector, and whether any of it matters.

    For one INPUT: attention by layer and head, rollout and flow, gradients, occlusion, each tested by removing tokens
    and held against random scores and an edge detector; knock-outs, the largest indirect routes, what was not looked
    at. With --data: the same over many inputs, means with 95 % intervals beside random weights.

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
        classtoken explain --data photos/ --masks masks/ --model builtin:scenes --out findings.html
    """
    from classtoken.jobs.explain import Choices
    from classtoken.jobs.explain import explain as one_input
    from classtoken.jobs.explain_data import explain_data
    from classtoken.report.written import SUFFIXES, check_suffix, write_explanation, write_findings

    if (item is None) == (data is None):
        raise typer.BadParameter("give one INPUT, or --data SOURCE (not both, and not neither)")
    if data is not None and (cuts or mode or donors):
        raise typer.BadParameter("--cut, --mode and --donor are of one INPUT, not of --data")
    if out is not None:
        check_suffix(out, SUFFIXES if data is None else SUFFIXES[:2])
    names = None if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
    choices = Choices(
        names, target, pooling, modality, prompt, quick, points, seed, tuple(cuts or ()), mode, tuple(donors or ())
    )
    if data is None:
        text = sys.stdin.read().strip() if item == "-" else item
        explanation = one_input(text, model, choices=choices, device=device, revision=revision)
        if out is not None:
            write_explanation(explanation, out)
            say(f"wrote {out}")
        return answer(explanation, json)
    options = source_options(
        id_column, text_column, image_column, label_column, group_column, label_separator, labels, masks
    )
    findings = explain_data(
        data,
        model,
        choices=choices,
        source_options=options,
        limit=limit,
        faithful=faithful,
        device=device,
        revision=revision,
        report=say,
    )
    if out is not None:
        write_findings(findings, out)
        say(f"wrote {out}")
    return answer(findings, json)
