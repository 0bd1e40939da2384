"""Muon: momentum whose direction is made orthogonal (Jordan et al. 2024, "Muon: an optimizer for hidden layers").

For a matrix, the update is the nearest matrix with all singular values near 1: no direction in which the gradient is
weak is forgotten. On short trainings of small encoders that saves a good part of the epochs.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from classtoken.tensors import multiplies_bf16

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""of the quintic p(s) = a s + b s^3 + c s^5, steep at 0 and within 0.3 of 1 near 1, from the same source"""


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """U V^T of the matrix U S V^T, roughly: every singular value goes to between about 0.7 and 1.2.

    X <- a X + (b A + c A A) X with A = X X^T, on X = matrix / norm, `rounds` times.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """w <- (1 - lr wd) w - lr sqrt(max(1, rows / columns)) orthogonal(nesterov(gradient)); kernels are flattened.

    Jordan's own code leaves a kernel's factor at 1; here a flattened kernel has that of a matrix of its shape.
    Only for matrices and convolution kernels; biases, norms and embeddings belong to AdamW.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float = 0.02, momentum: float = 0.9, weight_decay: float = 0.0
    ):
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closures
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(momentum, group["momentum"]).flatten(1)
                # the products need no more than bfloat16, and where that is multiplied it is the faster kernel
                if multiplies_bf16(weight.device.type):
                    ahead = ahead.bfloat16()
                update = orthogonal(ahead).to(weight.dtype)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(
                    update.view_as(weight), alpha=-group["lr"] * max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
                )
