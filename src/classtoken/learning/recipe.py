"""A training run as plain values: what `--config` reads, what the training record keeps, what a built-in ships.

A recipe is a TOML or JSON file with the tables `model` (a `Shape`), `data`, `readout`, `head`, `objective`, `augment`,
`optimiser` and `loop`; every field has a default but the model. Unknown fields are refused by name, so that a slip of
the pen does not train something else for hours.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from classtoken.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where records come from and how they become numbers."""

    source: str | None = None
    """the SOURCE of the run that the recipe describes; the command line's wins"""
    text_column: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)
    """what the labels of the records are to be called, as in {"0" = "negative", "1" = "positive"}: all of them, each
    with a name of its own; empty: as they are"""
    held_out: float = 0.1
    """part of the records on which settings are chosen and stopping is decided, stratified by label"""
    limit: int | None = None
    unlabelled: tuple[str, ...] = ()
    """further SOURCEs whose labels are not looked at: a teacher labels them, or the vocabulary learns from them"""
    unlabelled_text_column: str | None = None
    """what their column of texts is called; a number for a table without a header"""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """of each channel in 0..1; ImageNet's, as ViT-family checkpoints expect, unless the recipe says otherwise"""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    vocabulary: int = 8000
    """word pieces to learn when a text encoder starts from scratch"""
    longest: int = 64
    """tokens of a text, [CLS] and [SEP] included; the rest is cut"""


@dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """What turns the pooled vector into logits."""

    kind: Literal["linear", "cosine", "mlp", "per_token", "distilled"] = "linear"
    hidden: int = 0
    """hidden size of `mlp`; 0 is twice the vector's"""


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """What is minimised; each objective reads the fields that are its own."""

    kind: Literal["supervised", "distillation", "dino", "contrast", "masked"] = "supervised"
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    teacher: str | None = None
    """distillation: a MODEL; one without a classifier for these labels gets a linear head on its frozen vectors"""
    mode: Literal["hard", "soft"] = "hard"
    """distillation: learn the teacher's label (DeiT's hard distillation) or its probabilities"""
    teacher_weight: float = 0.5
    temperature: float = 1.0
    """distillation: softens both sides; contrast and dino: divides the student's scores"""
    teacher_temperature: float = 0.04
    teacher_momentum: float = 0.996
    centre_momentum: float = 0.9
    prototypes: int = 256
    """DINO: outputs of the projection head"""
    local_crops: int = 4
    local_size: int = 0
    """DINO: pixels of a local crop; 0 is half the image, rounded to whole patches"""
    large_crop: tuple[float, float] = (0.4, 1.0)
    """DINO: range of the area of the two crops that the teacher sees"""
    small_crop: tuple[float, float] = (0.1, 0.4)
    """DINO: range of the area of a local crop"""
    masked: float = 0.15
    """masked tokens: part of the word pieces that is hidden"""


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """What happens to a training picture or text; nothing is done where a field is 0 or false."""

    pad_crop: int = 0
    """pixels by which the picture is shifted at most, edges mirrored (the CIFAR crop)"""
    resized_crop: tuple[float, float] = (1.0, 1.0)
    """range of the area of a random crop that is resized to the full size"""
    flip: bool = False
    randaugment: int = 0
    """operations per picture (RandAugment, Cubuk et al. 2020)"""
    magnitude: float = 0.3
    colour: float = 0.0
    """largest change of brightness, contrast and saturation, each drawn for itself"""
    grey: float = 0.0
    """part of the pictures whose colours are taken away"""
    mixup: float = 0.0
    """alpha of mixup's Beta distribution (Zhang et al. 2018)"""
    cutmix: float = 0.0
    """alpha of CutMix's Beta distribution (Yun et al. 2019)"""
    cutout: int = 0
    """side in pixels of a grey square"""
    drop_words: float = 0.0
    """part of a text's word pieces replaced by the unknown token"""


@dataclass(frozen=True, kw_only=True)
class OptimiserOptions:
    """How weights are moved."""

    kind: Literal["adamw", "sgd", "muon"] = "adamw"
    learning_rate: float = 1e-3
    matrix_learning_rate: float = 0.02
    """muon: of the matrices inside the blocks and the convolutions; the rest learns with AdamW at `learning_rate`"""
    weight_decay: float = 0.05
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    layer_decay: float = 1.0
    """factor on the learning rate per block away from the head (fine-tuning)"""
    warmup: float = 0.05
    """part of all steps in which the learning rate rises"""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final: float = 0.01
    """the learning rate at the end, as part of the highest"""
    clip: float = 1.0
    """largest norm of the gradient; 0 is no limit"""


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How long, how much at once, how safely."""

    epochs: float = 10.0
    batch: int = 128
    accumulate: int = 1
    """parts of a batch computed one after another, their gradients summed"""
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    ema: float = 0.0
    """decay of the moving average of the weights; 0 keeps none"""
    drop_path: float = 0.0
    dropout: float = 0.0
    evaluate_every: float = 1.0
    """epochs between two looks at the held-out part"""
    patience: int = 0
    """looks without a better metric before stopping; 0 never stops early"""
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int = 0
    """also after every so many steps; 0 leaves it to the clock"""
    keep: Literal["best", "last"] = "best"
    """whose weights are written at the end: those of the best look, or the last step's"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run; equal recipes on the same records give the same weights on the CPU."""

    model: Mapping[str, Any] | None = None
    """an `encoder.Shape` as plain values; None when an existing MODEL is trained further"""
    about: str = ""
    start: str | None = None
    """a MODEL or training folder whose encoder weights are taken to begin with"""
    unfreeze: str = ""
    """which blocks of an existing MODEL learn: all, or last-N; empty: none, only a head on its frozen vectors"""
    pooling: str = ""
    """what is pooled; empty: what the MODEL's authors meant, and the class token from scratch"""
    head: HeadOptions = field(default_factory=HeadOptions)
    data: DataOptions = field(default_factory=DataOptions)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    loop: LoopOptions = field(default_factory=LoopOptions)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `recipe_from_dict` is the inverse."""
        return asdict(self)

    def essence(self) -> dict[str, Any]:
        """What decides the weights: fields that differ from their defaults, but not where records lie or how often
        a checkpoint is written. A field added later, left at its default, does not change it."""
        changed = _changed(asdict(self), asdict(Recipe()))
        for table, name in (("data", "source"), ("loop", "checkpoint_seconds"), ("loop", "checkpoint_steps")):
            changed.get(table, {}).pop(name, None)
        changed.pop("about", None)
        return changed


def _changed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        default = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            inner = _changed(value, default)
            if inner:
                found[name] = inner
        elif value != default:
            found[name] = value
    return found


_TABLES = {
    "head": HeadOptions,
    "data": DataOptions,
    "objective": ObjectiveOptions,
    "augment": AugmentOptions,
    "optimiser": OptimiserOptions,
    "loop": LoopOptions,
}


def recipe_from_dict(plain: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """A recipe from plain values; unknown fields raise `OptionError` naming them and the known ones."""
    values = dict(plain)
    for name, kind in _TABLES.items():
        if name in values:
            values[name] = _strict(kind, values[name], f"[{name}] of {where}")
    return _strict(Recipe, values, where)


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe from a .toml or .json file."""
    path = Path(path)
    try:
        if path.suffix == ".toml":
            plain = tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".json":
            plain = json.loads(path.read_text(encoding="utf-8"))
        else:
            raise OptionError(f"the recipe '{path}' is neither .toml nor .json; rename it to say which it is.")
    except OSError as error:
        raise OptionError(f"the recipe '{path}' cannot be read: {error.strerror}. Give an existing file.") from error
    except ValueError as error:
        raise OptionError(f"the recipe '{path}' is not valid {path.suffix[1:].upper()}: {error}.") from error
    return recipe_from_dict(plain, f"'{path}'")


def _strict(kind: type, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise OptionError(f"{where} must be a table of fields, not {values!r}.")
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise OptionError(f"{where} has no field {', '.join(unknown)}. It has {', '.join(sorted(known))}.")
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    for name, value in given.items():
        _check(known[name].type, name, value, where)
    return kind(**given)


def _check(kind: Any, name: str, value: Any, where: str) -> None:
    """Numbers must be numbers, and a choice one of its words."""
    choices = getattr(kind, "__args__", ()) if getattr(kind, "__origin__", None) is Literal else ()
    if choices and value not in choices:
        raise OptionError(f"{where}: {name} = {value!r} is not one of {', '.join(map(str, choices))}.")
    many = str(kind).startswith("tuple[float")
    if many and not (isinstance(value, tuple) and all(isinstance(v, (int, float)) for v in value)):
        raise OptionError(f"{where}: {name} = {value!r} is not a list of numbers, as in [0.5, 0.5, 0.5].")
    if str(kind).startswith("tuple[str") and not (isinstance(value, tuple) and all(isinstance(v, str) for v in value)):
        raise OptionError(f"{where}: {name} = {value!r} is not a list of texts.")
    if name == "label_names" and not (isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values())):
        raise OptionError(f"{where}: {name} = {value!r} is not a table of old and new names of labels.")
    if kind in (int, float) and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise OptionError(f"{where}: {name} = {value!r} is not a number.")
    if kind is int and isinstance(value, float):
        raise OptionError(f"{where}: {name} = {value!r} is not a whole number.")
    if kind is bool and not isinstance(value, bool):
        raise OptionError(f"{where}: {name} = {value!r} is neither true nor false.")
