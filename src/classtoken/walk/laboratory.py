"""Experiments on one input: what changes in the answer when something is cut, removed, swapped or read otherwise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.page.example import (
    CausalMaskEffect,
    CutEffect,
    LensAnswers,
    PoolingAnswers,
    RemovalEffects,
    SecondClassToken,
)
from classtoken.pooling.spec import parse
from classtoken.probe.accounting import native
from classtoken.probe.interventions import CutEdges, Mode, PatchStates, before_layer, cut_tokens, hide_later
from classtoken.probe.lens import lens
from classtoken.probe.removal import remove
from classtoken.probe.run_on import run_on
from classtoken.probe.traced import repeat
from classtoken.tensors import States, Tokens
from classtoken.values import Role
from classtoken.walk.answering import Answering
from classtoken.walk.card import numbers
from classtoken.walk.numbers import Traced
from classtoken.walk.shown import WalkInput

ROWS = 24
"""inputs run at once"""


@dataclass(frozen=True)
class Effort:
    """How much is precomputed. `nulls`: random sets per knock-out; `heads`: knock-outs of single heads too."""

    nulls: int = 19
    heads: bool = False
    removals: bool = True


def effort_for(traced: Traced) -> Effort:
    """Single heads are knocked out where that costs little: tokens x layers x hidden size below 100,000."""
    layers, tokens = traced.layers.weights.shape[0], traced.layers.weights.shape[2]
    small = layers * tokens * traced.layers.states.shape[1] < 100_000
    return Effort(heads=small)


def content_of(prepared: WalkInput) -> list[int]:
    """Places of patches or word pieces."""
    return [t for t, role in enumerate(prepared.tokens.roles_BL[0].tolist()) if role == Role.CONTENT]


@torch.no_grad()
def knockouts(
    answering: Answering, prepared: WalkInput, traced: Traced, shown: Sequence[int], effort: Effort, seed: int = 0
) -> tuple[CutEffect, ...]:
    """Cut the class token off from the tenth of the content that it attends to most, layer by layer.

    Beside each effect stand those of `effort.nulls` random sets of as many content tokens (the null distribution).
    Weights that are freed go to the other tokens (mode renormalise).
    """
    content = content_of(prepared)
    count = max(1, round(len(content) / 10))
    if len(content) <= count:
        return ()
    before = float(answering.values(traced.outcome_BC)[0, shown[0]])
    found = []
    generator = np.random.default_rng(seed)
    depth, heads = traced.layers.weights.shape[:2]
    for layer in range(depth):
        for head in [None, *range(heads)] if effort.heads else [None]:
            weights = traced.layers.weights[layer]
            row = weights.mean(0) if head is None else weights[head]
            top = sorted(content, key=lambda t: -row[t])[:count]
            sets = [top, *(generator.choice(content, count, replace=False).tolist() for _ in range(effort.nulls))]
            values = cut(answering, prepared, traced, sets, layer, head)[:, shown[0]].tolist()
            null = tuple(values[1:])
            found.append(CutEffect(layer, head, tuple(sorted(top)), "renormalise", 0, before, values[0], null))
    return tuple(found)


def cut(
    answering: Answering,
    prepared: WalkInput,
    traced: Traced,
    sets: Sequence[Sequence[int]],
    layer: int,
    head: int | None,
) -> Tensor:
    """Answers (sets, A) when the class token cannot read a set of tokens in one layer: run on from that layer."""
    length = prepared.tokens.roles_BL.shape[1]
    entering_LD = traced.entering(layer)
    found = []
    for start in range(0, len(sets), ROWS):
        chunk = sets[start : start + ROWS]
        gone = torch.zeros(len(chunk), length, dtype=torch.bool)
        for row, tokens in enumerate(chunk):
            gone[row, list(tokens)] = True
        readers = torch.zeros_like(gone)
        readers[:, prepared.watched] = True
        heads = None if head is None else [head]
        edit = cut_tokens(gone, Mode.RENORMALISE, layers=[layer], readers_BL=readers, heads=heads)
        roles = prepared.tokens.roles_BL.expand(len(chunk), -1)
        x_BLD = entering_LD.expand(len(chunk), -1, -1)
        states = run_on(answering.subject, x_BLD, roles, layer, edit, grid=prepared.tokens.grid)
        found.append(answering.values(answering.subject.outcome(states)))
    return torch.cat(found)


@torch.no_grad()
def without(answering: Answering, prepared: WalkInput, traced: Traced, sets: Sequence[Sequence[int]]) -> Tensor:
    """Answers (sets, A) of the sequence without a set of tokens; nothing takes their place.

    Where positions are added before the first layer, the tokens are simply left out of what enters it.
    """
    subject, length = answering.subject, prepared.tokens.roles_BL.shape[1]
    encoder = native(subject)
    position = encoder.shape.position
    shorter = not (position.rotary or position.buckets or position.tables != "none" or encoder.shape.block.windows)
    sizes = {len(tokens) for tokens in sets}
    found = []
    for start in range(0, len(sets), ROWS):
        chunk = sets[start : start + ROWS]
        gone = torch.zeros(len(chunk), length, dtype=torch.bool)
        for row, tokens in enumerate(chunk):
            gone[row, list(tokens)] = True
        if shorter and len(sizes) == 1:
            kept = (~gone).nonzero()[:, 1].view(len(chunk), -1)
            x_BLD = traced.entering(0)[0][kept]
            states = run_on(subject, x_BLD, prepared.tokens.roles_BL[0][kept], 0, grid=None)
            found.append(answering.values(subject.outcome(states)))
        else:
            found.append(answering.values(remove(subject, repeat(prepared.tokens, 0, len(chunk)), gone)))
    return torch.cat(found)


def removals(answering: Answering, prepared: WalkInput, traced: Traced, shown: Sequence[int]) -> RemovalEffects | None:
    """One content token at a time; None where only one is left to read."""
    content = content_of(prepared)
    if len(content) < 2:
        return None
    values = without(answering, prepared, traced, [[t] for t in content])[:, list(shown)]
    return RemovalEffects(tuple(content), numbers(values))


@torch.no_grad()
def swapped(
    answering: Answering, prepared: WalkInput, donor_states_ND: np.ndarray, layers: Sequence[int] | None = None
) -> Tensor:
    """Answers (N + 1, A) when the class token's state before layer l is the donor's (N: after the last layer)."""
    subject, watched = answering.subject, prepared.watched
    length = prepared.tokens.roles_BL.shape[1]
    places = torch.zeros(1, length, dtype=torch.bool)
    places[0, watched] = True
    found = []
    for layer in range(subject.depth + 1) if layers is None else layers:
        value = torch.zeros(1, length, donor_states_ND.shape[1])
        value[0, watched] = torch.from_numpy(donor_states_ND[layer])
        edit = PatchStates(name=before_layer(layer, subject.depth), value_BLD=value, places_BL=places)
        found.append(answering.values(subject(prepared.tokens, edit)))
    return torch.cat(found)


@torch.no_grad()
def causal(
    answering: Answering, prepared: WalkInput, other: WalkInput | None, shown: Sequence[int], traced: Traced,
    other_final: np.ndarray | None,
) -> CausalMaskEffect | None:  # fmt: skip
    """A causal mask on both inputs: how far the class token's final state moves from one to the other."""
    if other is None or other_final is None:
        return None
    subject = answering.subject
    finals = []
    for each in (prepared, other):
        states = subject.states(each.tokens, hide_later(subject, each.tokens))
        finals.append(states.last_BLD[0, each.watched])
        if each is prepared:
            values = numbers(answering.values(subject.outcome(states))[0, list(shown)])
    change = float((finals[0] - finals[1]).norm())
    reference = float(np.linalg.norm(traced.final_D - other_final))
    return CausalMaskEffect(values, change, reference, "each token reads only itself and those before it")


def lens_of(answering: Answering, prepared: WalkInput, shown: Sequence[int]) -> LensAnswers:
    """The model's own read-out, put on the states of every layer."""
    values = answering.values(lens(answering.subject, prepared.tokens).outcome_BNC)[0][:, list(shown)]
    return LensAnswers(numbers(values), "the final norm and the model's own read-out, put on the states of each layer")


@torch.no_grad()
def poolings(
    embedder: Embedder, answering: Answering, traced: Traced, tokens: Tokens, references: Sequence[Tokens],
    shown: Sequence[int],
) -> tuple[PoolingAnswers, ...]:  # fmt: skip
    """The same states read out by class token, mean and maximum, through the same classifier (or the same cosine)."""
    reading = embedder.tower(embedder.modalities[0]).reading
    subject = answering.subject
    own = str(reading.classifier.readout.spec) if reading.classifier is not None else str(reading.contract.pooling)
    if own not in ("cls", "mean", "max"):
        return ()
    found = []
    for name in ("cls", "mean", "max"):
        readout = reading.readout(parse(name), unit_length=False).to(embedder.device).eval()
        other = replace(subject, readout=readout, modules=(readout,))

        def outcome(states: States, other: object = other) -> Tensor:
            return other.outcome(states)  # type: ignore[attr-defined]

        if answering.kind == "cosine":
            vectors = [torch.nn.functional.normalize(other(each).float(), dim=-1)[0] for each in references]
            values = replace(answering, references_RD=torch.stack(vectors)).values(outcome(traced.captured.states))
        else:
            values = answering.values(outcome(traced.captured.states))
        says = "the model's own read-out" if name == own else f"the model was trained for '{own}', not for this"
        found.append(PoolingAnswers(name, numbers(values[0, list(shown)]), says))
    return tuple(found)


@dataclass(frozen=True)
class CountTwice:
    """A second, identical class token, exactly: both always have the same state, so all others see it twice.

    Softmax over a row with one key doubled gives the two copies together exp(s + ln 2); hence ln 2 on the scores of the
    class token's key, for every query and in every layer. (Positions are equal too; tested with a real one.)
    """

    watched: int

    def wants(self, name: str) -> bool:
        return name.endswith(".scores")

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if not name.endswith(".scores"):
            return value
        changed = value.clone()
        changed[..., self.watched] += math.log(2)
        return changed


@torch.no_grad()
def two(answering: Answering, prepared: WalkInput, shown: Sequence[int]) -> SecondClassToken:
    """Answers with a second class token of the same vector and position; the two stay equal in every layer."""
    values = answering.values(answering.subject(prepared.tokens, CountTwice(prepared.watched)))
    cosine = np.ones(answering.subject.depth + 1, dtype=np.float32)
    return SecondClassToken(
        numbers(values[0, list(shown)]), cosine, "a second class token with the same vector and position"
    )


def cut_edit(gone: Sequence[int], length: int) -> CutEdges:
    """Nobody reads some tokens, in any layer: as if they were not there."""
    flags = torch.zeros(1, length, dtype=torch.bool)
    flags[0, list(gone)] = True
    return cut_tokens(flags, Mode.RENORMALISE)
