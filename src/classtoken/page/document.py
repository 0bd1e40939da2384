"""What a walkthrough holds: the fields of web/src/data.ts (format version 1), as frozen dataclasses with numpy arrays.

Letters as in tensors.py: L tokens, D hidden size, H heads, K head size, N layers, P patches, C classes, and A answers
shown. `web/DATA.md` says the arithmetic that must hold between the fields.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from classtoken.page.blocks import plain

FORMAT = "classtoken-walkthrough"
VERSION = 1

Array = np.ndarray


@dataclass(frozen=True)
class Norm:
    """A layer norm's learned numbers; `kind` is layer or rms."""

    kind: Literal["layer", "rms"]
    weight: Array
    bias: Array | None
    eps: float


@dataclass(frozen=True)
class Head:
    """The classifier's rows of the answers shown: weight (A, D), bias (A)."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class NormPair:
    """The two norms of a post-norm block."""

    first: Norm
    second: Norm


@dataclass(frozen=True)
class Shared:
    """The few weights that the page's arithmetic needs; attention_bias is (N, D)."""

    embedding_norm: Norm | None = None
    attention_bias: Array | None = None
    norms: tuple[NormPair, ...] | None = None
    final_norm: Norm | None = None
    head: Head | None = None


@dataclass(frozen=True)
class Position:
    """How positions come in, and a sentence for the reader."""

    kind: Literal["added", "rotary", "bias", "none"]
    says: str


@dataclass(frozen=True)
class Readout:
    """Which vector the checkpoint's authors meant, and whether the class token is in it."""

    pooling: str
    reads_class_token: bool
    says: str


@dataclass(frozen=True)
class ModelCard:
    """What model this is, as far as the page must know."""

    name: str
    family: str
    modality: Literal["image", "text"]
    depth: int
    heads: int
    hidden: int
    head_size: int
    feedforward: int
    parameters: int
    norm: Literal["pre", "post"]
    score_scale: float
    position: Position
    patch: int | None
    layout: str
    readout: Readout
    outcome: Literal["probability", "sigmoid", "cosine"]
    classes: int | None
    trained_on: str
    licence: str
    gaps: tuple[str, ...]
    shared: Shared


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
class Example:
    """One input, walked through."""

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


@dataclass(frozen=True)
class Statistic:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Control:
    """The same statistic for a control, a model with random weights for one."""

    what: str
    value: Statistic


@dataclass(frozen=True)
class Claim:
    """A sentence with its measurement; there is no claim without n and an interval."""

    id: str
    steps: tuple[int, ...]
    says: str
    unit: str
    n: int
    data: str
    value: Statistic
    control: Control | None
    made_by: str


@dataclass(frozen=True)
class BandControl:
    """A control for every layer."""

    what: str
    values: tuple[Statistic, ...]


@dataclass(frozen=True)
class Band:
    """A statistic for every layer, over a data set."""

    id: str
    title: str
    unit: str
    n: int
    data: str
    values: tuple[Statistic, ...]
    control: BandControl | None


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies between low and high, and how many of them were right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """When the model says 80 %, how often is it right?"""

    n: int
    data: str
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class FamilyRow:
    """Who uses what, from the families table."""

    family: str
    class_token: str
    registers: str
    readout: str
    note: str


@dataclass(frozen=True)
class Walkthrough:
    """A whole walkthrough."""

    made_by: str
    model: ModelCard
    examples: tuple[Example, ...]
    bands: tuple[Band, ...] = ()
    claims: tuple[Claim, ...] = ()
    calibration: Calibration | None = None
    families: tuple[FamilyRow, ...] = ()
    toy: Mapping[str, Any] | None = None
    format: str = field(default=FORMAT)
    version: int = field(default=VERSION)

    def to_json(self) -> str:
        """The document as JSON, safe to stand inside a script element: every `<` is written as \\u003c."""
        return dumps(plain(self))


def dumps(value: Any) -> str:
    """JSON without a literal `<`, U+2028 or U+2029 in it, so that no text can end the script it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
