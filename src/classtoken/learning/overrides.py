"""Single values of a recipe replaced, as a command line does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from classtoken.learning.recipe import AugmentOptions, LoopOptions, OptimiserOptions, Recipe


def overridden(
    recipe: Recipe | None,
    *,
    head: Any = None,
    pooling: str | None = None,
    unfreeze: str | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    layer_decay: float | None = None,
    seed: int | None = None,
    held_out: float | None = None,
    balanced: bool | None = None,
    augment: bool = True,
    teacher: str | None = None,
    unlabelled: Sequence[str] | None = None,
    precision: Any = None,
    patience: int | None = None,
    limit: int | None = None,
) -> Recipe:
    """A recipe with single values replaced (None: left as they are); without a recipe, defaults for the way chosen.

    Fine-tuning without a recipe takes the usual small rates: AdamW at 3e-4, layer decay 0.75, 10 epochs, dropped paths
    0.1, an average of the weights, and for images crops, flips and two operations of RandAugment.
    """
    made = recipe or (_finetuning(augment) if unfreeze else Recipe())
    weights = None if balanced is None else "balanced" if balanced else "none"
    changes = {
        "head": {"kind": head},
        "data": {"held_out": held_out, "unlabelled": tuple(unlabelled) if unlabelled else None, "limit": limit},
        "objective": {"class_weights": weights, "teacher": teacher, "kind": "distillation" if teacher else None},
        "optimiser": {"learning_rate": learning_rate, "layer_decay": layer_decay},
        "loop": {"epochs": epochs, "batch": batch, "seed": seed, "precision": precision, "patience": patience},
    }
    tables = {
        name: replace(getattr(made, name), **{k: v for k, v in values.items() if v is not None})
        for name, values in changes.items()
    }
    return replace(
        made,
        pooling=made.pooling if pooling is None else pooling,
        unfreeze=made.unfreeze if unfreeze is None else unfreeze,
        **tables,
    )


def _finetuning(augment: bool) -> Recipe:
    """What fine-tuning does when no recipe says otherwise."""
    pictures = AugmentOptions(resized_crop=(0.4, 1.0), flip=True, randaugment=2) if augment else AugmentOptions()
    return Recipe(
        augment=pictures,
        optimiser=OptimiserOptions(learning_rate=3e-4, layer_decay=0.75, warmup=0.1),
        loop=LoopOptions(epochs=10, batch=32, drop_path=0.1, ema=0.99),
    )
