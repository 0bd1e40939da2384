"""One input of a walkthrough: its tokens, its trace and the experiments on it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, cast

from classtoken.page.blocks import Array
from classtoken.values import Role

RoleName = Literal["class", "distillation", "register", "prompt", "content", "end", "pad"]


def role_name(role: int) -> RoleName:
    """A role as the page writes it."""
    return cast(RoleName, Role(role).name.lower())


@dataclass(frozen=True)
class ShownToken:
    """One token: its role, what it is called, and what to write on it."""

    role: RoleName
    name: str
    """as everywhere else, numbers from 0: patch 86 (row 6, column 2), register 0, a word piece"""
    text: str
    cell: tuple[int, int] | None = None
    """row and column of a patch"""
    span: tuple[int, int] | None = None
    """start and end in the sentence, in UTF-16 units"""


@dataclass(frozen=True)
class ShownInput:
    """What went in."""

    kind: Literal["image", "text"]
    image: str | None = None
    """data URI of exactly what the model saw, cropped and resized"""
    width: int | None = None
    height: int | None = None
    grid: tuple[int, int] | None = None
    """rows, columns"""
    text: str | None = None
    pixels: Annotated[Array, "G Y X"] | None = None
    """toys only: channels, height, width as they enter the model"""
    given: str | None = None
    """a picture's file as a command takes it; null for texts, which stand in `text`, and for what has no file"""
    original: str | None = None
    """data URI of the reader's own picture before it was cropped and resized, small"""
    unread: str | None = None
    """of a text that is longer than the model takes: that a part of it was not read, in words"""


@dataclass(frozen=True)
class AnswerLabel:
    """An answer: the classifier's index and the class's name; or, where vectors are compared, another input's."""

    index: int
    text: str
    input: str | None = None
    """the id of that other input, where it is walked through too: two names may be alike"""


@dataclass(frozen=True)
class Answers:
    """The answers shown; values are probabilities, best first, or cosines (`model.outcome`): to the other inputs that
    were given, the most alike first, then to the package's own."""

    labels: Annotated[tuple[AnswerLabel, ...], "A"]
    logits: Annotated[Array, "A"] | None
    values: Annotated[Array, "A"]
    all_logits: Annotated[Array, "C"] | None
    """so that the softmax can be done again"""
    typical: float | None = None
    """how typical the input is of the classes, of models that know it: a share of their own held-out inputs"""


@dataclass(frozen=True)
class ClassTokenLayers:
    """One class token's row of everything, layer by layer, as the model computed it."""

    scores: Annotated[Array, "N H L"]
    """before the softmax, scaled"""
    weights: Annotated[Array, "N H L"]
    back: Annotated[Array, "N H L"]
    """weight that each token gives to the class token"""
    heads: Annotated[Array, "N H D"]
    """what each head adds"""
    attention: Annotated[Array, "N D"]
    """what attention adds to the residual stream"""
    middle: Annotated[Array, "N D"]
    """after the attention addition (and its norm in post-norm models)"""
    feedforward: Annotated[Array, "N D"]
    """what the feed-forward part adds"""
    states: Annotated[Array, "N+1 D"]
    """what goes into layer 0, then what leaves each layer"""
    queries: Annotated[Array, "N H K"] | None = None
    keys: Annotated[Array, "N H T K"] | None = None
    values: Annotated[Array, "N H T K"] | None = None
    kept: Annotated[Array, "N H T"] | None = None
    """the tokens whose keys and values these are, in rising order, of each layer and head; null: all of them"""
    context: Annotated[Array, "N H K"] | None = None
    """sum over tokens of weight x value"""
    used: Annotated[Array, "N H L"] | None = None
    """length of weight x value after the output projection"""
    norms: Annotated[Array, "N+1 L"] | None = None
    """length of every token's state"""


@dataclass(frozen=True)
class CutEffect:
    """An answer's value before and after cutting the class token off from tokens, and after cutting others.

    The rule for the others, p and verdict is that of `study.control`.
    """

    layer: int | None
    """null: in every layer"""
    head: int | None
    """null: in every head"""
    tokens: tuple[int, ...]
    mode: Literal["renormalise", "zero", "mean", "resample"]
    answer: int
    """place in answers.labels"""
    before: float
    after: float
    null_values: tuple[float, ...]
    """after-values of distinct other sets of as many tokens"""
    possible: int
    """how many other sets there are; all of them stand in null_values where they are 200 or fewer"""
    p: float | None
    """how often another set changes the answer as much; null without any"""
    together: int
    """knock-outs that are corrected for each other: those of all layers, or of all heads"""
    p_together: float | None
    """p after that correction (Holm)"""
    verdict: Literal["needed", "in its way", "no more than chance", "too few to tell", "no control"]
    null_sets: Annotated[Array, "S T"] | None = field(default=None, compare=False)
    """the tokens of those other sets, one a row; null where they are too many for a page"""


@dataclass(frozen=True)
class RemovalEffects:
    """Answers when one token is left out of the sequence, for each of T tokens."""

    tokens: Annotated[tuple[int, ...], "T"]
    values: Annotated[Array, "T A"]


@dataclass(frozen=True)
class SwapEffects:
    """Answers when the class token's state before layer l is another input's (N: after the last layer)."""

    donor: str
    donor_values: Annotated[Array, "A"]
    values: Annotated[Array, "N+1 A"]


@dataclass(frozen=True)
class PoolingAnswers:
    """Answers of the same classifier on another pooling of the same states."""

    name: str
    """cls, mean, max"""
    values: Annotated[Array, "A"]
    says: str


@dataclass(frozen=True)
class PoolingLane:
    """One way of making one vector of the final states: what each token gives, the answer, and what it costs."""

    name: Literal["cls", "last", "mean", "max", "attention", "learned", "all"]
    weights: Annotated[Array, "L"] | None
    """null where they would have to be learned first"""
    values: Annotated[Array, "A"] | None
    """null where the model's own head does not fit"""
    cosine: float | None
    """to the vector that the model's own pooling makes"""
    learned: int
    """numbers that a model learns for it"""
    own: bool
    """the model's own"""


@dataclass(frozen=True)
class PooledTokens:
    """How the final states of several tokens become one vector, where it is not the state of one class token.

    sum: the states times `weights`, added up. largest: of each number the largest. query: learned queries read them, as
    a class token that comes last.
    """

    kind: Literal["sum", "largest", "query"]
    weights: Annotated[Array, "L"]
    """what each token gives: its factor; the share of numbers that are its own; its attention, mean over the queries"""
    queries: Annotated[Array, "Q L"] | None
    """attention of each learned query"""
    states: Annotated[Array, "L D"] | None
    """what is pooled"""
    pooled: Annotated[Array, "D"] | None
    """what comes of it, before anything that follows"""
    without: Annotated[Array, "L"] | None
    """cosine of the vector to the one that is read without this token, its state left as it is"""


@dataclass(frozen=True)
class Truth:
    """The true label, and the share of each patch that is the object, where they are known."""

    label: str | None = None
    object: Annotated[Array, "P"] | None = None


@dataclass(frozen=True)
class TokenEmbeddings:
    """before + position (then a norm, in some families) = after; null where it is that sum."""

    before: Annotated[Array, "L D"]
    position: Annotated[Array, "L D"] | None
    after: Annotated[Array, "L D"] | None = None


@dataclass(frozen=True)
class ContrastInput:
    """Another input of M tokens: its vectors before positions, its class token's, and that one's states."""

    title: str
    image: str | None
    text: str | None
    tokens: Annotated[tuple[ShownToken, ...], "M"]
    before: Annotated[Array, "M D"]
    class_token: Annotated[Array, "D"]
    states: Annotated[Array, "N+1 D"]


@dataclass(frozen=True)
class LensAnswers:
    """Answers if the model had to answer after each layer."""

    values: Annotated[Array, "N+1 A"]
    says: str


@dataclass(frozen=True)
class CausalMaskEffect:
    """With a causal mask: answers, and how far the class token's final state moves when the input is another."""

    values: Annotated[Array, "A"] | None
    change: float
    """that distance under the mask"""
    reference: float
    """and without it"""
    says: str


@dataclass(frozen=True)
class UntrainedModel:
    """The same input in the same architecture with random weights, as before training: what learning gave."""

    weights: Annotated[Array, "N L"]
    """what the watched token reads, mean over heads"""
    lens: Annotated[Array, "N+1 A"]
    """answers if it had to answer after each layer; the last are its answers"""
    alike: float | None
    """cosine of the final states of this input's watched token and the contrasting input's, where both began equal"""
    says: str


@dataclass(frozen=True)
class SecondClassToken:
    """A second, identical class token: answers, and the cosine of the two in each layer."""

    values: Annotated[Array, "A"]
    cosine: Annotated[Array, "N+1"]
    says: str


@dataclass(frozen=True)
class OtherClassToken:
    """What an example holds of another token that can be watched: of its class tokens, where the model has several.

    `layers` come without keys, values and norms, which are of all tokens and stand in the example.
    """

    position: int
    layers: ClassTokenLayers
    final: Annotated[Array, "D"]
    class_token: Annotated[Array, "D"]
    """of the contrasting input"""
    states: Annotated[Array, "N+1 D"]
    """of the contrasting input"""
    knockouts: tuple[CutEffect, ...]
    swaps: tuple[SwapEffects, ...]
    causal: CausalMaskEffect | None
    two: SecondClassToken | None = None
    """with this token twice"""
    untrained: UntrainedModel | None = None
    """what this token reads before training"""


@dataclass(frozen=True)
class Example:
    """One input, walked through."""

    id: str
    title: str
    origin: Literal["example", "yours"]
    input: ShownInput
    tokens: Annotated[tuple[ShownToken, ...], "L"]
    watched: int | None
    """position of the token that is watched: the class token; without one, a token that the vector is read from"""
    truth: Truth
    embeddings: TokenEmbeddings
    layers: ClassTokenLayers
    final: Annotated[Array, "D"]
    """the watched token after the final norm"""
    vector: Annotated[Array, "V"]
    """what the readout gives"""
    answers: Answers
    contrast: ContrastInput | None = None
    lens: LensAnswers | None = None
    knockouts: tuple[CutEffect, ...] = ()
    removals: RemovalEffects | None = None
    swaps: tuple[SwapEffects, ...] = ()
    causal: CausalMaskEffect | None = None
    poolings: tuple[PoolingAnswers, ...] = ()
    race: tuple[PoolingLane, ...] = ()
    """six poolings side by side"""
    two: SecondClassToken | None = None
    others: tuple[OtherClassToken, ...] = ()
    """the model's other class tokens; without one, more tokens that can be watched"""
    pooled: PooledTokens | None = None
    matrices: Annotated[Array, "N H L L"] | None = None
    """who reads whom: whole attention matrices, of a short input"""
    untrained: UntrainedModel | None = None


@dataclass(frozen=True)
class Experiments:
    """What takes many forwards, of one input; `others`: the knock-outs of its other class tokens, in their order."""

    knockouts: tuple[CutEffect, ...]
    removals: RemovalEffects | None
    others: tuple[tuple[CutEffect, ...], ...]
