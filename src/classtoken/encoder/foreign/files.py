"""A folder -> a foreign encoder: built by transformers from its own code, its weights checked for completeness."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from classtoken.encoder.checkpoint import Checkpoint, LoadedEncoder, Meant
from classtoken.encoder.foreign.building import built
from classtoken.encoder.foreign.hooked import tensor_of
from classtoken.encoder.foreign.meant import meant_by
from classtoken.encoder.foreign.model import Foreign
from classtoken.encoder.foreign.reads import (
    FEATURES,
    Modality,
    alone,
    in_words,
    meets_at_unit_length,
    sides,
    stumbled,
    way_out,
)
from classtoken.errors import ModelError, UnsafeCheckpoint, UnsupportedModel, WeightsError
from classtoken.model_folder import whole
from classtoken.values import InputDefaults

#: Settings of models whose positions are distances: their config's number of positions bounds no text.
RELATIVE = ("relative_attention", "relative_attention_num_buckets")
#: How AutoModel begins where its tables have a config and no model of it.
UNKNOWN = ("Unrecognized configuration class", "Could not find")
#: Types of numbers in safetensors' headers that are no weights by themselves.
QUANTISED = ("I8", "U8", "I16", "I32", "F8_E4M3", "F8_E5M2")


def load_foreign(checkpoint: Checkpoint) -> tuple[tuple[Modality, LoadedEncoder], ...]:
    """The encoder of a checkpoint that no row of the table reads, or the two sides of a model whose vectors meet.

    Raises `UnsafeCheckpoint` (it needs code of its own), `UnsupportedModel` (transformers has no such type, or it gives
    no token states of one text or image), `WeightsError` (weights missing: they would be random).
    """
    whole(checkpoint.config, but=("auto_map",))  # transformers reads it, all but the authors' own code
    model, missing = _built(checkpoint)
    pair = sides(model, missing)
    if pair:
        unit = meets_at_unit_length(model, pair)
        return tuple((modality, _side(checkpoint, side, model, unit)) for modality, side in pair.items())
    foreign = _single(checkpoint, model, missing)
    _refuse_random(checkpoint, foreign, dict(model.named_parameters()))
    pooled = foreign.pooled_size if foreign.pooler_whole else None
    defaults = input_defaults(checkpoint.model_type, foreign.config)
    loaded = LoadedEncoder(foreign, None, "", {}, defaults, meant=meant_by(foreign), pooled_size=pooled)
    return ((foreign.modality, loaded),)


def _single(checkpoint: Checkpoint, model: Any, missing: tuple[str, ...]) -> Foreign:
    """A model as the encoder of one text or image, tried on random input."""
    name, written = checkpoint.model_type, model
    if written.config.is_encoder_decoder:
        model = written.get_encoder()
        if not hasattr(model, "config"):
            model.config = written.config
    modality = alone(model)
    if modality is None:
        raise UnsupportedModel(f"a model of type '{name}' {in_words(model)}. {way_out(written, checkpoint.folder)}")
    foreign = Foreign(model, modality, missing)
    try:
        foreign.probe()
        foreign.causal  # noqa: B018  its experiment runs the model on more texts
    except ModelError as error:
        raise type(error)(f"{error} {way_out(written, checkpoint.folder)}") from error
    except Exception as error:  # whatever a model of another library says to one text or image and nothing else
        why = stumbled(model, modality, error) or first_line(error)
        raise UnsupportedModel(
            f"a model of type '{name}' gives no states of one {modality} alone ({why}). "
            f"{way_out(written, checkpoint.folder)}"
        ) from error
    return foreign


def _side(checkpoint: Checkpoint, side: Foreign, model: nn.Module, unit: bool) -> LoadedEncoder:
    """One of two sides; their common vector needs all its weights."""
    _refuse_random(checkpoint, side, dict(model.named_parameters()))
    if not side.pooler_whole:
        raise WeightsError(
            f"the weights of {checkpoint.folder} do not fit: those of the {side.modality} side's vector are missing "
            f"({', '.join(side.missing[:6])}). They would be random."
        )
    says = f"{FEATURES[side.modality][0]} of transformers: the vector in which both sides meet"
    weights = {name: p.detach() for name, p in model.named_parameters() if "." not in name}
    defaults = input_defaults(checkpoint.model_type, side.config)
    meant = Meant("pooler", says, unit_length=unit)
    return LoadedEncoder(side, None, "", weights, defaults, meant=meant, pooled_size=side.pooled_size)


def _refuse_random(checkpoint: Checkpoint, foreign: Foreign, parameters: Mapping[str, nn.Parameter]) -> None:
    """Raise `WeightsError` where a weight that the states are computed from is not in the file."""
    if not foreign.missing:
        return
    read = {_place(key) for key in read_by_states(foreign, parameters)}
    lost = [key for key in foreign.missing if key in parameters and _place(key) in read]
    if lost:
        shown = ", ".join(lost[:6]) + (f" and {len(lost) - 6} more" if len(lost) > 6 else "")
        raise WeightsError(
            f"the weights of {checkpoint.folder} do not fit: {len(lost)} missing: {shown}. They would be random."
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
        model, report = built(checkpoint, misfits=True)
    except ImportError as error:
        raise UnsupportedModel(
            f"transformers cannot build '{checkpoint.folder}' (model_type {name!r}) without another library: "
            f"{first_line(error)} Install that library beside classtoken."
        ) from error
    except Exception as error:  # whatever a class of another library says to a config or to weights
        if str(error).startswith(UNKNOWN):
            raise UnsupportedModel(
                f"the installed transformers reads the config of '{checkpoint.folder}' (model_type {name!r}) and has "
                "no model that AutoModel opens for it. Update transformers, or save the part of it that is an encoder."
            ) from error
        line = " ".join(str(error).split())[:300]
        raise ModelError(
            f"transformers cannot load '{checkpoint.folder}' (model_type {name!r}): {line.rstrip('.')}. If AutoModel "
            "loads it elsewhere, copy the folder again."
        ) from error
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


AS_IT_IS = ("TokenizersBackend", "PythonBackend", "PreTrainedTokenizerFast", "MistralCommonBackend")
"""classes by which transformers takes tokenizer.json as it stands, whatever tokenizer_config.json names"""


def input_defaults(name: str, config: Any) -> InputDefaults:
    """What transformers takes for a model type where the files of a folder name no class."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.tokenization_auto import (
        MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS,
        TOKENIZER_MAPPING_NAMES,
    )

    processors = IMAGE_PROCESSOR_MAPPING_NAMES.get(name)
    listed = processors.values() if isinstance(processors, Mapping) else processors or ()
    processor = next((one for one in listed if one), None)
    relative = any(getattr(config, key, None) for key in RELATIVE)
    longest = None if relative else getattr(config, "max_position_embeddings", None)
    tokenizer = str(TOKENIZER_MAPPING_NAMES.get(name) or "")
    as_it_is = tokenizer in AS_IT_IS
    return InputDefaults(
        image={} if processor is None else {"image_processor_type": processor},
        tokenizer=AS_IT_IS[0] if as_it_is else tokenizer,
        tokenizer_fixed=as_it_is or (tokenizer != "" and name in MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS),
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
    if not name:
        raise UnsupportedModel(
            f"config.json of '{checkpoint.folder}' names no model_type, so nobody can say what its weights are. Copy "
            "the file from where the model was published."
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
