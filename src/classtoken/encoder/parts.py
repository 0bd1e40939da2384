"""Small parts of a block: norms, activations, feed-forward, layer scale, dropped paths."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.shape import BlockShape
from classtoken.tensors import ACTIVATIONS


def make_norm(shape: BlockShape, size: int) -> nn.Module:
    """LayerNorm or RMSNorm, as the shape says."""
    if shape.norm == "rms":
        return nn.RMSNorm(size, eps=shape.norm_eps)
    return nn.LayerNorm(size, eps=shape.norm_eps, bias=shape.norm_bias)


class Scale(nn.Module):
    """Layer scale: every channel times a learned number (CaiT, Touvron et al. 2021)."""

    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Float[Tensor, "*b D"]) -> Float[Tensor, "*b D"]:
        return x * self.weight


class FeedForward(nn.Module):
    """down(activate(up(x))), or gated: down(activate(gate(x)) * up(x)); before down there may be a norm."""

    def __init__(self, size: int, shape: BlockShape):
        super().__init__()
        inner = shape.feedforward_size
        self.up = nn.Linear(size, inner, bias="up" in shape.biases)
        self.gate = nn.Linear(size, inner, bias="up" in shape.biases) if shape.gated else None
        self.down = nn.Linear(inner, size, bias="down" in shape.biases)
        self.norm = make_norm(shape, inner) if shape.feedforward_norm else nn.Identity()
        self.activation = shape.activation
        self.activate = ACTIVATIONS[shape.activation]

    def forward(self, x: Float[Tensor, "*b D"]) -> Float[Tensor, "*b D"]:
        if self.gate is None:
            return self.down(self.norm(self.activate(self.up(x))))
        return self.down(self.norm(self.activate(self.gate(x)) * self.up(x)))


class DropPath(nn.Module):
    """While training, leaves a whole row's branch out with probability `rate` (stochastic depth, Huang et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Float[Tensor, "B *l D"]) -> Float[Tensor, "B *l D"]:
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.rand(x.shape[0], *(1,) * (x.dim() - 1), device=x.device) >= self.rate
        return x * keep / (1 - self.rate)
