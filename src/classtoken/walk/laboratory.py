"""Experiments on one traced input: what changes in the answer when something is cut, removed, swapped, read otherwise.

Answers are (..., C), `Subject.answers` of the outcome. `position` is the place of the class token.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.pooling.spec import parse
from classtoken.probe.capture import Chain
from classtoken.probe.interventions import Mode, PatchStates, before_layer, cut_tokens, hide_later
from classtoken.probe.lens import lens
from classtoken.probe.removal import remove
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, content_of, repeat
from classtoken.tensors import Tokens, Trace
from classtoken.values import Role

ROWS = 24
"""inputs run at once"""


@dataclass(frozen=True)
class CutRun:
    """The answer to one class before and after a class token was cut off from `tokens`, and from random others."""

    layer: int
    head: int | None
    tokens: tuple[int, ...]
    before: float
    after: float
    null: tuple[float, ...]


@dataclass(frozen=True)
class Effort:
    """How much is tried. `nulls`: random sets per knock-out; `heads`: knock-outs of single heads too."""

    nulls: int = 19
    heads: bool = False


def effort_for(traced: Traced) -> Effort:
    """Single heads are knocked out where that costs little: tokens x layers x hidden size below 100,000."""
    tokens, width = traced.entering(0).shape[1:]
    return Effort(heads=traced.depth * tokens * width < 100_000)


@torch.no_grad()
def knockouts(traced: Traced, position: int, target: int, effort: Effort, seed: int = 0) -> tuple[CutRun, ...]:
    """Cut the class token off from the tenth of the content that it attends to most, layer by layer.

    Beside each effect stand those of `effort.nulls` random sets of as many content tokens (the null distribution).
    Weights that are freed go to the other tokens (mode renormalise).
    """
    content = content_of(traced.tokens)
    count = max(1, round(len(content) / 10))
    if len(content) <= count:
        return ()
    before = float(traced.answers_BC[0, target])
    found = []
    generator = np.random.default_rng(seed)
    for layer in range(traced.depth):
        rows_HL = traced.part("weights")[layer][0, :, position].float().cpu().numpy()
        for head in [None, *range(len(rows_HL))] if effort.heads else [None]:
            row = rows_HL.mean(0) if head is None else rows_HL[head]
            top = sorted(content, key=lambda t: -row[t])[:count]
            sets = [top, *(generator.choice(content, count, replace=False).tolist() for _ in range(effort.nulls))]
            values = cut(traced, position, sets, layer, head)[:, target].tolist()
            found.append(CutRun(layer, head, tuple(sorted(top)), before, values[0], tuple(values[1:])))
    return tuple(found)


def cut(traced: Traced, position: int, sets: Sequence[Sequence[int]], layer: int, head: int | None) -> Tensor:
    """Answers (sets, C) when the class token cannot read a set of tokens in one layer: run on from that layer."""
    found = []
    for start in range(0, len(sets), ROWS):
        gone = flags(sets[start : start + ROWS], traced)
        readers = torch.zeros_like(gone)
        readers[:, position] = True
        heads = None if head is None else [head]
        edit = cut_tokens(gone, Mode.RENORMALISE, layers=[layer], readers_BL=readers, heads=heads)
        found.append(traced.subject.answers(traced.after(edit, rows=len(gone), first=layer)))
    return torch.cat(found)


def removals(traced: Traced) -> tuple[tuple[int, ...], Tensor] | None:
    """Content tokens, and the answers (tokens, C) without each one; None where only one is left to read."""
    content = content_of(traced.tokens)
    if len(content) < 2:
        return None
    found = []
    for start in range(0, len(content), ROWS):
        gone = flags([[t] for t in content[start : start + ROWS]], traced)
        found.append(traced.subject.answers(remove(traced.subject, repeat(traced.tokens, 0, len(gone)), gone)))
    return tuple(content), torch.cat(found)


def flags(sets: Sequence[Sequence[int]], traced: Traced) -> Tensor:
    """A row for each set of tokens (sets, L), True at its places."""
    gone = torch.zeros(len(sets), traced.roles_BL.shape[1], dtype=torch.bool, device=traced.roles_BL.device)
    for row, tokens in enumerate(sets):
        gone[row, list(tokens)] = True
    return gone


def swapped(traced: Traced, position: int, donor: Traced, layers: Sequence[int] | None = None) -> Tensor:
    """Answers (layers, C) when the class token's state before layer l is the donor's (N: after the last layer)."""
    found = []
    for layer in range(traced.depth + 1) if layers is None else layers:
        x_BLD = traced.entering(layer).clone()
        x_BLD[0, position] = donor.entering(layer)[0, position]
        found.append(traced.subject.answers(traced.with_states(x_BLD, layer)))
    return torch.cat(found)


@dataclass(frozen=True)
class CausalRun:
    """Answers (C) under a causal mask; how far the class token's final state is from the other input's, with the mask
    (`change`) and without it (`reference`)."""

    answers_C: Tensor
    change: float
    reference: float


@torch.no_grad()
def causal(traced: Traced, position: int, other: Traced) -> CausalRun:
    """A causal mask on both inputs: how far the class token's final state moves from one to the other."""
    states = [each.subject.states(each.tokens, hide_later(each.subject, each.tokens)) for each in (traced, other)]
    masked, whole = ([x.last_BLD[0, position] for x in found] for found in (states, (traced.states, other.states)))
    return CausalRun(
        traced.subject.answers(traced.subject.outcome(states[0]))[0],
        float((masked[0] - masked[1]).norm()),
        float((whole[0] - whole[1]).norm()),
    )


def lens_answers(traced: Traced) -> Tensor:
    """Answers (N + 1, C) of the model's own read-out, put on the states of every layer."""
    every = [traced.entering(layer) for layer in range(traced.depth + 1)]
    return traced.subject.answers(lens(traced.subject, traced.tokens, every).outcome_BNC[0])


POOLINGS = ("cls", "mean", "max")
"""what the class token is compared with"""


def with_pooling(embedder: Embedder, subject: Subject, name: str, references: Sequence[Tokens]) -> Subject:
    """The same classifier (or the same comparison, with the references pooled alike) on another pooling's vector."""
    reading = embedder.tower(embedder.modalities[0]).reading
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
    reading = embedder.tower(embedder.modalities[0]).reading
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


def two(traced: Traced, position: int) -> Tensor:
    """Answers (C) with a second class token of the same vector and position; the two stay equal in every layer."""
    return traced.subject.answers(traced.after(CountTwice(position)))[0]


@dataclass(frozen=True)
class Swap:
    """The donor's state of the token at `position` in the place of one's own, before a layer."""

    donor: Traced
    layer: int
    position: int


@dataclass(frozen=True)
class WhatIf:
    """Changes that are made together: tokens that nobody reads, a causal mask, a swap."""

    removed: tuple[int, ...] = ()
    causal: bool = False
    swap: Swap | None = None


@torch.no_grad()
def what_if(traced: Traced, subject: Subject, change: WhatIf) -> Tensor:
    """Answers (C) of an input with changes, read out by `subject` (another pooling of the same model, say)."""
    edits: list[Trace] = []
    gone = flags([change.removed], traced)
    if change.removed:
        edits.append(cut_tokens(gone, Mode.RENORMALISE))
    if change.causal:
        edits.append(hide_later(traced.subject, traced.tokens))
    if change.swap is not None:
        layer, place = change.swap.layer, flags([[change.swap.position]], traced)
        value_BLD = torch.where(place[..., None], change.swap.donor.entering(layer)[:, [change.swap.position]], 0.0)
        edits.append(PatchStates(name=before_layer(layer, traced.depth), value_BLD=value_BLD, places_BL=place))
    states = traced.subject.states(traced.tokens, Chain(*edits)) if edits else traced.states
    roles = torch.where(gone, torch.full_like(states.roles_BL, int(Role.PAD)), states.roles_BL)
    return subject.answers(subject.outcome(replace(states, roles_BL=roles)))[0]
