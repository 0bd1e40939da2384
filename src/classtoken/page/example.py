"""One input of a walkthrough: its tokens, its trace and the experiments on it (fields of web/src/data.ts)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Token:
    """One token: role, what to write on it, a patch's cell, a word piece's span in UTF-16 units."""

    role: str
    text: str
    cell: tuple[int, int] | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True)
class Input:
    """What went in. `image` is a data URI of just what the model saw; `pixels` (channels, height, width) for toys."""

    kind: Literal["image", "text"]
    image: str | None = None
    width: int | None = None
    height: int | None = None
    grid: tuple[int, int] | None = None
    text: str | None = None
    pixels: Array | None = None


@dataclass(frozen=True)
class Label:
    """An answer: the classifier's index and the class's name."""

    index: int
    text: str


@dataclass(frozen=True)
class Answers:
    """The answers shown, best first: logits (A), values (A), all logits (C)."""

    labels: tuple[Label, ...]
    logits: Array | None
    values: Array
    all_logits: Array | None


@dataclass(frozen=True)
class Layers:
    """The class token's row of everything, per layer; `back` is the column of those that read it."""

    scores: Array
    weights: Array
    back: Array
    heads: Array
    attention: Array
    middle: Array
    feedforward: Array
    states: Array
    queries: Array | None = None
    keys: Array | None = None
    values: Array | None = None
    context: Array | None = None
    used: Array | None = None
    norms: Array | None = None


@dataclass(frozen=True)
class Knockout:
    """An answer's value before and after cutting the class token off from tokens, and the null distribution."""

    layer: int | None
    head: int | None
    tokens: tuple[int, ...]
    mode: Literal["renormalise", "zero", "mean", "resample"]
    answer: int
    before: float
    after: float
    null_values: tuple[float, ...]


@dataclass(frozen=True)
class Removals:
    """Answers (tokens, A) when one token is left out of the sequence."""

    tokens: tuple[int, ...]
    values: Array


@dataclass(frozen=True)
class Swap:
    """Answers (N + 1, A) when the class token's state before layer l is another input's."""

    donor: str
    donor_values: Array
    values: Array


@dataclass(frozen=True)
class Alternative:
    """Answers of the same classifier on another pooling of the same states."""

    name: str
    values: Array
    says: str


@dataclass(frozen=True)
class Truth:
    """The true label, and the share of each patch that is the object, where they are known."""

    label: str | None = None
    object: Array | None = None


@dataclass(frozen=True)
class Embeddings:
    """(L, D) each: before + position (then a norm, in some families) = after; None where it is that sum."""

    before: Array
    position: Array | None
    after: Array | None = None


@dataclass(frozen=True)
class Contrast:
    """Another input: its vectors before positions (L2, D), its class token's (D), and that one's states (N + 1, D)."""

    title: str
    image: str | None
    text: str | None
    tokens: tuple[Token, ...]
    before: Array
    class_token: Array
    states: Array


@dataclass(frozen=True)
class Lens:
    """Answers (N + 1, A) if the model had to answer after each layer."""

    values: Array
    says: str


@dataclass(frozen=True)
class Causal:
    """With a causal mask: answers, and how far the class token's final state moves when the input is another.

    `change` is that distance under the mask, `reference` without it.
    """

    values: Array | None
    change: float
    reference: float
    says: str


@dataclass(frozen=True)
class Two:
    """A second, identical class token: answers (A), cosine of the two per layer (N + 1)."""

    values: Array
    cosine: Array
    says: str


@dataclass(frozen=True)
class Other:
    """Another class token of the same input, where the model has several: what an `Example` holds of its own.

    `layers` come without keys, values and norms, which are of all tokens and stand in the example.
    class_token (D) and states (N + 1, D) are those of the contrasting input.
    """

    hero: int
    layers: Layers
    final: Array
    class_token: Array
    states: Array
    knockouts: tuple[Knockout, ...]
    swaps: tuple[Swap, ...]
    causal: Causal | None


@dataclass(frozen=True)
class Example:
    """One input, walked through. `hero` is the class token that is watched; `others` are the model's other ones."""

    id: str
    title: str
    origin: Literal["example", "yours"]
    input: Input
    tokens: tuple[Token, ...]
    hero: int | None
    truth: Truth
    embeddings: Embeddings
    layers: Layers
    final: Array
    vector: Array
    answers: Answers
    contrast: Contrast | None = None
    lens: Lens | None = None
    knockouts: tuple[Knockout, ...] = ()
    removals: Removals | None = None
    swaps: tuple[Swap, ...] = ()
    causal: Causal | None = None
    poolings: tuple[Alternative, ...] = ()
    two: Two | None = None
    others: tuple[Other, ...] = ()


@dataclass(frozen=True)
class Experiments:
    """What takes many forwards, of one input; `others`: the knock-outs of its other class tokens, in their order."""

    knockouts: tuple[Knockout, ...]
    removals: Removals | None
    others: tuple[tuple[Knockout, ...], ...]
