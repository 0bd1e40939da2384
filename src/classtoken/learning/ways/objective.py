"""What a recipe minimises, and what its steps see."""

from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import ImageStem
from classtoken.errors import OptionError
from classtoken.learning.data.batches import Batches
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.texts import Texts
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.model import Network, width_of
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.contrast import SentenceContrast
from classtoken.learning.objectives.dino import Dino, DinoSchedule, MultiCrop
from classtoken.learning.objectives.distillation import Distillation, precomputed, precomputed_several
from classtoken.learning.objectives.masked import MaskedTokens
from classtoken.learning.objectives.supervised import Supervised, class_weights
from classtoken.learning.recipe import LoopOptions, ObjectiveOptions
from classtoken.learning.ways.teacher import ImageTeacher

UNSUPERVISED = ("dino", "contrast", "masked")


def objective_for(
    wanted: ObjectiveOptions, network: Network, rows: TrainingSet, options: LoopOptions, device: str
) -> Objective:
    """The objective of a network on these rows."""
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
    if wanted.teacher is None:
        raise OptionError("[objective] kind = 'distillation' needs a teacher: the name of a MODEL.")
    teach = precomputed_several if rows.several else precomputed
    if isinstance(rows.data, Pictures):
        teach = ImageTeacher(wanted.teacher, rows.labels, rows.data.mean, rows.data.std, device)
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
    return SentenceContrast(network, 0.05 if wanted.temperature is None else wanted.temperature, paired=False)


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
