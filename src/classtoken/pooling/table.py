"""Every pooling: its name, what it means and takes, and the class that computes it. No torch.

A row is all that the rest of the package knows of a pooling: specs are read, classes built, help, docs and
sentence-transformers' files written from it. Rows of other packages come by the entry points `classtoken.poolings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from classtoken.extensions import extensions

Argument = int | float | str
ArgumentKind = Literal["none", "index", "count", "power"]


@dataclass(frozen=True, kw_only=True)
class About:
    """What a pooling's name means, and what it takes in parentheses."""

    name: str
    code: str
    """`module:Class` of the `Pooling`; empty: a checkpoint computes it itself, with its own weights"""
    meaning: str
    formula: str = ""
    """for states x_1 .. x_n of the pooled tokens; for docs, like `when`"""
    when: str = ""
    """when to take it"""
    learned: bool = False
    """it has parameters: without trained ones its vector would be random"""
    argument: ArgumentKind = "none"
    default: Argument | None = None
    """the argument's value when none is written; None: it depends on the model, or there is none"""
    takes: str = ""
    """the argument in words"""
    length: Literal["any", "pooled", "all"] = "any"
    """what it must know of a row before it is made: nothing, how many of its tokens are pooled, or how many it has"""
    sentence_transformers: tuple[str, str] | None = None
    """there: the value of `pooling_mode`, and the older switch"""
    elsewhere: tuple[str, ...] = ()
    """names that other libraries use, for "did you mean\""""


_ABOUTS = (
    About(
        name="cls",
        code="classtoken.pooling.fixed:Cls",
        meaning="the class token's state; of several class tokens their mean, of one of them with cls(i)",
        formula="`x_class`",
        when="the model has a class token that a loss was put on: ViT, DINO, CLIP's images, bge",
        argument="index",
        takes="the number of a class token, from 0",
        sentence_transformers=("cls", "pooling_mode_cls_token"),
        elsewhere=("class", "token"),
    ),
    About(
        name="mean",
        code="classtoken.pooling.fixed:Mean",
        meaning="the mean of the states",
        formula="`sum x_i / n`",
        when="most sentence encoders; images without a class token; the usual rival of `cls`",
        sentence_transformers=("mean", "pooling_mode_mean_tokens"),
        elsewhere=("average", "avg", "gap"),
    ),
    About(
        name="max",
        code="classtoken.pooling.fixed:Max",
        meaning="the largest value of every dimension",
        formula="`max_i x_i`, per dimension",
        when="a trained head on it; rarely what an encoder was trained for",
        sentence_transformers=("max", "pooling_mode_max_tokens"),
    ),
    About(
        name="mean_sqrt_len",
        code="classtoken.pooling.fixed:MeanSqrtLen",
        meaning="the sum of the states over the square root of their number",
        formula="`sum x_i / sqrt(n)`",
        when="the checkpoint says so (old sentence encoders)",
        sentence_transformers=("mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"),
        elsewhere=("mean_sqrt_len_tokens",),
    ),
    About(
        name="weightedmean",
        code="classtoken.pooling.fixed:WeightedMean",
        meaning="the mean with weights 1, 2, 3, ... along the row: later tokens count for more",
        formula="`sum i x_i / sum i`",
        when="causal encoders trained with it (SGPT)",
        sentence_transformers=("weightedmean", "pooling_mode_weightedmean_tokens"),
        elsewhere=("weightedmean_tokens",),
    ),
    About(
        name="last",
        code="classtoken.pooling.fixed:Last",
        meaning="the last token's state",
        formula="`x_n`",
        when="causal encoders: only the last token has read the whole text (Qwen3-Embedding)",
        sentence_transformers=("lasttoken", "pooling_mode_lasttoken"),
        elsewhere=("eos", "lasttoken"),
    ),
    About(
        name="first",
        code="classtoken.pooling.fixed:First",
        meaning="the first token's state, of the tokens that are pooled",
        formula="`x_1`",
        when="what sentence-transformers calls cls where the model has no class token or the prompt is not pooled",
    ),
    About(
        name="gem",
        code="classtoken.pooling.fixed:Gem",
        meaning="the generalized mean (mean of x^p)^(1/p) of the states' positive parts; gem(learned) learns p",
        formula="`(sum max(x_i, 1e-6)^p / n)^(1/p)`",
        when="image retrieval with a trained head; between mean (p 1) and max",
        argument="power",
        default=3,
        takes="a power from 0.1 to 100, or learned",
    ),
    About(
        name="map",
        code="classtoken.pooling.attentive:Map",
        meaning="multi-head attention pooling: one learned probe attends to the states, then x + MLP(LN(x)); "
        "map(h): h heads",
        formula="`y = out([v_1 .. v_H])`, `y + W2 act(W1 LN(y))`",
        when="SigLIP's own; an attentive probe on frozen states",
        learned=True,
        argument="count",
        takes="a number of heads",
        elsewhere=("attention",),
    ),
    About(
        name="queries",
        code="classtoken.pooling.attentive:Queries",
        meaning="k learned queries attend to the states, each giving one k-th of the vector",
        formula="`[sum_i a_qi W x_i]` for q = 1 .. k",
        when="an attentive probe whose queries may specialise",
        learned=True,
        argument="count",
        default=32,
        takes="a number of queries",
    ),
    About(
        name="multihead",
        code="classtoken.pooling.attentive:Multihead",
        meaning="h learned attentions over the states, each scored by a small network; their h means one after another",
        formula="`[sum_i a_hi x_i]` for h = 1 .. H",
        when="texts; scores from a small network (Chen et al. 2018)",
        learned=True,
        argument="count",
        default=4,
        takes="a number of heads",
    ),
    About(
        name="weighted",
        code="classtoken.pooling.attentive:Weighted",
        meaning="the mean with one learned weight per position",
        formula="`sum w_i x_i`, w a softmax over places",
        when="inputs where the place means the same in all of them",
        learned=True,
        length="pooled",
    ),
    About(
        name="all",
        code="classtoken.pooling.fixed:All",
        meaning="every token's state, one after another (rows of fixed length)",
        formula="`[x_1, ..., x_n]`",
        when="a linear probe that may use everything, at its price",
        length="all",
    ),
    About(
        name="pooler",
        code="",
        meaning="the checkpoint's own pooled output",
        formula="as [the family](families.md) says",
        when="what libraries call `pooler_output`; refused without weights",
        elsewhere=("pooler_output",),
    ),
    About(
        name="dist",
        code="classtoken.pooling.fixed:Dist",
        meaning="the distillation token's state",
        formula="`x_distillation`",
        when="DeiT's second token",
    ),
    About(
        name="cls_dist",
        code="classtoken.pooling.fixed:ClsDist",
        meaning="the mean of class and distillation token (DeiT with a distillation token)",
        formula="`(x_class + x_distillation) / 2`",
        when="distilled DeiT as timm reads it",
    ),
)
#: Every pooling of this package by name, in the order in which help and errors list them.
POOLINGS: Mapping[str, About] = {about.name: about for about in _ABOUTS}


def about(name: str) -> About | None:
    """The row of a name, ours before those of other packages; None where there is none."""
    return POOLINGS.get(name) or next((row for row in extensions("poolings", About) if row.name == name), None)


def names() -> tuple[str, ...]:
    """Every name that may be written: ours, then those of other packages."""
    return (*POOLINGS, *(row.name for row in extensions("poolings", About)))
