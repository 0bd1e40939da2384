"""What checkpoints do to the pooled vector: dense layers, norms, projections."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.checkpoint import weight_files
from classtoken.errors import ModelError, WeightsError
from classtoken.tensors import ACTIVATIONS

#: Activations of sentence-transformers' Dense, by torch's class names in lower case.
KNOWN = ("identity", "tanh", "relu", "gelu", "silu", "sigmoid")


class Dense(nn.Module):
    """activate(W x + b): the Dense module of sentence-transformers, or a bias-free projection into a joint space."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str = "identity"):
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        with torch.no_grad():
            self.linear.weight.copy_(weight)
            if bias is not None:
                self.linear.bias.copy_(bias)
        self.activation = activation

    def forward(self, x_BD: Float[Tensor, "B d"]) -> Float[Tensor, "B e"]:
        return ACTIVATIONS[self.activation](self.linear(x_BD))

    def extra_repr(self) -> str:
        """In words, for the contract: `dense 384 -> 256, tanh`."""
        word = "dense" if self.linear.bias is not None else "projection"
        return f"{word} {self.linear.in_features} -> {self.linear.out_features}" + (
            "" if self.activation == "identity" else f", {self.activation}"
        )


def read_dense(folder: Path, config: Mapping[str, Any]) -> Dense:
    """A Dense module's folder: config.json and model.safetensors. Raises `ModelError` or `WeightsError`."""
    weights = weight_files(folder).read()
    name = str(config.get("activation_function", "Identity")).rsplit(".", 1)[-1]
    if name.lower() not in KNOWN:
        raise ModelError(f"{folder}/config.json has activation {name!r}; known are {', '.join(KNOWN)}.")
    if "linear.weight" not in weights:
        raise WeightsError(f"{folder} has no linear.weight; it holds {', '.join(weights) or 'nothing'}.")
    return Dense(weights["linear.weight"], weights.get("linear.bias"), name.lower())


def read_layer_norm(folder: Path) -> nn.LayerNorm:
    """A LayerNorm module's folder, as sentence-transformers writes it."""
    weights = weight_files(folder).read()
    if "norm.weight" not in weights or "norm.bias" not in weights:
        raise WeightsError(f"{folder} has no norm.weight and norm.bias; it holds {', '.join(weights) or 'nothing'}.")
    norm = nn.LayerNorm(len(weights["norm.weight"]))
    norm.load_state_dict({"weight": weights["norm.weight"], "bias": weights["norm.bias"]})
    return norm


def in_words(step: nn.Module) -> str:
    """A step of `after` as the contract names it."""
    return step.extra_repr() if isinstance(step, Dense) else "layer norm"
