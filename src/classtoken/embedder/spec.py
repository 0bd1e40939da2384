"""Which model, and how it is used: everything that makes an `Embedder`, as one small value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from os import PathLike
from pathlib import Path

import torch

from classtoken.errors import OptionError
from classtoken.results.base import Result
from classtoken.values import Precision

#: Precision -> what states are kept in. With int8 the products are of whole numbers, everything between them is bf16.
#: A processor that does not multiply bf16 numbers computes with them as fp32 (`tensors.multiplies_bf16`).
PRECISIONS: Mapping[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.bfloat16}


@dataclass(frozen=True)
class ModelSpec(Result):
    """A MODEL and how it is used; `load(spec)` gives the embedder. Goes to JSON and to other processes, and back equal.

    model: a folder, a hub id or `builtin:NAME`. pooling: None for the contract's own vector. normalize: unit length or
    not; None for the contract's. precision: `fp32`, `bf16` or `int8`. device: None for the best that there is.
    revision: of a hub model. accept: keys of its files that are not understood here and move no vector.
    max_length: most tokens of a text, in the place of its files' own limit. route: of a model that sends queries and
    documents through modules of their own, which of them; None for the one that its files name, and for all other
    models. Raises `OptionError` for a precision that is not known, for a model that is no name or path, and for values
    of another type.
    """

    model: str
    pooling: str | None = None
    normalize: bool | None = None
    precision: Precision = "fp32"
    device: str | None = None
    revision: str | None = None
    accept: tuple[str, ...] = ()
    max_length: int | None = None
    route: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, str | Path):
            raise OptionError(
                f"`model` is of type {type(self.model).__name__}; here it is named by a folder, a hub id or "
                "builtin:NAME, so that it can be loaded again in another process."
            )
        if not isinstance(self.normalize, bool | None):  # a text is true, 'no' too
            raise OptionError(f"`normalize` must be True, False or None, not {self.normalize!r}.")
        if not isinstance(self.max_length, Integral | None):
            raise OptionError(f"`max_length` must be a whole number, not {self.max_length!r}.")
        if self.precision not in PRECISIONS:
            raise OptionError(f"precision '{self.precision}' is not known; known are {', '.join(PRECISIONS)}.")

    def from_anywhere(self) -> "ModelSpec":
        """The same model, a local folder by its whole path: for another process or another day."""
        path = Path(self.model).expanduser()
        return replace(self, model=path.resolve().as_posix()) if path.is_dir() else self


def name_of(model: object) -> str:
    """What a MODEL is named by, where only a name will do. Raises `OptionError` for anything but a name or a path, with
    the name of a model that is loaded already."""
    if isinstance(model, str | PathLike):
        return str(model)
    spec = getattr(model, "spec", model)
    named = f": {spec.model!r}" if isinstance(spec, ModelSpec) else ""
    raise OptionError(
        f"`model` is of type {type(model).__name__}; name it here by its folder, a hub id or builtin:NAME{named}."
    )


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
