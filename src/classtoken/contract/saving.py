"""Write a loaded model as a folder that `load` opens again, and every library that opened the original."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from classtoken.contract.for_others import says_the_same, without_modules, write_modules
from classtoken.contract.reading import INPUT_FILES, Reading
from classtoken.destination import check_folder
from classtoken.encoder.adapter import CONFIG, WEIGHTS, adapter_in
from classtoken.encoder.checkpoint import INDEX, open_checkpoint, reference_names
from classtoken.encoder.protocol import is_trainable
from classtoken.errors import OptionError
from classtoken.files import whole_file, whole_folder, write_text
from classtoken.model_folder import (
    ENCODER_SETTINGS,
    LEARNED,
    OF_ITS_VECTORS,
    SMALL,
    TRAINING,
    read_json,
    read_modules,
    read_prompts,
    transformer_folder,
)
from classtoken.plain import to_json
from classtoken.readout.saved import SavedReadout, read_saved, write_saved
from classtoken.sink.manifest import META
from classtoken.tokens.text import TextPreprocessor
from classtoken.tokens.wordpieces import tokenizer_folder

LOG = logging.getLogger("classtoken")
WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.onnx")
OTHER_FORMS = ("onnx", "openvino")
"""folders of the same weights in other forms, which may be others by now"""
OF_A_TRAINING = ("features", "log.csv", "checkpoint.pt")
"""what a training leaves beside its model, besides what lies below `_meta`: it speaks of files that are not there"""


@dataclass(frozen=True)
class ReadOut:
    """What `load` was given that decides vectors, as far as a folder can say it; and what it rounded weights to."""

    pooling: str | None = None
    unit_length: bool | None = None
    longest: int | None = None
    rounded: torch.dtype = torch.float32


def save_model(source: Path, target: Path, readings: Sequence[Reading], asked: ReadOut) -> None:
    """The whole folder anew: its own files as they are, the encoder's weights as they are now, and the readout.

    The folder appears when it is whole. Raises `OutputError` for a folder that holds
    something, `OptionError` for several poolings at once and for what no folder can say.
    """
    pooling, unit = asked.pooling, _unit_length(readings, asked)
    if pooling is not None and "," in pooling:
        raise OptionError(f"a saved model has one readout, and '{pooling}' are several; load it with one of them.")
    check_folder(target, {"model": source})
    with whole_folder(target) as whole:
        inner = transformer_folder(source)
        copied = whole / inner.relative_to(source)
        _copy_files(source, whole)
        for pattern in WEIGHT_FILES:
            for path in copied.glob(pattern):
                path.unlink()
        if take_in_base(inner, copied) and _silent(whole):
            pooling = readings[0].contract.pooling if pooling is None else pooling
        with whole_file(copied / _file_name(inner)) as temporary:
            save_file(current_weights(source, readings, asked.rounded), temporary)
        if asked.longest is not None and any(reading.modality == "text" for reading in readings):
            _write_limit(whole, readings, asked.longest)
        if pooling is not None or unit is not None:
            saved = read_saved(source) or SavedReadout(readings[0].contract.pooling)
            chosen = readings[0].contract.pooling if pooling is None else pooling
            readout = _with(saved, chosen, bool(unit))
            write_saved(whole, readout)
            _say_to_others(whole, readout, readings, target)
            if saved.head is not None and readout.head is None:
                LOG.warning(
                    "the head of '%s' reads %r: a folder has one pooling, and '%s' has %r and no head",
                    *(source, saved.pooling, target, chosen),
                )
        elif (source / "classtoken.safetensors").is_file():
            shutil.copyfile(source / "classtoken.safetensors", whole / "classtoken.safetensors")


def _unit_length(readings: Sequence[Reading], asked: ReadOut) -> bool | None:
    """The length that has to be written down; None where the files say it already.

    Raises `OptionError` where vectors go through more than a pooling, which a saved readout cannot say.
    """
    if asked.pooling is not None or asked.unit_length is None:
        return asked.unit_length
    if all(reading.contract.unit_length == asked.unit_length for reading in readings):
        return None
    poolings = {reading.contract.pooling for reading in readings}
    layers = any(reading.after or reading.before or reading.pools_all for reading in readings)
    if layers or len(poolings) > 1:
        raise OptionError(
            f"`normalize` {asked.unit_length} cannot be saved: the vectors of this model go through layers of its own "
            "besides a pooling, and a saved readout is a pooling alone. Save the model as loaded without `normalize`, "
            "and give it whenever that folder is loaded; or load it with a `pooling`."
        )
    return asked.unit_length


def _write_limit(whole: Path, readings: Sequence[Reading], most: int) -> None:
    """Write the longest text where transformers and sentence-transformers look for it, too.

    Raises `OptionError` for folders whose limit stands in another file.
    """
    inner = tokenizer_folder(whole)
    for name, key in (
        ("tokenizer_config.json", "model_max_length"),
        *((n, "max_seq_length") for n in ENCODER_SETTINGS),
    ):
        if settings := read_json(inner / name):
            write_text(inner / name, to_json({**settings, key: most}, indent=2) + "\n")
    reading = next(reading for reading in readings if reading.modality == "text")
    prepare = TextPreprocessor.from_folder(
        whole, positions=reading.encoder.positions, vocabulary=reading.encoder.vocabulary, usual=reading.inputs
    )
    if prepare.recipe.max_length != most:
        raise OptionError(
            f"`max_length` {most} cannot be saved: the longest text of this model stands elsewhere "
            f"({prepare.recipe.max_length_source}). Save the model as loaded without `max_length`, and give it "
            "whenever that folder is loaded."
        )


def _copy_files(source: Path, target: Path) -> None:
    """All files of a model, without the modes of the original (which may lie in a place that nobody may write); but for
    what a training has written down for itself. Which records it has learned from `predict` asks of every model."""
    trained = (source / TRAINING).is_file()
    for path in sorted(source.iterdir()):
        notes = path.name == META or (trained and path.name in OF_A_TRAINING)
        if not notes:
            _copy(path, target / path.name)
    if (source / LEARNED).is_file():
        (target / LEARNED).parent.mkdir()
        shutil.copyfile(source / LEARNED, target / LEARNED)


def _copy(path: Path, to: Path) -> None:
    """A file, or a folder and what is in it, but other forms of the weights; links as what they lead to, unless that is
    around them, or nowhere."""
    if path.is_file():
        shutil.copyfile(path, to)
    elif (
        path.is_dir()
        and path.name not in OTHER_FORMS
        and not (path.is_symlink() and path.absolute().is_relative_to(path.resolve()))
    ):
        to.mkdir(parents=True, exist_ok=True)
        for inside in sorted(path.iterdir()):
            _copy(inside, to / inside.name)


def _say_to_others(whole: Path, saved: SavedReadout, readings: Sequence[Reading], target: Path) -> None:
    """Let sentence-transformers give the vectors of a saved readout too, or say that it does not."""
    reading = readings[0]
    if any(reading.modality != "text" for reading in readings) or says_the_same(whole, saved):
        return
    modules = read_modules(whole)
    plain = reading.family is not None and reading.family.projection is None
    if plain and (not modules or modules[0].kind == "Transformer"):
        size, include = reading.encoder.hidden_size, read_prompts(whole).include
        if write_modules(whole, saved, size, include_prompt=include) or not modules or without_modules(whole):
            return
    if modules:
        LOG.warning(
            "sentence-transformers reads '%s' by its modules.json, which cannot say %r%s: it gives other vectors there",
            *(target, saved.pooling, " at unit length" * saved.unit_length),
        )


def take_in_base(inner: Path, target: Path) -> bool:
    """Where `inner` holds an adapter: let its copy in `target` be a model without one, as far as small files go;
    whether it was. Its weights are then those of `open_checkpoint(inner)`, merged.

    What the base's folder says of vectors and readouts of its own stays there, for nobody reads it beside an adapter;
    how inputs are prepared is the base's where the adapter is silent (`Reading.inputs_at`).
    """
    if adapter_in(inner) is None:
        return False
    for name in (CONFIG, WEIGHTS):
        (target / name).unlink(missing_ok=True)
    base = open_checkpoint(inner).folder
    own_inputs = any((target / name).is_file() for name in INPUT_FILES)
    for path in base.iterdir():
        wanted = path.name == "config.json" if own_inputs else path.suffix in SMALL and path.is_file()
        if wanted and not (target / path.name).exists() and path.name not in (INDEX, CONFIG, *OF_ITS_VECTORS):
            shutil.copyfile(path, target / path.name)
    return True


def _silent(folder: Path) -> bool:
    """Whether a folder holds sentence-transformers' settings of an encoder, and nothing that says what is pooled: they
    came with an adapter's base, whose own vectors are not those of the adapter."""
    declared = any((folder / name).is_file() for name in ("modules.json", "classtoken.json"))
    return not declared and any((folder / name).is_file() for name in ENCODER_SETTINGS)


def current_weights(
    source: Path, readings: Sequence[Reading], rounded: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """The file's tensors, with those of the encoders as they are in memory, under the file's own names.

    Where loading has `rounded` the weights, those that are still the file's are written as the file has them: a folder
    does not lose digits because it was opened with a lower precision.
    """
    weights = open_checkpoint(transformer_folder(source)).weights.read()
    for reading in readings:
        encoder = reading.encoder
        if not is_trainable(encoder):
            continue  # its weights are those of the file
        if reading.family is None:
            now = dict(encoder.state_dict())
        else:
            now = reference_names(encoder, reading.family, reading.prefix)
        changed = {name: tensor for name, tensor in now.items() if name in weights}
        if rounded != torch.float32:
            changed = {name: t for name, t in changed.items() if not _same(t, weights[name].to(rounded))}
        weights |= changed
    return {
        name: (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous().clone()
        for name, tensor in weights.items()
    }


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.detach().float().cpu(), other.float())


def _file_name(inner: Path) -> str:
    return "open_clip_model.safetensors" if (inner / "open_clip_config.json").is_file() else "model.safetensors"


def _with(saved: SavedReadout, pooling: str, unit: bool) -> SavedReadout:
    keeps_head = saved.head is not None and pooling == saved.pooling
    return SavedReadout(
        pooling=pooling,
        unit_length=unit,
        learned=saved.learned,
        pooling_arguments=saved.pooling_arguments,
        head=saved.head if keeps_head else None,
        head_arguments=saved.head_arguments if keeps_head else None,
        labels=saved.labels if keeps_head else (),
        multilabel=saved.multilabel,
        temperature=saved.temperature if keeps_head else 1.0,
        label_names=saved.label_names if keeps_head else {},
        training=saved.training,
        typical=saved.typical if keeps_head else None,
        modality=saved.modality,
    )
