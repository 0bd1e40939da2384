"""Weights to begin training from: a normal distribution of deviation 0.02, cut off at two deviations, for matrices and
learned tokens, as ViT and BERT do.

Norms start at 1 and 0, biases at 0. Several class tokens or registers never start equal: two tokens with the same
start and no position of their own would receive the same gradients for ever.
"""

import math

import torch
from torch import Tensor, nn


def initialise(encoder: nn.Module, seed: int) -> None:
    """Draw all weights of an encoder anew, from one seed."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: Tensor, std: float = 0.02) -> None:
        # drawn on the CPU, so that a seed means the same weights on every device
        drawn = nn.init.trunc_normal_(torch.empty(tensor.shape), std=std, a=-2 * std, b=2 * std, generator=generator)
        with torch.no_grad():
            tensor.copy_(drawn)

    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.weight[0].numel()
            normal(module.weight, math.sqrt(1.0 / fan))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            normal(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            if module.weight.requires_grad:
                normal(module.weight)
        elif isinstance(module, (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm2d)):
            if module.weight is not None:
                nn.init.ones_(module.weight)
            bias = getattr(module, "bias", None)
            if isinstance(bias, nn.Parameter):
                nn.init.zeros_(bias)
    stem = encoder.get_submodule("stem")
    for name in ("class_token", "distillation", "registers", "position"):
        parameter = getattr(stem, name, None)
        if isinstance(parameter, nn.Parameter) and parameter.requires_grad:
            normal(parameter)
