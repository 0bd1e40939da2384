"""Other experiments on one traced input: a causal mask, another pooling, a second class token, several changes at once.

Answers are (..., C), `Subject.answers` of the outcome. `position` is the place of the class token. Knock-outs and swaps
have files of their own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.pooling.spec import parse
from classtoken.probe.capture import Chain
from classtoken.probe.interventions import Mode, PatchStates, before_layer, cut_tokens, hide_later
from classtoken.probe.removal import masks
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced
from classtoken.tensors import Tokens, Trace
from classtoken.values import Role


@dataclass(frozen=True)
class CausalRun:
    """Answers (C) under a causal mask; how far the class token's final state is from the other input's, with the mask
    (`change`) and without it (`reference`)."""

    answers_C: Tensor
    change: float
    reference: float


@torch.no_grad()
def causal_mask(traced: Traced, position: int, other: Traced) -> CausalRun:
    """A causal mask on both inputs: how far the class token's final state moves from one to the other."""
    states = [each.subject.states(each.tokens, hide_later(each.tokens)) for each in (traced, other)]
    masked, whole = ([x.last_BLD[0, position] for x in found] for found in (states, (traced.states, other.states)))
    return CausalRun(
        traced.subject.answers(traced.subject.outcome(states[0]))[0],
        float((masked[0] - masked[1]).norm()),
        float((whole[0] - whole[1]).norm()),
    )


POOLINGS = ("cls", "mean", "max")
"""what the class token is compared with"""


def with_pooling(embedder: Embedder, subject: Subject, name: str, references: Sequence[Tokens]) -> Subject:
    """The same classifier (or the same comparison, with the references pooled alike) on another pooling's vector."""
    reading = embedder.tower().reading
    readout = reading.readout(parse(name), unit_length=False).to(embedder.device).eval()
    other = replace(subject, readout=readout, modules=(readout,))
    if subject.kind != "cosine":
        return other
    bare = replace(other, head=None)
    with torch.no_grad():
        return bare.comparing(subject.labels, torch.cat([bare(tokens) for tokens in references]))


@torch.no_grad()
def poolings(embedder: Embedder, traced: Traced, references: Sequence[Tokens]) -> dict[str, Tensor]:
    """Answers (C) of the same states read out by class token, mean and maximum; the model's own is one of them."""
    if own_pooling(embedder) not in POOLINGS:
        return {}
    subjects = {name: with_pooling(embedder, traced.subject, name, references) for name in POOLINGS}
    return {name: other.answers(other.outcome(traced.states))[0] for name, other in subjects.items()}


def own_pooling(embedder: Embedder) -> str:
    """The pooling that the model's answer is read from."""
    reading = embedder.tower().reading
    return str(reading.contract.pooling if reading.classifier is None else reading.classifier.readout.spec)


@dataclass(frozen=True)
class CountTwice:
    """A second, identical class token, exactly: both always have the same state, so all others see it twice.

    Softmax over a row with one key doubled gives the two copies together exp(s + ln 2); hence ln 2 on the scores of the
    class token's key, for every query and in every layer. (Positions are equal too; tested with a real one.)
    """

    position: int

    def wants(self, name: str) -> bool:
        return name.endswith(".scores")

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if not name.endswith(".scores"):
            return value
        changed = value.clone()
        changed[..., self.position] += math.log(2)
        return changed


def second_class_token(traced: Traced, position: int) -> Tensor:
    """Answers (C) with a second class token of the same vector and position; the two stay equal in every layer."""
    return traced.subject.answers(traced.after(CountTwice(position)))[0]


@dataclass(frozen=True)
class SwapChange:
    """The donor's state of the token at `position` in the place of one's own, before a layer."""

    donor: Traced
    layer: int
    position: int


@dataclass(frozen=True)
class WhatIf:
    """Changes that are made together: tokens that nobody reads, a causal mask, a swap."""

    removed: tuple[int, ...] = ()
    causal: bool = False
    swap: SwapChange | None = None


@torch.no_grad()
def what_if(traced: Traced, subject: Subject, change: WhatIf) -> Tensor:
    """Answers (C) of an input with changes, read out by `subject` (another pooling of the same model, say)."""
    edits: list[Trace] = []
    gone = masks([change.removed], traced.roles_BL)
    if change.removed:
        edits.append(cut_tokens(gone, Mode.RENORMALISE))
    if change.causal:
        edits.append(hide_later(traced.tokens))
    if change.swap is not None:
        layer, place = change.swap.layer, masks([[change.swap.position]], traced.roles_BL)
        value_BLD = torch.where(place[..., None], change.swap.donor.entering(layer)[:, [change.swap.position]], 0.0)
        edits.append(PatchStates(name=before_layer(layer, traced.depth), value_BLD=value_BLD, places_BL=place))
    states = traced.subject.states(traced.tokens, Chain(*edits)) if edits else traced.states
    roles = torch.where(gone, torch.full_like(states.roles_BL, int(Role.PAD)), states.roles_BL)
    return subject.answers(subject.outcome(replace(states, roles_BL=roles)))[0]
