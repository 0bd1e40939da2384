"""The lens: the model's own readout and classifier applied to the states of every layer (Vilas et al. 2023).

What could be decoded at a layer is not what the model uses there: see swaps (`interventions.PatchStates`) for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import TraceError
from classtoken.probe.interventions import before_layer, record
from classtoken.probe.subject import Subject
from classtoken.tensors import States, Tokens
from classtoken.values import Role


@dataclass(frozen=True)
class Lens:
    """Outcomes if the model had to answer with the states before layer 0, after layer 0, ..., after the last.

    outcome_BNC: of the readout's tokens, (B, N + 1, C); the last row is the model's real outcome.
    """

    outcome_BNC: Tensor

    def answers(self) -> Tensor:
        """The best class per layer (B, N + 1)."""
        return self.outcome_BNC.argmax(-1)

    def accuracy(self, labels_B: Tensor) -> Tensor:
        """Share of right answers per layer (N + 1): early-exit accuracy with no training."""
        return (self.answers() == labels_B[:, None]).double().mean(0)

    def settled(self) -> Tensor:
        """The first layer from which the final answer no longer changes (B): 0 before any block, N only at the end."""
        same = self.answers() == self.answers()[:, -1:]
        return same.shape[1] - same.flip(1).long().cumprod(1).sum(1)


def lens(subject: Subject, tokens: Tokens, states: Sequence[Tensor] | None = None) -> Lens:
    """The outcome at every layer, through the final norm where the model has one. `TraceError` for foreign modules.

    states: what goes into every layer and leaves the last, where somebody has captured it already.
    """
    if not is_stepwise(subject.encoder):
        raise TraceError("the lens needs the model's own final norm, which a foreign module does not show.")
    kept = _all_states(subject, tokens) if states is None else list(states)
    with torch.no_grad():
        stacked = torch.cat(kept)  # every layer as rows of one batch: the readout is asked once
        outcome = subject.outcome(_as_final(subject, stacked, tokens.roles_BL.repeat(len(kept), 1), tokens))
        return Lens(outcome.unflatten(0, (len(kept), -1)).transpose(0, 1))


def patch_lens(subject: Subject, tokens: Tokens, target: int, *, layer: int = -1) -> Tensor:
    """The target's outcome as if each patch were the class token, (B, P), from the states after a layer.

    Only for a readout of one token whose outcome is linear in it: raises `TraceError` otherwise.
    """
    if subject.linear is None:
        raise TraceError("the patch lens needs a classifier that reads one token's state; this model has none.")
    states = _all_states(subject, tokens)[1:][layer]
    norm = getattr(subject.encoder, "final_norm", None)
    content = tokens.roles_BL == Role.CONTENT
    with torch.no_grad():
        normed = states if norm is None else norm(states)
        scores = normed @ subject.linear.weight_CD[target].to(normed) + subject.linear.bias_C[target]
    return scores[content].view(len(tokens), -1)


def _all_states(subject: Subject, tokens: Tokens) -> list[Tensor]:
    names = [before_layer(i, subject.depth) for i in range(subject.depth + 1)]
    kept = record(subject, tokens, names)
    return [kept[name] for name in names]


def _as_final(subject: Subject, x_BLD: Tensor, roles_BL: Tensor, tokens: Tokens) -> States:
    norm = getattr(subject.encoder, "final_norm", None)
    with torch.no_grad():
        last = x_BLD if norm is None else norm(x_BLD)
    every: dict[int | str, Tensor] = {i: x_BLD for i in range(-1, subject.depth)}
    return replace(States(last, roles_BL, tokens.grid, final_norm=norm), layers={**every, "embeddings": x_BLD})
