"""Which numbers of a recipe make sense: said before hours go into one that does not."""

from classtoken.errors import OptionError
from classtoken.learning.recipe import Recipe

MORE_THAN_NOTHING = 1e-12
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "data": {"held_out": (0, 0.9), "limit": (1, 1e12), "vocabulary": (6, 1e7), "longest": (3, 1e6)},
    "head": {"hidden": (0, 1e6)},
    "objective": {
        "label_smoothing": (0, 0.99),
        "teacher_weight": (0, 1),
        "temperature": (MORE_THAN_NOTHING, 1e3),
        "teacher_temperature": (MORE_THAN_NOTHING, 1e3),
        "teacher_momentum": (0, 1),
        "centre_momentum": (0, 1),
        "prototypes": (2, 1e7),
        "local_crops": (0, 100),
        "local_size": (0, 1e5),
        "masked": (MORE_THAN_NOTHING, 1),
    },
    "augment": {
        "pad_crop": (0, 1e4),
        "randaugment": (0, 100),
        "magnitude": (0, 1),
        "colour": (0, 1),
        "grey": (0, 1),
        "mixup": (0, 100),
        "cutmix": (0, 100),
        "cutout": (0, 1e5),
        "drop_words": (0, 1),
    },
    "optimiser": {
        "learning_rate": (0, float("inf")),
        "matrix_learning_rate": (0, float("inf")),
        "weight_decay": (0, float("inf")),
        "momentum": (0, 1),
        "layer_decay": (MORE_THAN_NOTHING, 1),
        "warmup": (0, 1),
        "final": (0, 1),
        "clip": (0, float("inf")),
    },
    "loop": {
        "epochs": (MORE_THAN_NOTHING, 1e9),
        "batch": (1, 1e7),
        "accumulate": (1, 1e7),
        "seed": (0, 2**63 - 1),
        "ema": (0, 0.999999),
        "drop_path": (0, 0.99),
        "dropout": (0, 0.99),
        "evaluate_every": (MORE_THAN_NOTHING, 1e9),
        "patience": (0, 1e9),
        "checkpoint_seconds": (0, 1e9),
        "checkpoint_steps": (0, 1e12),
    },
}


def check_ranges(recipe: Recipe) -> None:
    """Raise `OptionError` for the first number that is out of its range, by its name."""
    for table, ranges in RANGES.items():
        values = getattr(recipe, table)
        for name, (low, high) in ranges.items():
            value = getattr(values, name)
            if value is not None and not low <= value <= high:
                least = "above 0" if low == MORE_THAN_NOTHING else f"{low:g} or more"
                most = "" if high >= 1e4 else f", at most {high:g}"
                raise OptionError(f"[{table}] {name} = {value:g} is out of range: it is {least}{most}.")
