"""A family is a row of data: config -> shape, names on disk, the authors' readout, and the heads that may come with it.

Nothing outside `encoder/families` may ask for a family by name; what a family does differently is a value in its row.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from classtoken.encoder.names import Rename
from classtoken.encoder.shape import Shape

Config = Mapping[str, Any]


def complete(config: Config, defaults: Config) -> dict[str, Any]:
    """The config, and where its file is silent what the reference assumes: published files leave values out."""
    return {**defaults, **{name: value for name, value in config.items() if value is not None}}


PoolerKind = Literal["none", "state", "tanh", "map", "dense", "norm_mean"]
"""What the reference calls its pooled output:

none        there is no such output
state       the state of the pooled token after the final norm (DINOv2, CLIP vision and text)
tanh        tanh(W state + b), the "BERT pooler"; `activation` may name another function
map         a learned query attends over the patches, then x + MLP(LN(x)) (SigLIP)
dense       W state + b (SigLIP text)
norm_mean   LN(mean of the patches), the states themselves not normed (BEiT)
"""

HeadKind = Literal["linear", "cls_mean", "distilled", "dense", "pooled", "mean"]
"""How the reference's classifier makes logits:

linear      W state + b on the class token's state after the final norm (ViT)
cls_mean    W [class token, mean of the patches] + b (DINOv2)
distilled   the mean of one linear classifier on the class token and one on the distillation token (DeiT)
dense       out(activate(dense(class token's state))) (RoBERTa, ELECTRA, DistilBERT, ModernBERT after its norm)
pooled      W pooler + b on the checkpoint's own pooled output (BERT, BEiT)
mean        W mean(patches) + b (SigLIP, CLIP, I-JEPA in Hugging Face's classification models)
"""


@dataclass(frozen=True, kw_only=True)
class PoolerRow:
    """The checkpoint's own pooled output. `names` are its weights on disk, without the base model's prefix."""

    kind: PoolerKind
    token: Literal["cls", "last", "end"] = "cls"
    """which state it reads: the class token's, the last position's (SigLIP's text), or the END token's (CLIP's text)"""
    names: tuple[Rename, ...] = ()
    """names on disk -> names in our pooler module, see readout.OwnPooler"""
    activation: str = "tanh"
    """of `tanh`: the function; of `map`: its MLP's"""
    optional: bool = True
    """checkpoints of this family are often published without these weights"""


@dataclass(frozen=True, kw_only=True)
class HeadRow:
    """A classifier that a checkpoint may carry. `names` -> names in our head module (head.py)."""

    kind: HeadKind
    names: tuple[Rename, ...]
    activation: str = "gelu"
    norm: bool = False
    """a norm between the dense layer and the output (ModernBERT)"""
    architectures: tuple[str, ...] = ()
    """endings of the class names in `architectures` of config.json that carry this head"""
    pooling: Callable[[Config], str] | None = None
    """where config chooses (ModernBERT's classifier_pooling): the pooling that feeds it"""


@dataclass(frozen=True, kw_only=True)
class ProjectionRow:
    """A projection of the pooled vector into a joint space (CLIP): W, by its name on disk -> `projection.weight`."""

    names: tuple[Rename, ...]


@dataclass(frozen=True, kw_only=True)
class AuthorsReadout:
    """Which vector the authors meant, as a pooling spec, and why we say so."""

    spec: str
    """`cls`, `mean`, `pooler`, `last`, ..."""
    reason: str
    source: str
    """file or paper"""
    alternatives: Mapping[str, str]
    """use -> spec, for other uses than the main one: {"classification": "cls+mean", "dense": "patch states"}"""
    unit_length: bool = False


@dataclass(frozen=True, kw_only=True)
class Family:
    """One row of the table."""

    name: str
    types: tuple[str, ...]
    """`model_type` in config.json"""
    modality: Literal["text", "image"]
    shape: Callable[[Config], Shape]
    names: tuple[Rename, ...]
    """names on disk (Hugging Face), without the base model's prefix"""
    readout: Callable[[Config], AuthorsReadout]
    prefixes: tuple[str, ...] = ()
    """what a checkpoint with a head writes before the names: `vit.`, `bert.`"""
    ignored: tuple[str, ...] = ()
    """regexes of names that hold nothing that the encoder needs"""
    architectures: tuple[str, ...] = ()
    """regexes of the `architecture` in timm's config.json that are this family (rows of `families/timm.py`)"""
    pooler: PoolerRow | Callable[[Config], PoolerRow] = PoolerRow(kind="none")
    head: HeadRow | None = None
    other_heads: tuple[HeadRow, ...] = ()
    """classifiers that a checkpoint may carry instead of `head` (DeiT's pair)"""
    projection: ProjectionRow | None = None
    config_key: str | None = None
    """where this tower's config stands in a two-tower config: `vision_config`, `text_config`"""
    hidden_state: Literal["final", "before_norm"] = "final"
    """whether the reference's `last_hidden_state` is after the final norm or before it (CLIP vision, BEiT mean)"""
    pads_attended: bool = False
    """padding up to a fixed length is read like any token (SigLIP text)"""
    image_defaults: Mapping[str, Any] | None = None
    """preprocessing when the folder has no preprocessor file, in its config's own keys"""
    used_by: tuple[str, ...] = ()
    """well-known checkpoints, for docs"""
    paper: str = ""
    notes: tuple[str, ...] = ()
    """gotchas that `inspect` prints"""

    def head_among(self, names: Collection[str], architectures: Collection[str] = ()) -> HeadRow | None:
        """The classifier whose weights are among these names; None when there is none.

        Where the config says which class wrote the file (`architectures`), a head is only taken from a class that has
        it: a token classifier calls its weights `classifier` too.
        """
        rows = (() if self.head is None else (self.head,)) + self.other_heads
        if architectures:
            rows = tuple(row for row in rows if any(name.endswith(row.architectures) for name in architectures))
        return next((r for r in rows if any(rule.pattern.fullmatch(n) for rule in r.names for n in names)), None)
