"""What is read beside the candidates in the same pass: lengths of tokens, and class token and mean of every layer."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from classtoken.embedder.tower import Tower
from classtoken.readout.readout import Readout
from classtoken.results.compare import TokenLengths
from classtoken.tensors import States
from classtoken.values import Role

LENGTHS, LAYERS = "lengths", "layers"
"""names in a pass of what is read"""
ODD = 4
"""robust deviations above the median, from which on a token's length is odd"""
WORDS = {
    Role.CLASS: "class token",
    Role.DISTILLATION: "distillation token",
    Role.REGISTER: "registers",
    Role.PROMPT: "prompt",
    Role.CONTENT: "content",
    Role.END: "end token",
}


class LengthReader:
    """Of every token the length of its state after the last block, without the final norm, and its role: (B, L, 2)."""

    rows = None

    def __init__(self, depth: int):
        self.block = depth - 1
        self.layers: tuple[int | str, ...] = (self.block,)

    def __call__(self, states: States, *, over: frozenset[Role] | None = None) -> Tensor:
        lengths_BL = states.layers[self.block].float().norm(dim=-1)
        return torch.stack((lengths_BL, states.roles_BL.to(lengths_BL)), -1)


def token_lengths(model: str, read: NDArray) -> tuple[TokenLengths, ...]:
    """What `LengthReader` read, by role: how many tokens are far longer than usual. Registers were invented because
    some patches are (Darcet et al. 2024): they serve the model as scratch room, and a mean counts them like others."""
    found = []
    for role, words in WORDS.items():
        lengths = read[..., 0][read[..., 1] == role].astype(np.float64)
        if not len(lengths):
            continue
        middle = float(np.median(lengths))
        width = max(1.4826 * float(np.median(abs(lengths - middle))), 1e-9 * middle)
        odd = int((lengths > middle + ODD * width).sum())
        found.append(TokenLengths(model, words, len(lengths), middle, float(lengths.max()), odd))
    return tuple(found)


class LayersReader:
    """Class token (where there is one) and mean after every block, each brought to mean 0 and deviation 1 over its
    numbers so that no layer outweighs another: (B, T, D). What attends to them learns which layers a task needs
    (Ciernik et al. 2026, arXiv 2601.09322)."""

    rows = None

    def __init__(self, tower: Tower):
        poolings = (*(("cls",) if tower.layout.count(Role.CLASS) else ()), "mean")
        depth = tower.reading.encoder.depth
        names = [f"{pooling}@{layer}" for layer in range(1, depth + 1) for pooling in poolings]
        self.readouts: list[Readout] = [next(iter(tower.readouts(name).values())) for name in names]
        self.layers = tuple(dict.fromkeys(layer for readout in self.readouts for layer in readout.layers))

    def __call__(self, states: States, *, over: frozenset[Role] | None = None) -> Tensor:
        tokens_BTD = torch.stack([readout(states, over=over) for readout in self.readouts], 1)
        return F.layer_norm(tokens_BTD, tokens_BTD.shape[-1:])


def fused_layers(name: str) -> str:
    """What a learned pooling over all layers' class token and mean is called."""
    return f"{name} over the class token and mean of all layers"
