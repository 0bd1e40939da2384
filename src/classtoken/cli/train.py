"""`classtoken train`."""

from pathlib import Path
from typing import Annotated, Literal

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
    Revision,
    TextColumn,
    source_options,
)
from classtoken.cli.output import Answer, answer


def train(
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help="Labelled records; left out: the recipe's. builtin:scenes draws some."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The new model; a killed run goes on.")] = ...,  # type: ignore[assignment]
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="A folder, a hub id, or builtin:NAME to start from.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A recipe (.toml, .json); needed from scratch.")
    ] = None,
    head: Annotated[
        Literal["linear", "cosine", "mlp", "per_token", "distilled"] | None,
        typer.Option("--head", help="What turns the vector into logits; linear if left out."),
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option("--pooling", metavar="NAME", help="cls, mean, map, queries(8), cls+mean ...; the model's own."),
    ] = None,
    unfreeze: Annotated[
        str | None, typer.Option("--unfreeze", metavar="all|last-N", help="Train the encoder too: all of it, N blocks.")
    ] = None,
    epochs: Annotated[float | None, typer.Option("--epochs", metavar="N", help="Passes over the records.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", metavar="N", min=1, help="Records of one step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", metavar="X", help="Of fine-tuning and from scratch.")
    ] = None,
    layer_decay: Annotated[
        float | None, typer.Option("--layer-decay", metavar="X", help="Factor on the rate per block below the head.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Of everything that is drawn.")] = None,
    held_out: Annotated[
        float | None, typer.Option("--held-out", metavar="X", min=0.0, max=0.9, help="Part that chooses settings.")
    ] = None,
    balanced: Annotated[
        bool | None, typer.Option("--balanced/--not-balanced", help="Every class weighs the same, rare or not.")
    ] = None,
    augment: Annotated[
        bool, typer.Option("--augment/--no-augment", help="Fine-tuning on images: crop, flip and RandAugment.")
    ] = True,
    teacher: Annotated[
        str | None, typer.Option("--teacher", metavar="MODEL", help="Learn from its labels too (distillation).")
    ] = None,
    unlabelled: Annotated[
        list[str] | None, typer.Option("--unlabelled", metavar="SOURCE", help="More records, for the teacher to label.")
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16"] | None, typer.Option("--precision", help="Numbers that are computed in.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", metavar="N", help="Stop after N looks without a better score.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Write weights as 16-bit numbers.")] = False,
    modality: Annotated[
        str | None, typer.Option("--modality", metavar="text|image", help="Which side of a model that has both.")
    ] = None,
    limit: Limit = None,
    id_column: IdColumn = None,
    text_column: TextColumn = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    label_separator: LabelSeparator = "|",
    labels: Labels = None,
    device: Device = None,
    revision: Revision = None,
    json: Json = False,
) -> Answer:
    """Train a classifier: on frozen vectors, by fine-tuning, or an encoder from scratch.

    With --model alone the encoder stays as it is: vectors are computed once, kept under DIR/features, and
    a head is fitted to them. --unfreeze trains the encoder too. --config FILE trains a new encoder by a
    recipe. DIR opens with classtoken, and with transformers or sentence-transformers where they have
    such a model; README.md in it is a card with the measured figures. A killed run goes on where it was.

    \b
    Examples:
        classtoken train products/ --model models/deit-tiny --out products-model
        classtoken train products/ --model models/deit-tiny --pooling map --out products-map
        classtoken train products/ --model models/deit-tiny --unfreeze last-4 --epochs 10 --out tuned
        classtoken train builtin:scenes?count=24000 --config recipe.toml --out scenes
    """
    from classtoken.jobs.train import train as job
    from classtoken.learning.recipe import Recipe, overridden

    recipe = overridden(
        None if config is None else Recipe.from_file(config),
        head=head,
        pooling=pooling,
        unfreeze=unfreeze,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        layer_decay=layer_decay,
        seed=seed,
        held_out=held_out,
        balanced=balanced,
        augment=augment,
        teacher=teacher,
        unlabelled=unlabelled,
        precision=precision,
        patience=patience,
        limit=limit,
    )
    options = source_options(
        id_column, text_column, image_column, label_column, group_column, label_separator, labels, None
    )
    result = job(
        source,
        out,
        model=model,
        recipe=recipe,
        source_options=options,
        device=device,
        revision=revision,
        modality=modality,
        half=half,
    )
    return answer(result, json)
