"""A family is a row of data: config -> shape, names on disk, the authors' readout, and the heads that may come with it.

Nothing outside `encoder/families` may ask for a family by name; what a family does differently is a value in its row.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from classtoken.encoder.names import Rename
from classtoken.encoder.shape import Shape
from classtoken.model_folder import changed
from classtoken.values import NO_DEFAULTS, InputDefaults

Config = Mapping[str, Any]


def complete(config: Config, defaults: Config) -> dict[str, Any]:
    """The config, and where its file is silent what the reference assumes: published files leave values out.

    Raises `TypeError` for a flag that is neither true nor false: the text "false" would count as true.
    """
    plain = dict(config)  # asks for nothing
    for key, usual in defaults.items():
        if isinstance(usual, bool) and isinstance(plain.get(key), str | list | dict):
            raise TypeError(f"{key} must be true or false, not {plain[key]!r}")
    return changed(config, defaults, under=True)


def respelled(config: Config, spelling: Mapping[str, str]) -> dict[str, Any]:
    """The config with the values of old keys under their new names too; `spelling` is old -> new."""
    return changed(config, {new: config[old] for old, new in spelling.items() if config.get(old) is not None})


@dataclass(frozen=True)
class Note:
    """A gotcha that concerns some checkpoints of a family: those with a `pooler`, with a `classifier`, or whose config
    `when` takes; `none` concerns no checkpoint by itself and stands in docs alone."""

    says: str
    of: Literal["all", "pooler", "classifier", "none"] = "all"
    when: Callable[[Config], bool] = lambda config: True

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True, kw_only=True)
class PoolerRow:
    """The checkpoint's own pooled output. `names` are its weights on disk, without the base model's prefix."""

    kind: str
    """its formula, one of `readout.own.FORMULAS`; "none": there is no such output"""
    token: Literal["cls", "last", "end"] = "cls"
    """which state it reads: the class token's, the last position's (SigLIP's text), or the END token's (CLIP's text)"""
    names: tuple[Rename, ...] = ()
    """names on disk -> names in the formula's module, see `readout.own`"""
    activation: str = "tanh"
    """of `tanh`: the function"""
    bias: bool = True
    """of `dense`"""
    reduce: Literal["mean", "max", "mean_max", "cls"] = "mean"
    """of `pooled`: what is done to the tokens; `mean_max` is the mean of mean and max (timm's avgmax)"""
    every_token: bool = False
    """of `pooled` and `map`: class tokens and registers are pooled with the patches"""
    heads: int | None = None
    """of `map`: its attention heads, where they are not the encoder's"""
    optional: bool = True
    """checkpoints of this family are often published without these weights"""


@dataclass(frozen=True, kw_only=True)
class HeadRow:
    """A classifier that a checkpoint may carry: one matrix, or a dense layer, an activation and a norm before it.

    `names` -> names in `readout.classifier.PublishedHead`: `output`, and where there are such `dense`, `norm`, and
    `distillation` for a second matrix on the distillation token.
    """

    reads: str | Callable[[Config], str]
    """the pooling that feeds it; where the config chooses (ModernBERT's classifier_pooling), a function of it"""
    names: tuple[Rename, ...]
    activation: str = "gelu"
    norm: bool = False
    """a norm between the dense layer and the output (ModernBERT)"""
    architectures: tuple[str, ...] = ()
    """endings of the class names in `architectures` of config.json that carry this head"""

    def pooling(self, config: Config) -> str:
        """The pooling that feeds it in a checkpoint with this config."""
        return self.reads if isinstance(self.reads, str) else self.reads(config)

    @property
    def linear(self) -> bool:
        """One matrix and nothing else."""
        return all(target.startswith("output.") for rule in self.names for target in rule.targets)


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
    unsettled: str = ""
    """why the vector is only given where a file says which it is, or a pooling is named"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One row of the table: every value of this class at the top of a module of this folder is in it."""

    name: str
    types: tuple[str, ...]
    """`model_type` in config.json"""
    modality: Literal["text", "image"]
    shape: Callable[[Config], Shape]
    names: tuple[Rename, ...]
    """names on disk (Hugging Face), without the base model's prefix"""
    readout: AuthorsReadout | Callable[[Config], AuthorsReadout]
    reads: Callable[[Config], bool] = lambda config: True
    """whether it reads a config of its types; another one is left to transformers"""
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
    inputs: InputDefaults | Callable[[Config], InputDefaults] = NO_DEFAULTS
    """how inputs are prepared where the folder's files are silent"""
    config: Callable[[Shape], dict[str, Any] | None] | None = None
    """the inverse of `shape`, for encoders that are trained here: the config of which it makes this very shape"""
    published: Mapping[str, Any] = field(default_factory=dict)
    """what the published configs say where the config class assumes something else; for docs"""
    tokens: str = ""
    """the tokens of a text in words, where the tokenizer does not put a class token in front and an end token behind"""
    code: tuple[str, ...] = ()
    """classes of the authors' own that `auto_map` may name and whose computation this row is"""
    harmless: frozenset[str] = frozenset()
    """keys of its config, besides `contract.harmless`, that move no vector"""
    used_by: tuple[str, ...] = ()
    """well-known checkpoints, for docs"""
    paper: str = ""
    notes: tuple[str | Note, ...] = ()
    """gotchas that `inspect` prints, those about parts that a checkpoint may lack as `Note`"""

    def authors_readout(self, config: Config) -> AuthorsReadout:
        """The vector that the authors of a checkpoint with this config meant."""
        return self.readout if isinstance(self.readout, AuthorsReadout) else self.readout(config)

    def pooler_row(self, config: Config) -> PoolerRow:
        """The pooled output of a checkpoint with this config."""
        return self.pooler if isinstance(self.pooler, PoolerRow) else self.pooler(config)

    def input_defaults(self, config: Config) -> InputDefaults:
        """How inputs are prepared for a checkpoint with this config, where its files are silent."""
        return self.inputs if isinstance(self.inputs, InputDefaults) else self.inputs(config)

    def head_among(self, names: Collection[str], architectures: Collection[str] = ()) -> HeadRow | None:
        """The classifier whose weights are among these names; None when there is none.

        Where the config says which class wrote the file (`architectures`), a head is only taken from a class that has
        it: a token classifier calls its weights `classifier` too.
        """
        rows = (() if self.head is None else (self.head,)) + self.other_heads
        if architectures:
            rows = tuple(row for row in rows if any(name.endswith(row.architectures) for name in architectures))
        return next((r for r in rows if any(rule.pattern.fullmatch(n) for rule in r.names for n in names)), None)


@dataclass(frozen=True, kw_only=True)
class FamilyPair:
    """Two rows whose vectors meet in one space; `types` is the `model_type` of a file that holds both."""

    types: tuple[str, ...]
    image: Family
    text: Family
