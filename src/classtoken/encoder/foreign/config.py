"""What a foreign model's config says, under the names that transformers uses for it."""

from typing import Any


def image_size(config: Any) -> tuple[int, int]:
    """Height and width of the native image; 224 where the config names none (convolutional models)."""
    size = getattr(config, "image_size", None) or 224
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def grid_of(patches: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of so many patches in an image's shape; None when they make no such grid."""
    for rows in range(1, patches + 1):
        if patches % rows == 0 and rows * width == (patches // rows) * height:
            return (rows, patches // rows)
    return None


def depth_of(config: Any) -> int:
    """Blocks, or stages where a model has stages; one where the config does not say."""
    for name in ("num_hidden_layers", "num_layers", "n_layer", "depths", "depth"):
        value = getattr(config, name, None)
        if isinstance(value, list | tuple) and value:
            return len(value)
        if isinstance(value, int) and value:  # LXMERT counts those of each of its parts
            return value
    return 1
