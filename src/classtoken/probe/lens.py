"""The lens: the model's own readout and classifier applied to the states of every layer (Vilas et al. 2023).

What could be decoded at a layer is not what the model uses there: see `study.swaps` for that.
"""

import torch
from torch import Tensor

from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import TraceError
from classtoken.probe.traced import Traced
from classtoken.tensors import States


@torch.no_grad()
def lens(traced: Traced) -> Tensor:
    """Outcomes (B, N + 1, C) if the model had to answer with the states before layer 0, after layer 0, ..., after the
    last; the last row is the real outcome. Through the final norm where the model has one.

    Raises `TraceError` for a model that does not show its states or its final norm.
    """
    subject, tokens = traced.subject, traced.tokens
    if not is_stepwise(subject.encoder):
        raise TraceError("the lens needs the model's own final norm, which a foreign module does not show.")
    every = [traced.entering(layer) for layer in range(traced.depth + 1)]
    x_BLD = torch.cat(every)  # every layer as rows of one batch: the readout is asked once
    norm = subject.encoder.final_norm
    layers: dict[int | str, Tensor] = {**{i: x_BLD for i in range(-1, traced.depth)}, "embeddings": x_BLD}
    states = States(norm(x_BLD), tokens.roles_BL.repeat(len(every), 1), tokens.grid, layers, norm)
    return subject.outcome(states).unflatten(0, (len(every), -1)).transpose(0, 1)
