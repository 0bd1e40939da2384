"""The objectives that need no labels, built from a recipe."""

from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import ImageStem, Shape
from classtoken.errors import OptionError
from classtoken.learning.data.batches import Batches
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.data.texts import Texts
from classtoken.learning.model import Network, width_of
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.contrast import SentenceContrast
from classtoken.learning.objectives.dino import Dino, MultiCrop
from classtoken.learning.objectives.masked import Masked
from classtoken.learning.recipe import Recipe

UNSUPERVISED = ("dino", "contrast", "masked")


def unsupervised(recipe: Recipe, network: Network, data: Pictures | Texts) -> Objective:
    """DINO for pictures; contrast or masked tokens for texts."""
    wanted, seed, encoder = recipe.objective, recipe.loop.seed, network.encoder
    assert is_trainable(encoder)
    if wanted.kind == "dino":
        if not isinstance(data, Pictures):
            raise OptionError("[objective] kind = 'dino' is for images; for texts there are contrast and masked.")
        return Dino(
            network,
            width_of(network.readout, encoder.hidden_size),
            prototypes=wanted.prototypes,
            student_temperature=wanted.temperature if wanted.temperature < 1 else 0.1,
            teacher_temperature=wanted.teacher_temperature,
            momentum=wanted.teacher_momentum,
            centre_momentum=wanted.centre_momentum,
            seed=seed,
        )
    if not isinstance(data, Texts):
        raise OptionError(f"[objective] kind = '{wanted.kind}' is for texts; for images there is dino.")
    if wanted.kind == "contrast":
        if not recipe.loop.dropout:
            raise OptionError(
                "[objective] kind = 'contrast' needs [loop] dropout above 0: it is what makes the two views."
            )
        return SentenceContrast(network, wanted.temperature if wanted.temperature < 1 else 0.05)
    mask = data.prepare.tokenizer.id_of("[MASK]")
    if mask is None:
        raise OptionError("[objective] kind = 'masked' needs a vocabulary with [MASK].")
    table = encoder.stem.get_submodule("token").get_parameter("weight")
    return Masked(encoder, encoder.hidden_size, len(table), mask, part=wanted.masked, seed=seed)


def views_for(recipe: Recipe, shape: Shape, data: Pictures | Texts) -> Batches:
    """Several crops of a picture for DINO; else the data as they are."""
    if recipe.objective.kind != "dino" or not isinstance(data, Pictures):
        return data
    stem = shape.stem
    assert isinstance(stem, ImageStem)
    side = recipe.objective.local_size or max(stem.patch, min(stem.image) // 2 // stem.patch * stem.patch)
    if side % stem.patch:
        raise OptionError(f"local_size = {side} is not a whole number of patches of {stem.patch} pixels.")
    wanted = recipe.objective
    return MultiCrop(data, wanted.local_crops, (side, side), stem.patch, wanted.large_crop, wanted.small_crop)
