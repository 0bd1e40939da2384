"""A training run as plain values: what `--config` reads, what the training record keeps, what a built-in ships.

A recipe is a TOML or JSON file with the tables `model` (a `Shape`), `data`, `readout`, `head`, `objective`, `augment`,
`optimiser` and `loop`; every field has a default but the model. Unknown fields are refused by name, so that a slip of
the pen does not train something else for hours.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from classtoken.encoder.shape import Shape
from classtoken.errors import OptionError
from classtoken.learning.model_table import shape_of_model
from classtoken.options import SourceOptions, TrainOptions
from classtoken.plain import AtLeastOne, Count, Limits, Misfit, decode, encode
from classtoken.results.compare import pooling_of

NotNegative = Annotated[float, Limits(ge=0)]
Positive = Annotated[float, Limits(gt=0)]
Share = Annotated[float, Limits(ge=0, le=1)]
PositiveShare = Annotated[float, Limits(gt=0, le=1)]
Rate = Annotated[float, Limits(ge=0, le=0.99)]
"""of what is dropped or smoothed: never everything"""
LearningRate = Annotated[float, Limits(ge=0, le=1e30)]
"""what a 32-bit number holds, with the factors that optimisers put before it"""
Decay = Annotated[float, Limits(ge=0, le=0.999999)]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where records come from and how they become numbers."""

    source: str | None = None
    """the SOURCE of the run that the recipe describes; the command line's wins"""
    text_column: str | None = None
    """what the column of texts is called"""
    image_column: str | None = None
    """what the column of images is called"""
    label_column: str | None = None
    """what the column of labels is called"""
    label_names: Mapping[str, str] = field(default_factory=dict)
    """what the labels of the records are to be called, as in {"0" = "negative", "1" = "positive"}: all of them, each
    with a name of its own; empty: as they are"""
    held_out: Annotated[float, Limits(ge=0, le=0.9)] = 0.1
    """part of the records on which settings are chosen and stopping is decided, the same
    part of every label; records of one group stay together"""
    limit: AtLeastOne | None = None
    """the first so many records only"""
    unlabelled: tuple[str, ...] = ()
    """further SOURCEs whose labels are not read: a teacher labels them, or the vocabulary learns from them"""
    unlabelled_text_column: str | None = None
    """what their column of texts is called; a number for a table without a header"""
    size: Count = 0
    """fine-tuning: pixels a side of the images that the MODEL is to read from now on, a whole number of its patches;
    0: as its own preprocessing says"""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """of each channel in 0..1; ImageNet's, as ViT-family checkpoints expect, unless the recipe says otherwise"""
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    """of each channel in 0..1, as `mean`"""
    text_columns: tuple[str, ...] = ()
    """pairs and similarity: the columns of a text, of its partner, and of hard negatives; left out: anchor and
    positive, sentence1 and sentence2, text1 and text2 ..., and those that begin with negative"""
    score_column: str | None = None
    """similarity: the column that says how alike the two texts are, on any scale; left out: score"""
    prompts: tuple[str, ...] = ()
    """pairs and similarity: what is put before the texts of each column: a prompt of the MODEL's by its name, or in
    words; left out: what the MODEL always does"""
    vocabulary: Annotated[int, Limits(ge=6)] = 8000
    """word pieces to learn when a text encoder starts from scratch"""
    longest: Annotated[int, Limits(ge=3)] = 64
    """tokens of a text, [CLS] and [SEP] included; the rest is cut"""

    @property
    def beside(self) -> tuple[str, ...]:
        """Columns that are learned from besides a record's text and label."""
        return (*self.text_columns[1:], *filter(None, (self.score_column,)))

    def columns(self, given: SourceOptions) -> SourceOptions:
        """The columns that were named beside the recipe, else the recipe's."""
        return replace(
            given,
            text_column=given.text_column or self.text_column,
            image_column=given.image_column or self.image_column,
            label_column=given.label_column or self.label_column,
        )


@dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """What turns the pooled vector into logits."""

    kind: Literal["linear", "cosine", "mlp", "per_token", "distilled"] = "linear"
    """`per_token`: a classifier for each class token; `distilled`: the mean of class and distillation token's"""
    hidden: Count = 0
    """hidden size of `mlp`; 0 is twice the vector's"""


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """What is minimised; each objective reads the fields that are its own."""

    kind: Literal["supervised", "distillation", "dino", "contrast", "masked", "pairs", "similarity", "clip"] = (
        "supervised"
    )
    """what is learned from: labels, a teacher's labels, two views of a picture, a text seen twice, hidden word pieces,
    texts and their partners, pairs with a score, images and their texts"""
    label_smoothing: Rate = 0.0
    """part of the target that is spread evenly over all classes"""
    class_weights: Literal["none", "balanced"] = "none"
    """whether every class weighs the same, rare or not"""
    teacher: str | tuple[str, ...] | None = None
    """distillation: a MODEL, or several, whose probabilities are averaged; one without a classifier for these labels
    gets a linear head on its frozen vectors (texts)"""
    mode: Literal["hard", "soft"] = "hard"
    """distillation: learn the teacher's label (DeiT's hard distillation) or its probabilities"""
    teacher_weight: Share = 0.5
    """part of the loss that is the teacher's"""
    temperature: Positive | None = None
    """distillation: softens both sides; contrast, pairs, similarity and dino: divides the scores; left out: 1, 0.05
    and, for dino, 0.1"""
    matryoshka: tuple[AtLeastOne, ...] = ()
    """contrast, pairs and similarity: lengths at which the beginning of a vector is to do as well as all of it"""
    teacher_temperature: Positive = 0.04
    """DINO: divides the teacher's scores; small is sharp"""
    first_teacher_temperature: Positive | None = None
    """DINO: the one that `teacher_temperature` is reached from, linearly; left out: it does not change"""
    teacher_temperature_rises: PositiveShare = 0.3
    """DINO: part of the run in which it is reached"""
    frozen_prototypes: Share = 0.0
    """DINO: part of the run, at its beginning, in which the prototypes do not learn"""
    teacher_momentum: Share = 0.996
    """DINO: how slowly the teacher follows the student, rising to 1"""
    centre_momentum: Share = 0.9
    """DINO: how slowly the centre of the teacher's scores moves"""
    prototypes: Annotated[int, Limits(ge=2)] = 256
    """DINO: outputs of the projection head"""
    local_crops: Count = 4
    """DINO: small crops of every picture, which the student alone sees"""
    local_size: Count = 0
    """DINO: pixels of a local crop; 0 is half the image, rounded to whole patches"""
    large_crop: tuple[PositiveShare, PositiveShare] = (0.4, 1.0)
    """DINO: range of the area of the two crops that the teacher sees"""
    small_crop: tuple[PositiveShare, PositiveShare] = (0.1, 0.4)
    """DINO: range of the area of a local crop"""
    masked: PositiveShare = 0.15
    """masked tokens: part of the word pieces that is hidden"""

    @property
    def teachers(self) -> tuple[str, ...]:
        """Every MODEL that is learned from: none, one or several."""
        return _several(self.teacher)


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """What happens to a training picture or text; nothing is done where a field is 0 or false."""

    pad_crop: Count = 0
    """pixels by which the picture is shifted at most, edges mirrored (the CIFAR crop)"""
    resized_crop: tuple[PositiveShare, PositiveShare] = (1.0, 1.0)
    """range of the area of a random crop that is resized to the full size"""
    zoom: tuple[Positive, Positive] = (1.0, 1.0)
    """range of the scale at which a picture is shown: above 1 a part of it, below 1 all of it and its mirror image
    around it"""
    stretch: Annotated[float, Limits(ge=1)] = 1.0
    """largest ratio by which height and width are changed against each other"""
    side: Count = 0
    """pixels a side at which pictures are kept and changed, before they are enlarged to what the encoder reads; 0: at
    that very size. Small pictures before a large encoder cost a fraction of the memory and of the time so"""
    flip: bool = False
    """half of the pictures mirrored left to right"""
    randaugment: Count = 0
    """operations per picture (RandAugment, Cubuk et al. 2020)"""
    magnitude: Share = 0.3
    """the largest strength of RandAugment's operations"""
    colour: Share = 0.0
    """largest change of brightness, contrast and saturation, each drawn for itself"""
    grey: Share = 0.0
    """part of the pictures whose colours are taken away"""
    mixup: NotNegative = 0.0
    """alpha of mixup's Beta distribution (Zhang et al. 2018)"""
    cutmix: NotNegative = 0.0
    """alpha of CutMix's Beta distribution (Yun et al. 2019)"""
    cutout: Count = 0
    """side in pixels of a grey square"""
    drop_words: Share = 0.0
    """part of a text's word pieces replaced by the unknown token"""


@dataclass(frozen=True, kw_only=True)
class OptimiserOptions:
    """How weights are moved."""

    kind: Literal["adamw", "sgd", "muon"] = "adamw"
    """how gradients become steps"""
    learning_rate: LearningRate = 1e-3
    """the highest"""
    matrix_learning_rate: LearningRate = 0.02
    """muon: of the matrices inside the blocks and the convolutions; the rest learns with AdamW at `learning_rate`"""
    weight_decay: NotNegative = 0.05
    """of matrices and kernels only"""
    final_weight_decay: NotNegative | None = None
    """the one at the end, reached by a cosine (DINO: 0.04 to 0.4); left out: it does not change"""
    momentum: Share = 0.9
    """of sgd and muon"""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """of adamw"""
    layer_decay: PositiveShare = 1.0
    """factor on the learning rate per block away from the head (fine-tuning)"""
    warmup: Share = 0.05
    """part of all steps in which the learning rate rises"""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """how the rate falls after the warm-up"""
    final: Share = 0.01
    """the learning rate at the end, as part of the highest"""
    clip: NotNegative = 1.0
    """largest norm of the gradient; 0 is no limit"""


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How long, how much at once, how safely."""

    epochs: Positive = 10.0
    """passes over the records"""
    least_steps: Count = 0
    """steps that are taken at least: of few records, epochs alone are few steps"""
    batch: AtLeastOne = 128
    """records of one step"""
    accumulate: AtLeastOne = 1
    """parts of a batch computed one after another, their gradients summed"""
    seed: Count = 0
    """of everything that is drawn"""
    precision: Literal["fp32", "bf16"] = "fp32"
    """numbers that are computed in; fp32 in any case on a processor that does not multiply bf16"""
    ema: Decay = 0.0
    """decay of the moving average of the weights; 0 keeps none"""
    drop_path: Rate = 0.0
    """chance that a block's half is left out, rising over the blocks (stochastic depth)"""
    dropout: Rate = 0.0
    """part of the numbers that is set to 0"""
    evaluate_every: Positive = 1.0
    """epochs between two evaluations on the held-out part"""
    patience: Count = 0
    """evaluations without a better metric before stopping; 0 never stops early"""
    checkpoint_seconds: NotNegative = 60.0
    """a checkpoint is written after so many"""
    checkpoint_steps: Count = 0
    """also after every so many steps; 0 leaves it to the clock"""
    metric: str | None = None
    """the held-out score that chooses; left out: accuracy, or mean average precision with several labels a record, and
    for a linear head on frozen vectors the loss. Others: macro_f1, loss, exact_match and label_accuracy (several
    labels), guessed (masked), top_match (pairs, clip), spearman (similarity)"""
    recompute: bool = False
    """the states inside blocks are computed again in the backward pass and not kept: the same numbers, less memory, a
    third more time (gradient checkpointing)"""
    keep: Literal["best", "last"] = "best"
    """whose weights are written at the end: those of the best evaluation, or the last step's"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run; equal recipes on the same records give the same weights on the CPU."""

    model: Mapping[str, Any] | None = None
    """an `encoder.Shape` as plain values; None when an existing MODEL is trained further"""
    about: str = ""
    """a sentence for the card"""
    start: str | tuple[str, ...] | None = None
    """a MODEL or training folder whose encoder weights are taken to begin with; of several the mean"""
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

    @property
    def starts(self) -> tuple[str, ...]:
        """Every MODEL that is begun with: none, one or several."""
        return _several(self.start)

    @classmethod
    def from_file(cls, path: Path | str) -> "Recipe":
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
            raise OptionError(
                f"the recipe '{path}' cannot be read: {error.strerror}. Give an existing file."
            ) from error
        except ValueError as error:
            raise OptionError(f"the recipe '{path}' is not valid {path.suffix[1:].upper()}: {error}.") from error
        return cls.from_dict(plain, path.name)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str = "recipe") -> "Recipe":
        """A recipe from plain values. Unknown fields, wrong types and numbers out of range raise `OptionError`."""
        try:
            recipe = decode(plain, cls, where)
        except Misfit as error:
            raise OptionError(f"{error}.") from error
        check_recipe(recipe, where)
        return recipe

    def shape(self, where: str = "recipe") -> Shape:
        """The table `model` as the encoder that it describes. Raises `OptionError` for what cannot be trained."""
        if self.model is None:
            raise OptionError(
                "training from scratch needs a [model] table in the recipe; or name a model to train further."
            )
        return shape_of_model(self.model, f"{where}.model")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse, and checks them."""
        plain: dict[str, Any] = encode(self)
        return plain

    def essence(self) -> dict[str, Any]:
        """What decides the weights: fields that differ from their defaults, but not where records lie or how often
        a checkpoint is written. A field added later, left at its default, does not change it."""
        changed = _changed(self.to_dict(), Recipe().to_dict())
        for table, name in (("data", "source"), ("loop", "checkpoint_seconds"), ("loop", "checkpoint_steps")):
            changed.get(table, {}).pop(name, None)
        changed.pop("about", None)
        return changed


GRID_STEPS = 1000
"""of heads that are learned step by step on frozen vectors, where nothing else is said"""
VECTORS = ("contrast", "masked", "pairs", "similarity", "clip")
"""objectives that train an encoder and its vectors, and no head"""
PARTNERED = ("pairs", "similarity")
"""those that learn from texts and their partners"""


def templates() -> dict[str, str]:
    """Complete recipes to begin from, by name: TOML with comments. Two from scratch, one for images and one for texts,
    and one for a head on frozen vectors."""
    files = (resources.files("classtoken.learning") / "templates").iterdir()
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


def check_recipe(recipe: Recipe, where: str = "recipe") -> None:
    """Raise `OptionError` for values that fit alone and not together, before any tensor is made."""
    ranges = {
        "objective.large_crop": recipe.objective.large_crop,
        "objective.small_crop": recipe.objective.small_crop,
        "augment.resized_crop": recipe.augment.resized_crop,
        "augment.zoom": recipe.augment.zoom,
    }
    for name, (low, high) in ranges.items():
        if low > high:
            raise OptionError(f"{where}.{name} must rise, the smaller number first, not [{low:g}, {high:g}].")
    if recipe.model is not None:
        recipe.shape(where)


def _several(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names or ()


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


def recipe_of(options: TrainOptions) -> Recipe:
    """The recipe of a training: that of the options with the values that were given beside it, checked as a whole.

    Fine-tuning without a recipe takes the usual small rates: AdamW at 3e-4, layer decay 0.75, 10 epochs, dropped paths
    0.1, an average of the weights, and for images crops, flips and two operations of RandAugment. Vectors are trained
    (`VECTORS`) with AdamW at 2e-5, one epoch, dropout 0.1.
    """
    given = options.recipe
    if given is None:
        moves = _contrasting if options.objective in VECTORS else _finetuning if options.unfreeze else None
        recipe = Recipe() if moves is None else moves(options.augment)
        if moves is None and options.epochs is None and options.head in ("cosine", "mlp"):
            recipe = replace(recipe, loop=replace(recipe.loop, least_steps=GRID_STEPS))
    else:
        recipe = Recipe.from_dict(given) if isinstance(given, Mapping) else Recipe.from_file(given)
    kind = "distillation" if options.teacher else options.objective
    weights = None if options.balanced is None else "balanced" if options.balanced else "none"
    changes: dict[str, Mapping[str, Any]] = {
        "head": {"kind": options.head},
        "data": {"held_out": options.held_out, "unlabelled": options.unlabelled or None, "limit": options.limit},
        "objective": {
            "class_weights": weights,
            "teacher": options.teacher[0] if len(options.teacher) == 1 else options.teacher or None,
            "kind": kind,
        },
        "optimiser": {"learning_rate": options.learning_rate, "layer_decay": options.layer_decay},
        "loop": {name: getattr(options, name) for name in ("epochs", "batch", "seed", "precision", "patience")},
        "": {"pooling": pooling_of(options.pooling), "unfreeze": options.unfreeze},
    }
    plain = recipe.to_dict()
    for table, values in changes.items():
        (plain[table] if table else plain).update({k: v for k, v in values.items() if v is not None})
    return Recipe.from_dict(plain)


def _contrasting(augment: bool) -> Recipe:
    """What a MODEL whose vectors are trained does when no recipe says otherwise: the rates of sentence-transformers."""
    pictures = AugmentOptions(resized_crop=(0.8, 1.0), flip=True) if augment else AugmentOptions()
    return Recipe(
        augment=pictures,
        optimiser=OptimiserOptions(
            learning_rate=2e-5, weight_decay=0.01, warmup=0.1, schedule="linear", final=0.0, betas=(0.9, 0.999)
        ),
        loop=LoopOptions(epochs=1, batch=64, dropout=0.1),
    )


def _finetuning(augment: bool) -> Recipe:
    """What fine-tuning does when no recipe says otherwise."""
    pictures = AugmentOptions(resized_crop=(0.4, 1.0), flip=True, randaugment=2) if augment else AugmentOptions()
    return Recipe(
        augment=pictures,
        optimiser=OptimiserOptions(learning_rate=3e-4, layer_decay=0.75, warmup=0.1),
        loop=LoopOptions(epochs=10, batch=32, drop_path=0.1, ema=0.99),
    )
