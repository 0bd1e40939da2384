"""Which encoders a checkpoint holds: one, or the two of an image-text model; native, or foreign."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from classtoken.encoder.checkpoint import Checkpoint, LoadedEncoder, check_finite, fill, load_encoder
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families.open_clip import image_side, is_open_clip, text_side
from classtoken.encoder.families.row import Family
from classtoken.encoder.families.table import PAIRS, family_of
from classtoken.encoder.families.timm_config import is_timm, timm_config
from classtoken.encoder.families.timm_table import timm_family
from classtoken.encoder.foreign.files import load_foreign
from classtoken.encoder.locate import no_model
from classtoken.encoder.shape import ImageStem, Shape, shape_from_dict
from classtoken.encoder.words import is_word_table, load_word_table
from classtoken.errors import ModelError
from classtoken.model_folder import changed, whole
from classtoken.plain import decode, encode
from classtoken.remembered import remembered

#: `model_type` of encoders that classtoken trained itself in a shape that no family of another library has.
OWN_TYPE = "classtoken"


@dataclass(frozen=True)
class LoadedTower:
    """One encoder with its weights, the config that describes it, and what the file holds outside of it."""

    modality: Literal["text", "image"]
    config: Mapping[str, Any]
    loaded: LoadedEncoder


def load_towers(checkpoint: Checkpoint) -> tuple[LoadedTower, ...]:
    """Every encoder of a checkpoint, the image side first. Raises the `ModelError`s of `checkpoint.py`.

    Of two sides that meet in one space, the temperature and bias of their similarity stand in `loaded.rest` of both
    (`logit_scale`, `logit_bias`). That all weights are finite is seen once for files that stay as they are.
    """
    towers = _towers(checkpoint)

    def finite() -> dict[str, bool]:
        for tower in towers:
            check_finite(tower.loaded.encoder, str(checkpoint.folder))
        return {"finite": True}

    remembered(f"finite {checkpoint.weights.stamp}", finite)
    return towers


def _towers(checkpoint: Checkpoint) -> tuple[LoadedTower, ...]:
    if checkpoint.model_type == OWN_TYPE:
        return (_own(checkpoint),)
    if is_word_table(checkpoint):
        return (LoadedTower("text", checkpoint.config, load_word_table(checkpoint)),)
    if not checkpoint.config:
        raise ModelError(no_model(checkpoint.folder))
    rows = rows_of(checkpoint)
    if rows:
        shapes = [_shape(checkpoint, family, config) for family, config in rows]
        weights = checkpoint.weights.read()
        return tuple(
            LoadedTower(family.modality, config, load_encoder(weights, family, shape, config, str(checkpoint.folder)))
            for (family, config), shape in zip(rows, shapes, strict=True)
        )
    foreign = load_foreign(checkpoint)
    configs = [checkpoint.config if len(foreign) == 1 else one.encoder.config.to_dict() for _, one in foreign]
    return tuple(
        LoadedTower(modality, config, loaded) for (modality, loaded), config in zip(foreign, configs, strict=True)
    )


def _shape(checkpoint: Checkpoint, family: Family, config: Mapping[str, Any]) -> Shape:
    """The row's shape of a config; one line for a config that lacks something or holds a value of another type."""
    try:
        shape = family.shape(config)
        return decode(encode(shape), Shape, "shape")  # sizes and numbers are taken from the file as they are
    except KeyError as error:
        raise ModelError(
            f"the config of '{checkpoint.folder}' ({family.name}) lacks {error}. Copy it again."
        ) from error
    except (AttributeError, TypeError, ValueError, ArithmeticError, IndexError) as error:
        why = str(error).splitlines()[0]
        raise ModelError(
            f"the config of '{checkpoint.folder}' ({family.name}) holds a value that cannot be: {why}; copy it anew."
        ) from error


def rows_of(checkpoint: Checkpoint) -> tuple[tuple[Family, Mapping[str, Any]], ...]:
    """The row and the config of every encoder that is read natively; none for a foreign model."""
    config = checkpoint.config
    if is_open_clip(config):
        image, own = image_side(config["model_cfg"])
        if is_timm(own):
            own = timm_config(own, _sizes(checkpoint, image))
        return (image, own), text_side(config["model_cfg"])
    if is_timm(config):
        family = timm_family(config)
        return ((family, timm_config(config, _sizes(checkpoint, family))),)
    pair = PAIRS.get(checkpoint.model_type)
    if pair is not None:
        there = (family for family in pair if _is_there(family, checkpoint))
        return tuple((family, side_config(config, family)) for family in there)
    single = family_of(config)
    return () if single is None else ((single, config),)


def side_config(config: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """One side's config out of that of a model of two sides; what concerns the file as a whole comes along."""
    whole = {name: config[name] for name in ("architectures", "id2label") if config.get(name)}
    return changed(config.get(family.config_key or "") or {}, whole)


def _is_there(family: Family, checkpoint: Checkpoint) -> bool:
    return any(name.startswith(family.prefixes) for name in checkpoint.weights.names)


def _sizes(checkpoint: Checkpoint, family: Family) -> dict[str, tuple[int, ...]]:
    """Sizes of the tower's tensors, by names without its prefix."""
    sizes = checkpoint.weights.sizes()
    prefix = next((p for p in family.prefixes if any(name.startswith(p) for name in sizes)), "")
    return {name[len(prefix) :]: size for name, size in sizes.items() if name.startswith(prefix)}


def _own(checkpoint: Checkpoint) -> LoadedTower:
    shape = shape_from_dict(dict(whole(checkpoint.config)["shape"]))
    weights: dict[str, Tensor] = checkpoint.weights.read()
    encoder: Encoder = fill(shape, weights, [], str(checkpoint.folder))
    modality: Literal["text", "image"] = "image" if isinstance(shape.stem, ImageStem) else "text"
    return LoadedTower(modality, checkpoint.config, LoadedEncoder(encoder, None, "", {}))
