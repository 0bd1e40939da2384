"""A folder -> a foreign encoder: built by transformers from its own code, its weights checked for completeness."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn

from classtoken.encoder.checkpoint import Checkpoint, Loaded
from classtoken.encoder.foreign.building import built
from classtoken.encoder.foreign.hooked import tensor_of
from classtoken.encoder.foreign.model import Foreign
from classtoken.errors import ModelError, UnsafeCheckpoint, UnsupportedModel, WeightsError
from classtoken.model_folder import whole
from classtoken.values import InputDefaults

#: Settings of models whose positions are distances: their config's number of positions bounds no text.
RELATIVE = ("relative_attention", "relative_attention_num_buckets")
MODALITY: dict[str, Literal["text", "image"]] = {"input_ids": "text", "pixel_values": "image"}


def load_foreign(checkpoint: Checkpoint) -> tuple[Literal["text", "image"], Loaded]:
    """The encoder of a checkpoint that no row of the table reads.

    Raises `UnsafeCheckpoint` (it needs code of its own), `UnsupportedModel` (transformers has no such type, or it gives
    no token states), `WeightsError` (weights missing: they would be random).
    """
    name = checkpoint.model_type
    whole(checkpoint.config, but=("auto_map",))  # transformers reads it, all but the authors' own code
    model, missing = _built(checkpoint)
    parameters = dict(model.named_parameters())
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    modality = MODALITY.get(str(model.main_input_name))
    if modality is None or (hasattr(model.config, "text_config") and hasattr(model.config, "vision_config")):
        raise UnsupportedModel(
            f"a model of type '{name}' does not give token states of one text or image. Name the folder of one side."
        )
    foreign = Foreign(model, modality, missing)
    if foreign.depth < 1:
        raise UnsupportedModel(f"the config of a '{name}' does not say how many blocks it has.")
    lost = [key for key in missing if key in parameters and matters(foreign, parameters[key])]
    if lost:
        shown = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        raise WeightsError(
            f"the weights of {checkpoint.folder} do not fit: {len(lost)} missing: {shown}. They would be random."
        )
    return modality, Loaded(foreign, None, "", {}, input_defaults(name, model.config))


def _built(checkpoint: Checkpoint) -> tuple[Any, tuple[str, ...]]:
    """The model and the names of weights that its checkpoint lacks."""
    from transformers import CONFIG_MAPPING

    name = checkpoint.model_type
    if name not in CONFIG_MAPPING:
        refuse(checkpoint)
    try:
        model, report = built(checkpoint)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        line = " ".join(str(error).split())[:300]
        raise ModelError(f"transformers cannot load '{checkpoint.folder}' (model_type {name!r}): {line}") from error
    if report.get("mismatched_keys"):
        names = ", ".join(sorted(str(key[0]) for key in report["mismatched_keys"])[:6])
        raise WeightsError(f"the weights of {checkpoint.folder} do not fit: of another shape: {names}.")
    return model, tuple(sorted(report.get("missing_keys", ())))


def input_defaults(name: str, config: Any) -> InputDefaults:
    """What transformers takes for a model type where the files of a folder name no class."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    processors = IMAGE_PROCESSOR_MAPPING_NAMES.get(name)
    listed = processors.values() if isinstance(processors, Mapping) else processors or ()
    processor = next((one for one in listed if one), None)
    relative = any(getattr(config, key, None) for key in RELATIVE)
    longest = None if relative else getattr(config, "max_position_embeddings", None)
    return InputDefaults(
        image={} if processor is None else {"image_processor_type": processor},
        tokenizer=str(TOKENIZER_MAPPING_NAMES.get(name) or ""),
        longest=longest if isinstance(longest, int) and longest > 0 else None,
    )


def refuse(checkpoint: Checkpoint) -> None:
    """Say why a type that transformers does not have cannot be read."""
    name = checkpoint.model_type
    if "auto_map" in checkpoint.config:
        raise UnsafeCheckpoint(
            f"'{checkpoint.folder}' (model_type {name!r}) needs code of its own to be built "
            "(auto_map in config.json), and classtoken runs none. Use a conversion to a type that transformers has."
        )
    raise UnsupportedModel(
        f"model_type {name!r} of '{checkpoint.folder}' is known neither here nor to the installed transformers. "
        "Update transformers, or use a conversion to a type that it has."
    )


@torch.no_grad()
def matters(foreign: Foreign, weight: nn.Parameter) -> bool:
    """Whether the states change with this weight: found by changing it for one run."""
    inputs = foreign.random_input(0)
    before, kept = tensor_of(foreign.model(**inputs)), weight.clone()
    weight.copy_(torch.randn_like(weight))
    after = tensor_of(foreign.model(**inputs))
    weight.copy_(kept)
    return not torch.equal(before, after)
