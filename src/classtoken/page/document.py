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
from classtoken.page.example import (
    Alternative,
    Answers,
    Causal,
    Contrast,
    Embeddings,
    Example,
    Experiments,
    Input,
    Knockout,
    Label,
    Layers,
    Lens,
    Other,
    Removals,
    Swap,
    Token,
    Truth,
    Two,
)

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
    """The classifier's rows of the answers shown: weight (A, V), bias (A); V is the length of what a row reads.

    starts: where in the vector each row begins to read; None where every row reads it from its beginning.
    """

    weight: Array
    bias: Array | None
    starts: tuple[int, ...] | None = None


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
    """Which vector the checkpoint's authors meant, and from which tokens it is made.

    reads_class_token: it is the one class token and nothing else. reads: roles of all tokens that it reads.
    """

    pooling: str
    reads_class_token: bool
    says: str
    reads: tuple[str, ...] = ("class",)


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
    stem: Literal["linear", "convolutions", "table"]
    layout: str
    readout: Readout
    outcome: Literal["probability", "sigmoid", "cosine"]
    temperature: float
    classes: int | None
    trained_on: str
    licence: str
    gaps: tuple[str, ...]
    shared: Shared


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
    used_by: str = ""


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


__all__ = [
    "FORMAT",
    "VERSION",
    "Alternative",
    "Answers",
    "Band",
    "BandControl",
    "Bin",
    "Calibration",
    "Causal",
    "Claim",
    "Contrast",
    "Control",
    "Embeddings",
    "Example",
    "Experiments",
    "FamilyRow",
    "Head",
    "Input",
    "Knockout",
    "Label",
    "Layers",
    "Lens",
    "ModelCard",
    "Norm",
    "NormPair",
    "Other",
    "Position",
    "Readout",
    "Removals",
    "Shared",
    "Statistic",
    "Swap",
    "Token",
    "Truth",
    "Two",
    "Walkthrough",
    "dumps",
]
