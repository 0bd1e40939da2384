"""Other experiments on one traced input: a causal mask, another pooling, a second class token, several changes at once.

Answers are (..., C), `Subject.answers` of the outcome. `position` is the place of the class token. Knock-outs and swaps
have files of their own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.pooling.spec import parse
from classtoken.probe.capture import Chain
from classtoken.probe.interventions import Mode, PatchStates, before_layer, cut_tokens, hide_later
from classtoken.probe.removal import masks
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced
from classtoken.readout.readout import Readout
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


Lane = Literal["cls", "last", "mean", "max", "attention", "learned", "all"]
Pooled = Literal["cls", "last", "mean", "max"]
LEARNED: tuple[Lane, ...] = ("learned", "all")


def offered(traced: Traced) -> tuple[Pooled, ...]:
    """Poolings without a parameter that fit an input: class token, mean and maximum; the last token of a text that has
    no class token."""
    if bool((traced.roles_BL == Role.CLASS).any()):
        return ("cls", "mean", "max")
    return ("mean", "max") if traced.grid is not None else ("last", "mean", "max")


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
    """Answers (C) of the same states read out by the poolings `offered`; the model's own is one of them, or there are
    none."""
    names = offered(traced)
    if own_pooling(embedder) not in names:
        return {}
    subjects = {name: with_pooling(embedder, traced.subject, name, references) for name in names}
    return {name: other.answers(other.outcome(traced.states))[0] for name, other in subjects.items()}


@dataclass(frozen=True)
class PooledLane:
    """One way of making one vector of an input's final states.

    weights_L: what each token gives, of `max` the share of numbers that are largest there. answers_C: the model's own
    head on it, where that fits. cosine: to the vector that the model's own pooling makes of the same states. learned:
    how many numbers a model learns for it. Nothing that would have to be learned first has weights.
    """

    name: Lane
    weights_L: Tensor | None
    answers_C: Tensor | None
    cosine: float | None
    learned: int


@torch.no_grad()
def pooling_race(embedder: Embedder, traced: Traced, position: int, known: Mapping[str, Tensor]) -> list[PooledLane]:
    """The ways side by side; `known` are the answers of `poolings`, `position` is the class token's, or the last
    token's. Of an attention pooling the class token's final state is the query: softmax(states . query / sqrt(D)) over
    what mean and maximum read. Empty where the model's own pooling is none of those that are `offered`."""
    own, subject = own_pooling(embedder), traced.subject
    if not known:
        return []
    states_LD, roles_L = traced.states.last_BLD[0].float(), traced.roles_BL[0]
    if len(states_LD) != len(roles_L):
        return []
    size, over = states_LD.shape[1], subject.readout.over if isinstance(subject.readout, Readout) else {Role.CONTENT}
    content_L = torch.isin(roles_L, torch.tensor(sorted(over), device=roles_L.device))  # what mean and maximum read
    query_D = states_LD[position]
    one_L = torch.zeros(len(states_LD), device=states_LD.device)
    one_L[position] = 1.0
    even_L = content_L.float() / content_L.sum()
    largest_L = torch.zeros_like(one_L).index_add_(
        0, content_L.nonzero()[:, 0][states_LD[content_L].argmax(0)], torch.full((size,), 1 / size).to(one_L)
    )
    scores_L = (states_LD @ query_D / math.sqrt(size)).masked_fill(~content_L, -math.inf)
    asked_L = scores_L.softmax(0)
    one: Lane = "cls" if "cls" in known else "last"
    asked: tuple[Lane, ...] = () if one == "last" else ("attention",)
    lanes: tuple[Lane, ...] = (*offered(traced), *asked, *LEARNED)
    vectors: dict[str, Tensor] = {
        one: query_D,
        "mean": even_L @ states_LD,
        "max": states_LD[content_L].max(0).values,
        "attention": asked_L @ states_LD,
    }
    head = subject.head if subject.kind in ("probability", "sigmoid") else None
    plain = head is not None and torch.allclose(subject.readout(traced.states)[0].float(), vectors[own], atol=1e-4)
    attention = subject.answers(head(vectors["attention"][None]))[0] if head is not None and plain else None
    answers = {**known, "attention": attention}
    weights: dict[str, Tensor] = {one: one_L, "mean": even_L, "max": largest_L, "attention": asked_L}
    classes, patches = traced.outcome_BC.shape[1], int(content_L.sum())
    learned = {"cls": size, "last": 0, "mean": 0, "max": 0, "learned": patches}
    learned["attention"] = size + 4 * (size * size + size)
    learned["all"] = patches * size * (classes if subject.kind != "cosine" else size)
    return [
        PooledLane(
            name,
            weights.get(name),
            answers.get(name),
            None if name not in vectors else float(torch.cosine_similarity(vectors[name], vectors[own], dim=0)),
            learned[name],
        )
        for name in lanes
    ]


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
