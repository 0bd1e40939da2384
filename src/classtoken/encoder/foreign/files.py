"""A folder -> a foreign encoder: built by transformers from its own code, its weights checked for completeness."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from classtoken.encoder.checkpoint import Checkpoint, LoadedEncoder
from classtoken.encoder.foreign.building import built
from classtoken.encoder.foreign.hooked import tensor_of
from classtoken.encoder.foreign.meant import meant_by
from classtoken.encoder.foreign.model import Foreign
from classtoken.errors import ModelError, UnsafeCheckpoint, UnsupportedModel, WeightsError
from classtoken.model_folder import whole
from classtoken.values import InputDefaults

#: Settings of models whose positions are distances: their config's number of positions bounds no text.
RELATIVE = ("relative_attention", "relative_attention_num_buckets")
#: Types of numbers in safetensors' headers that are no weights by themselves.
QUANTISED = ("I8", "U8", "I16", "I32", "F8_E4M3", "F8_E5M2")
MODALITY: dict[str, Literal["text", "image"]] = {"input_ids": "text", "pixel_values": "image"}


def load_foreign(checkpoint: Checkpoint) -> tuple[Literal["text", "image"], LoadedEncoder]:
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
    modality = MODALITY.get(str(getattr(model, "main_input_name", "")))
    if modality is None or (hasattr(model.config, "text_config") and hasattr(model.config, "vision_config")):
        raise UnsupportedModel(
            f"a model of type '{name}' does not give token states of one text or image. Name the folder of one side."
        )
    foreign = Foreign(model, modality, missing)
    try:
        foreign.probe()
    except ModelError:
        raise
    except Exception as error:  # whatever a model of another library says to one text or image and nothing else
        raise UnsupportedModel(
            f"a model of type '{name}' gives no states of one {modality} alone ({first_line(error)}). Use an encoder "
            f"that reads {modality}s and nothing else."
        ) from error
    read = {_place(key) for key in read_by_states(foreign, parameters)} if missing else set()
    lost = [key for key in missing if key in parameters and _place(key) in read]
    if lost:
        shown = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        raise WeightsError(
            f"the weights of {checkpoint.folder} do not fit: {len(lost)} missing: {shown}. They would be random."
        )
    pooled = foreign.pooled_size if foreign.pooler_whole else None
    return modality, LoadedEncoder(
        foreign, None, "", {}, input_defaults(name, model.config), meant=meant_by(foreign), pooled_size=pooled
    )


def first_line(error: BaseException) -> str:
    """What an exception says, in one line of at most 160 letters."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= 160 else line[:157] + "..."


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
    _check_numbers(checkpoint, model, report.get("unexpected_keys", ()))
    return model, tuple(sorted(report.get("missing_keys", ())))


def _check_numbers(checkpoint: Checkpoint, model: nn.Module, unexpected: Iterable[str]) -> None:
    """Refuse blocks that the config does not build, and numbers of another kind."""
    there = dict(model.named_parameters())
    places = {_place(name) for name in there}
    extra = sorted(name for name in unexpected if _place(name) in places)
    whole_numbers = [
        name for name, dtype in checkpoint.weights.dtypes().items() if dtype in QUANTISED and _place(name) in places
    ]
    for names, what in (
        (extra, "left over: the config builds fewer blocks than the file holds"),
        (whole_numbers, "whole numbers, quantised, which need the scales of the library that made them"),
    ):
        if names:
            raise WeightsError(f"the weights of {checkpoint.folder} do not fit: {len(names)} {what}: {names[0]}, ...")


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


def read_by_states(foreign: Foreign, parameters: Mapping[str, nn.Parameter]) -> set[str]:
    """The parameters that the states of several random inputs are computed from, by the graph of each run."""
    wanted = {name: p for name, p in parameters.items() if p.requires_grad}
    read: set[str] = set()
    for seed in range(3):
        with torch.enable_grad():
            states = tensor_of(foreign.model(**foreign.random_input(seed)))
            found = torch.autograd.grad(states.sum(), list(wanted.values()), allow_unused=True)
        read |= {name for name, gradient in zip(wanted, found, strict=True) if gradient is not None}
    return read


def _place(name: str) -> str:
    """A parameter's name without numbers: what one block or expert reads, another may read for another input."""
    return re.sub(r"\d+", "#", name)
