"""The model's card on the page, and the few weights that the page's arithmetic needs."""

from dataclasses import dataclass
from typing import Annotated, Literal

from classtoken.page.blocks import Array
from classtoken.results.predict import UNLIKE


@dataclass(frozen=True)
class NormWeights:
    """A layer norm's learned numbers."""

    kind: Literal["layer", "rms"]
    weight: Annotated[Array, "E"]
    bias: Annotated[Array, "E"] | None
    eps: float


@dataclass(frozen=True)
class BlockNorms:
    """The two norms of a post-norm block."""

    first: NormWeights
    second: NormWeights


@dataclass(frozen=True)
class ClassifierRows:
    """The classifier's rows of the answers of the first example, divided by the temperature; V numbers are read. Of a
    model without a classifier the vectors, of length 1, that others are compared with."""

    weight: Annotated[Array, "A V"]
    bias: Annotated[Array, "A"] | None
    classes: tuple[int, ...]
    """the answers that the rows are of, by their index"""
    starts: tuple[int, ...] | None = None
    """where in the vector each row begins to read; null where every row reads it from its beginning"""


@dataclass(frozen=True)
class SharedWeights:
    """The weights that the arithmetic of every example needs."""

    embedding_norm: NormWeights | None = None
    """applied to before + position (BERT, CLIP)"""
    attention_bias: Annotated[Array, "N D"] | None = None
    """bias of each output projection; null where there is none"""
    norms: tuple[BlockNorms, ...] | None = None
    """post-norm models only, one pair a layer"""
    final_norm: NormWeights | None = None
    head: ClassifierRows | None = None


@dataclass(frozen=True)
class PositionCard:
    """How positions come in, and a sentence for the reader."""

    kind: Literal["added", "rotary", "bias", "none"]
    says: str


@dataclass(frozen=True)
class ReadoutCard:
    """Which vector the checkpoint's authors meant, and from which tokens it is made."""

    pooling: str
    reads_class_token: bool
    """it is the one class token and nothing else"""
    says: str
    reads: tuple[str, ...] = ("class",)
    """roles of all tokens that it reads"""


@dataclass(frozen=True)
class ModelCard:
    """What model this is, as far as the page must know."""

    name: str
    """what the user asked for: builtin:toy, a folder's name, a hub id"""
    family: str
    modality: Literal["image", "text"]
    depth: int
    heads: int
    hidden: int
    head_size: int
    feedforward: int
    parameters: int
    norm: Literal["pre", "post"]
    """where the layer norm sits: before each part, or after each addition"""
    score_scale: float
    """scores = q.k * score_scale, usually 1/sqrt(K)"""
    position: PositionCard
    patch: int | None
    stem: Literal["linear", "convolutions", "table"]
    """a weighted sum of the patch's own pixels; overlapping convolutions; a look-up"""
    layout: str
    """1 class + 14x14 patch = 197"""
    readout: ReadoutCard
    outcome: Literal["probability", "sigmoid", "cosine"]
    """what an answer's value is"""
    temperature: float
    """logits, and the head's rows, are divided by it already"""
    classes: int | None
    """C; null without a classifier"""
    trained_on: str
    licence: str
    gaps: tuple[str, ...]
    """traces that this model cannot give, in words"""
    shared: SharedWeights
    causal: bool = False
    """a token sees only itself and those before it"""
    given: str | None = None
    """as a command takes it: a folder's path, builtin:toy, a hub id"""
    unlike: float = UNLIKE
    """as typical of the classes as this, or less, is said to look like none of them"""


@dataclass(frozen=True)
class LinearWeights:
    """y = W x + b."""

    weight: Annotated[Array, "O I"]
    bias: Annotated[Array, "O"]


@dataclass(frozen=True)
class ToyNorm:
    """A layer norm of a toy."""

    weight: Annotated[Array, "D"]
    bias: Annotated[Array, "D"]


@dataclass(frozen=True)
class ToyBlock:
    """One layer of a toy."""

    norm1: ToyNorm
    query: LinearWeights
    key: LinearWeights
    value: LinearWeights
    output: LinearWeights
    norm2: ToyNorm
    up: LinearWeights
    down: LinearWeights


@dataclass(frozen=True)
class ToyWeights:
    """All weights of a small pre-norm vision encoder, so that the page can do the whole forward again."""

    patch: int
    channels: int
    activation: Literal["gelu", "relu"]
    eps: float
    stem: LinearWeights
    """(D, channels * patch * patch), pixels in the order channel, row, column"""
    class_token: Annotated[Array, "D"]
    positions: Annotated[Array, "L D"]
    blocks: tuple[ToyBlock, ...]
    final_norm: ToyNorm
    head: LinearWeights
    """(C, D)"""
