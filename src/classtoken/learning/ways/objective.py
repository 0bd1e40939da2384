"""What a recipe minimises, and what its steps see."""

from collections.abc import Sequence

from torch import Tensor

from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import ImageStem
from classtoken.errors import OptionError
from classtoken.learning.data.batches import Batches
from classtoken.learning.data.labels import Labelling, labelling_where
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.texts import Texts
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.model import Network, width_of
from classtoken.learning.objectives.base import Objective, known_metric
from classtoken.learning.objectives.contrast import SentenceContrast
from classtoken.learning.objectives.dino import Dino, DinoSchedule, MultiCrop
from classtoken.learning.objectives.distillation import Distillation, precomputed, precomputed_several
from classtoken.learning.objectives.masked import MaskedTokens
from classtoken.learning.objectives.similarity import ScoredPairs
from classtoken.learning.objectives.supervised import Supervised, class_weights
from classtoken.learning.recipe import VECTORS, LoopOptions, ObjectiveOptions
from classtoken.learning.ways.teacher import ImageTeacher, ImageTeachers
from classtoken.values import Record

UNSUPERVISED = ("dino", *VECTORS)
"""objectives that need no labels, and train no head"""


def labels_for(kind: str, records: Sequence[Record]) -> tuple[Labelling, Tensor | None]:
    """The labels, and the targets; none where nothing is learned or measured with labels."""
    found, targets = labelling_where(records, needed=kind not in UNSUPERVISED)
    return found, None if kind in VECTORS else targets


def objective_for(
    wanted: ObjectiveOptions, network: Network, rows: TrainingSet, options: LoopOptions, device: str
) -> Objective:
    """The objective of a network on these rows, and the score that chooses."""
    objective = _objective(wanted, network, rows, options, device)
    objective.chosen = known_metric(objective.metrics, options.metric)
    return objective


def _objective(
    wanted: ObjectiveOptions, network: Network, rows: TrainingSet, options: LoopOptions, device: str
) -> Objective:
    match wanted.kind:
        case "supervised":
            balanced = wanted.class_weights == "balanced"
            weights = class_weights(rows.targets[rows.learned], len(rows.labels)) if balanced else None
            return Supervised(network, rows.task, smoothing=wanted.label_smoothing, weights_C=weights)
        case "distillation":
            return _distillation(wanted, network, rows, device)
        case "dino":
            return _dino(wanted, network, rows, options.seed)
        case "contrast":
            return _contrast(wanted, network, rows, options.dropout)
        case "masked":
            return _masked(wanted, network, rows, options.seed)
        case "pairs":
            _check_lengths(wanted, network)
            return SentenceContrast(network, _divisor(wanted), matryoshka=wanted.matryoshka)
        case "similarity":
            _check_lengths(wanted, network)
            return ScoredPairs(network, _divisor(wanted), matryoshka=wanted.matryoshka)
        case "clip":
            raise OptionError(
                "[objective] kind = 'clip' is for a model of images and texts, and this one has one side."
            )


def views_for(wanted: ObjectiveOptions, network: Network, data: Batches) -> Batches:
    """Several crops of a picture for DINO; else the data as they are."""
    if wanted.kind != "dino" or not isinstance(data, Pictures):
        return data
    assert is_trainable(network.encoder)
    stem = network.encoder.shape.stem
    assert isinstance(stem, ImageStem)
    side = wanted.local_size or max(stem.patch, min(stem.image) // 2 // stem.patch * stem.patch)
    if side % stem.patch:
        raise OptionError(f"local_size = {side} is not a whole number of patches of {stem.patch} pixels.")
    return MultiCrop(data, wanted.local_crops, (side, side), stem.patch, wanted.large_crop, wanted.small_crop)


def _distillation(wanted: ObjectiveOptions, network: Network, rows: TrainingSet, device: str) -> Objective:
    if not wanted.teachers:
        raise OptionError("[objective] kind = 'distillation' needs a teacher: the name of a MODEL.")
    teach = precomputed_several if rows.several else precomputed
    if isinstance(rows.data, Pictures):
        mean, std = rows.data.mean, rows.data.std
        members = [ImageTeacher(model, rows.labels, mean, std, device) for model in wanted.teachers]
        teach = ImageTeachers(members, rows.task)
    return Distillation(
        network,
        teach,
        mode=wanted.mode,
        weight=wanted.teacher_weight,
        temperature=1.0 if wanted.temperature is None else wanted.temperature,
        smoothing=wanted.label_smoothing,
        task=rows.task,
    )


def _dino(wanted: ObjectiveOptions, network: Network, rows: TrainingSet, seed: int) -> Objective:
    if not isinstance(rows.data, Pictures):
        raise OptionError("[objective] kind = 'dino' is for images; for texts there are contrast and masked.")
    assert is_trainable(network.encoder)
    return Dino(
        network,
        width_of(network.readout, network.encoder.hidden_size),
        prototypes=wanted.prototypes,
        student_temperature=0.1 if wanted.temperature is None else wanted.temperature,
        teacher_temperature=wanted.teacher_temperature,
        momentum=wanted.teacher_momentum,
        centre_momentum=wanted.centre_momentum,
        seed=seed,
        labelled=rows.data.targets is not None,
        schedule=DinoSchedule(
            wanted.first_teacher_temperature, wanted.teacher_temperature_rises, wanted.frozen_prototypes
        ),
    )


def _contrast(wanted: ObjectiveOptions, network: Network, rows: TrainingSet, dropout: float) -> Objective:
    _texts_only(wanted, rows)
    if not dropout:
        raise OptionError("[objective] kind = 'contrast' needs [loop] dropout above 0: it is what makes the two views.")
    _check_lengths(wanted, network)
    return SentenceContrast(network, _divisor(wanted), paired=False, matryoshka=wanted.matryoshka)


def _divisor(wanted: ObjectiveOptions) -> float:
    return 0.05 if wanted.temperature is None else wanted.temperature


def _check_lengths(wanted: ObjectiveOptions, network: Network) -> None:
    assert is_trainable(network.encoder)
    size = width_of(network.readout, network.encoder.hidden_size)
    if any(length >= size for length in wanted.matryoshka):
        lengths = ", ".join(map(str, wanted.matryoshka))
        raise OptionError(f"[objective] matryoshka = {lengths}: give lengths below the vector's own, {size}.")


def _masked(wanted: ObjectiveOptions, network: Network, rows: TrainingSet, seed: int) -> Objective:
    mask = _texts_only(wanted, rows).prepare.tokenizer.id_of("[MASK]")
    if mask is None:
        raise OptionError("[objective] kind = 'masked' needs a vocabulary with [MASK].")
    encoder = network.encoder
    assert is_trainable(encoder)
    table = encoder.stem.get_submodule("token").get_parameter("weight")
    return MaskedTokens(encoder, encoder.hidden_size, len(table), mask, part=wanted.masked, seed=seed)


def _texts_only(wanted: ObjectiveOptions, rows: TrainingSet) -> Texts:
    if not isinstance(rows.data, Texts):
        raise OptionError(f"[objective] kind = '{wanted.kind}' is for texts; for images there is dino.")
    return rows.data
