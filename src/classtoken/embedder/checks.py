"""What a caller may ask: trace names, devices, one item or many."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from classtoken.errors import OptionError, TraceError
from classtoken.tensors import names_of_trace


def check_names(encoder: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Trace names that this encoder has and can give. Raises `TraceError` for others."""
    known = set(names_of_trace(encoder.depth))
    strange = [name for name in names if name not in known]
    if strange:
        raise TraceError(
            f"there is no internal value {strange[0]!r}; a model of {encoder.depth} blocks has embeddings, "
            f"blocks.0.scores to blocks.{encoder.depth - 1}.states (scores, weights, values, heads, attention, "
            "feedforward, states), and final."
        )
    lost = [name for name in names if name.rsplit(".", 1)[-1] in encoder.gaps or name in encoder.gaps]
    if lost:
        raise TraceError(f"{lost[0]!r} cannot be given by this model, which is not native; it lacks {encoder.gaps}.")
    return tuple(names)


def device_of(name: str | torch.device | None) -> torch.device:
    """The device of a name; without one CUDA where it is there, else the CPU. Raises `OptionError`."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"device '{name}' cannot be used here ({str(error).splitlines()[0]}). Try cpu.") from error
    return device


def listed(items: Sequence[Any] | Any) -> list[Any]:
    """One item or many, as a list."""
    if isinstance(items, str | bytes | Path) or not isinstance(items, Iterable) or hasattr(items, "convert"):
        return [items]
    return list(items)
