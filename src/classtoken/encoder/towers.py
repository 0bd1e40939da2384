"""Which encoders a checkpoint holds: one, or the two of an image-text model; native, or foreign."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from classtoken.encoder.checkpoint import Checkpoint, Loaded, fill, load_encoder
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families.table import family_of
from classtoken.encoder.shape import ImageStem, shape_from_dict
from classtoken.errors import UnsafeCheckpoint

#: `model_type` of encoders that classtoken trained itself in a shape that no family of another library has.
OWN_TYPE = "classtoken"


@dataclass(frozen=True)
class LoadedTower:
    """One encoder with its weights, the config that describes it, and what the file holds outside of it."""

    modality: Literal["text", "image"]
    config: Mapping[str, Any]
    loaded: Loaded


def load_towers(checkpoint: Checkpoint) -> tuple[LoadedTower, ...]:
    """Every encoder of a checkpoint, the image side first. Raises the `ModelError`s of `checkpoint.py`."""
    config = checkpoint.config
    if checkpoint.model_type == OWN_TYPE:
        return (_own(checkpoint),)
    family = family_of(config)
    if family is not None:
        loaded = load_encoder(checkpoint.weights.read(), family, family.shape(config), config, str(checkpoint.folder))
        return (LoadedTower(family.modality, config, loaded),)
    refuse_remote_code(checkpoint)
    from classtoken.encoder.foreign import load_foreign

    return load_foreign(checkpoint)


def refuse_remote_code(checkpoint: Checkpoint) -> None:
    """Raise `UnsafeCheckpoint` when the model could only be built by running code out of its folder."""
    if "auto_map" in checkpoint.config:
        raise UnsafeCheckpoint(
            f"'{checkpoint.folder}' (model_type {checkpoint.model_type!r}) needs code of its own to be built "
            "(auto_map in config.json), and classtoken runs none. Use a conversion to a type that transformers has."
        )


def _own(checkpoint: Checkpoint) -> LoadedTower:
    shape = shape_from_dict(dict(checkpoint.config["shape"]))
    weights: dict[str, Tensor] = checkpoint.weights.read()
    encoder: Encoder = fill(shape, weights, [], str(checkpoint.folder))
    modality: Literal["text", "image"] = "image" if isinstance(shape.stem, ImageStem) else "text"
    return LoadedTower(modality, checkpoint.config, Loaded(encoder, None, "", {}))
