"""What checkpoints do to a vector or to every token's state: dense layers, norms, projections."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.checkpoint import weight_files
from classtoken.errors import ModelError, WeightsError

#: Activations by torch's class names: those that work number by number and need no setting.
ACTIVATIONS = {
    name.lower(): getattr(nn, name)
    for name in (
        *("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid", "LeakyReLU", "ELU", "SELU", "CELU", "ReLU6", "Mish"),
        *("Hardswish", "Hardsigmoid", "Hardtanh", "Softplus", "Softsign", "LogSigmoid", "Tanhshrink", "Softshrink"),
        "Hardshrink",
    )
}


class Dense(nn.Module):
    """activate(W x + b), and with a residual + x or + R x: sentence-transformers' Dense, or a projection."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, activation: str = "identity", residual: Tensor | bool = False
    ):
        super().__init__()
        self.linear = linear(weight, bias)
        self.activation = activation
        self.activate = ACTIVATIONS[activation]()
        self.residual: nn.Module | None = None
        if isinstance(residual, Tensor):
            self.residual = linear(residual, None)
        elif residual:
            self.residual = nn.Identity()

    def forward(self, x: Float[Tensor, "*B d"]) -> Float[Tensor, "*B e"]:
        out: Tensor = self.activate(self.linear(x))
        return out if self.residual is None else out + self.residual(x)

    def extra_repr(self) -> str:
        """In words, for the contract: `dense 384 -> 256, tanh`."""
        word = "dense" if self.linear.bias is not None else "projection"
        return (
            f"{word} {self.linear.in_features} -> {self.linear.out_features}"
            + ("" if self.activation == "identity" else f", {self.activation}")
            + ("" if self.residual is None else ", with a residual")
        )


class UnitLength(nn.Module):
    """x / |x|, where other steps follow."""

    def forward(self, x: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        return F.normalize(x, dim=-1)

    def extra_repr(self) -> str:
        """In words, for the contract."""
        return "unit length"


class Truncate(nn.Module):
    """The first `size` numbers (Matryoshka; sentence-transformers' truncate_dim)."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x: Float[Tensor, "*B d"]) -> Float[Tensor, "*B e"]:
        return x[..., : self.size]

    def extra_repr(self) -> str:
        """In words, for the contract."""
        return f"the first {self.size} numbers"


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer with these weights."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        made.weight.copy_(weight)
        if bias is not None:
            made.bias.copy_(bias)
    return made


def read_dense(folder: Path, config: Mapping[str, Any]) -> Dense:
    """A Dense module's folder: config.json and model.safetensors. Raises `ModelError` or `WeightsError`."""
    weights = weight_files(folder).read()
    # sentence-transformers takes Tanh where the file is silent
    path = str(config.get("activation_function") or "torch.nn.modules.activation.Tanh")
    name = path.rsplit(".", 1)[-1].lower()
    if name not in ACTIVATIONS or not path.startswith("torch."):
        raise ModelError(f"{folder}/config.json has activation {path!r}; known are torch's {', '.join(ACTIVATIONS)}.")
    wanted = {"linear.weight"} | ({"linear.bias"} if config.get("bias", True) else set())
    sizes = (config.get("out_features"), config.get("in_features"))
    residual: Tensor | bool = bool(config.get("use_residual", False))
    if residual and sizes[0] != sizes[1]:
        wanted.add("residual.weight")
    if weights.keys() != wanted:
        raise WeightsError(
            f"{folder} holds {', '.join(weights) or 'nothing'}, but must hold {', '.join(sorted(wanted))}."
        )
    given = tuple(weights["linear.weight"].shape)
    if any(said is not None and said != found for said, found in zip(sizes, given, strict=True)):
        raise WeightsError(
            f"{folder}: config.json says {sizes[1]} -> {sizes[0]}, the weights are {given[1]} -> {given[0]}."
        )
    return Dense(weights["linear.weight"], weights.get("linear.bias"), name, weights.get("residual.weight", residual))


def read_layer_norm(folder: Path, config: Mapping[str, Any]) -> nn.LayerNorm:
    """A LayerNorm module's folder, as sentence-transformers writes it."""
    weights = weight_files(folder).read()
    if "norm.weight" not in weights or "norm.bias" not in weights:
        raise WeightsError(f"{folder} has no norm.weight and norm.bias; it holds {', '.join(weights) or 'nothing'}.")
    norm = nn.LayerNorm(len(weights["norm.weight"]))
    if config.get("dimension", len(norm.weight)) != len(norm.weight):
        raise WeightsError(
            f"{folder}: config.json says {config['dimension']}, the weights are {len(norm.weight)} long."
        )
    norm.load_state_dict({"weight": weights["norm.weight"], "bias": weights["norm.bias"]})
    return norm


def in_words(step: nn.Module) -> str:
    """A step as the contract names it."""
    return "layer norm" if isinstance(step, nn.LayerNorm) else step.extra_repr()


def size_behind(steps: Sequence[nn.Module], size: int) -> int:
    """How many numbers come out of these steps where `size` go in."""
    for step in steps:
        if isinstance(step, Dense):
            size = step.linear.out_features
        elif isinstance(step, Truncate):
            size = min(size, step.size)
    return size
