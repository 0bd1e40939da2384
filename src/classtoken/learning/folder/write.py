"""A trained model's folder: what `classtoken.load` opens, and transformers or sentence-transformers where they can.

config.json, model.safetensors    the encoder, under the names of the library whose format it fits
classtoken.json, .safetensors     readout, head, labels, temperature (`readout.saved`)
preprocessor_config.json          images; tokenizer*.json and modules.json for texts
training.json                     recipe, figures, machine, time; README.md is the card made from it
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from classtoken.contract.saving import take_in_base
from classtoken.encoder.checkpoint import INDEX, OTHERS, open_checkpoint, reference_names
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families.row import Family
from classtoken.encoder.families.timm_config import is_timm
from classtoken.encoder.names import to_theirs
from classtoken.errors import OutputError
from classtoken.files import whole_file, write_text
from classtoken.head import Head, LinearHead
from classtoken.learning.folder.formats import classifier_names, files_of
from classtoken.model_folder import SMALL, read_json, read_modules, transformer_folder
from classtoken.readout.readout import Readout
from classtoken.readout.saved import SavedReadout, write_saved
from classtoken.readout.typical import Typical
from classtoken.sink.manifest import META
from classtoken.tensors import halved
from classtoken.tokens.recipe import ImageRecipe
from classtoken.tokens.recipe_settings import hugging_face_settings


def saved_readout(
    readout: Readout,
    head: Head | None,
    *,
    arguments: Mapping[str, Mapping[str, Any]],
    labels: Sequence[str],
    several: bool,
    temperature: float = 1.0,
    unit_length: bool = False,
    label_names: Mapping[str, str] | None = None,
    training: Mapping[str, Any] | None = None,
    typical: Typical | None = None,
    modality: str = "",
) -> SavedReadout:
    """What classtoken.json and classtoken.safetensors hold."""
    learned = {
        str(term): pooling
        for term, pooling in zip(readout.spec.terms, readout.poolings, strict=True)
        if str(term) in arguments
    }
    return SavedReadout(
        pooling=str(readout.spec),
        unit_length=unit_length,
        learned=learned,
        pooling_arguments=arguments,
        head=head,
        head_arguments=None if head is None else head.arguments,
        labels=tuple(labels),
        multilabel=several,
        temperature=temperature,
        label_names=label_names or {},
        training=training or {},
        typical=typical,
        modality=modality,
    )


def write_own(folder: Path, encoder: Encoder, saved: SavedReadout, *, half: bool = False) -> None:
    """An encoder that was trained from scratch, with its readout and head."""
    config, weights = files_of(encoder, saved.labels, saved.multilabel)
    named: dict[str, Tensor] = {}
    if isinstance(saved.head, nn.Module) and saved.pooling == "cls":
        named = classifier_names(encoder, saved.head.state_dict())
    weights = _sixteen_bits(weights) if half else weights
    _write(folder, config if named else _without_classifier(config), weights | named)
    write_saved(folder, saved)


def write_tuned(
    folder: Path,
    origin: Path,
    config: Mapping[str, Any],
    family: Family,
    encoder: Encoder,
    saved: SavedReadout,
    *,
    half: bool = False,
) -> None:
    """A published encoder with a new head, and new weights where it was trained further, in its own format."""
    copy_files(origin, folder)
    named: dict[str, Tensor] = {}
    if published_head(family, config, saved):
        assert family.head is not None
        assert saved.head is not None
        named = dict(to_theirs(saved.head.state_dict(), family.head.names)[0])
    weights = reference_names(encoder, family, family.prefixes[0] if family.prefixes else "")
    weights = (_sixteen_bits(weights) if half else weights) | named  # a head is kept as it is: `write_saved`
    published = read_json(folder / "config.json") or {}
    if is_timm(published):  # `config` is what its row made of it
        _write(folder, _timm_config(published, saved.labels if named else ()), weights)
    else:
        labels = {
            "id2label": {str(i): name for i, name in enumerate(saved.labels)},
            "label2id": {name: i for i, name in enumerate(saved.labels)},
            "problem_type": "multi_label_classification" if saved.multilabel else "single_label_classification",
        }
        _write(folder, {**(config if named else _without_classifier(config)), **labels}, weights)
    write_saved(folder, saved)


def write_frozen(folder: Path, origin: Path, saved: SavedReadout, *, half: bool = False) -> None:
    """A published encoder as its files have it, with a head of ours; a classifier that they hold stays behind.

    Its labels are other ones, and transformers would answer with them.
    """
    copy_files(origin, folder)
    config = read_json(folder / "config.json") or {}
    if saved.head is not None and is_timm(config):
        _leave_out(folder, _OF_TIMMS_CLASSIFIERS)
        write_json(folder / "config.json", _timm_config(config, ()))
    elif saved.head is not None:
        if any(_CLASSIFIER.search(str(name)) for name in config.get("architectures") or ()):
            _leave_out(folder, _OF_CLASSIFIERS)
        kept = _without_classifier({key: value for key, value in config.items() if key not in _OF_LABELS})
        if kept != config:
            write_json(folder / "config.json", kept)
    _name_numbers(folder)
    if half:
        _halve(folder)
    write_saved(folder, saved)


def _halve(folder: Path) -> None:
    """Write the weights of a model that was copied as 16-bit numbers, in the files that they are in."""
    for path in folder.glob("*.safetensors"):
        if path.name not in OTHERS:
            weights = _sixteen_bits(load_file(path))
            with whole_file(path) as temporary:
                save_file(weights, temporary, metadata={"format": "pt"})
    if (index := read_json(folder / INDEX)) is not None:
        _write_index(folder, index, index["weight_map"])


def _leave_out(folder: Path, names: re.Pattern[str]) -> None:
    """Take weights out of a folder's files, and of their index."""
    for path in folder.glob("*.safetensors"):
        weights = load_file(path)
        left = {name: tensor for name, tensor in weights.items() if not names.match(name)}
        if len(left) < len(weights):
            with whole_file(path) as temporary:
                save_file(left, temporary, metadata={"format": "pt"})
    index = read_json(folder / INDEX)
    if index is not None:
        places = {name: file for name, file in index["weight_map"].items() if not names.match(name)}
        _write_index(folder, index, places)


def _write_index(folder: Path, index: Mapping[str, Any], places: Mapping[str, str]) -> None:
    """Which file holds which tensor, and how large the files' tensors are now: other libraries make room by that."""
    size = 0
    for name in set(places.values()):
        with (folder / name).open("rb") as file:
            header = 8 + int.from_bytes(file.read(8), "little")
        size += (folder / name).stat().st_size - header
    told = {key: value for key, value in (index.get("metadata") or {}).items() if key != "total_parameters"}
    write_json(folder / INDEX, {**index, "metadata": {**told, "total_size": size}, "weight_map": dict(places)})


def opens_by_config(origin: Path, config: Mapping[str, Any]) -> bool:
    """Whether config.json of a model's folder describes this encoder, so that it opens with other weights as well.

    open_clip's describes both sides, in a file of another name; `config` is then what was made of one.
    """
    published = read_json(transformer_folder(origin) / "config.json") or {}
    return is_timm(published) or (bool(config.get("model_type")) and not is_timm(config))


def _timm_config(published: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """timm's own config with other labels, or none: then timm makes a model without a classifier."""
    config = {key: value for key, value in published.items() if key not in ("label_names", "label_descriptions")}
    for table in ("model_args", "pretrained_cfg"):
        if "num_classes" in (config.get(table) or {}):
            config[table] = {**config[table], "num_classes": len(labels)}
    return {**config, "num_classes": len(labels), **({"label_names": list(labels)} if labels else {})}


def write_whole(folder: Path, origin: Path, weights: Mapping[str, Tensor], *, half: bool = False) -> None:
    """A model of two sides that was trained further, in its own format: its files with other weights."""
    copy_files(origin, folder)
    _name_numbers(folder)
    _write_weights(folder, _sixteen_bits(weights) if half else weights)


def published_head(family: Family, config: Mapping[str, Any], saved: SavedReadout) -> bool:
    """Whether the family's own classifier is this very head: linear, on the class token as it is."""
    alike = isinstance(saved.head, LinearHead) and saved.pooling == "cls" and not saved.unit_length
    return alike and family.head is not None and family.head.linear and family.head.pooling(config) == "cls"


def copy_files(origin: Path, folder: Path) -> None:
    """The small files of a model folder and its safetensors; no pickles, no code, no cards. An adapter is merged into
    its base: what is trained does not depend on another folder that stays where it is.

    The Transformer module of a sentence-transformers folder comes to the top, and the other modules stay behind: they
    say what the origin's vectors are, not those of what was trained (`write_modules`).
    """
    if folder.resolve() == origin.resolve():
        raise OutputError(f"'{folder}' is the folder of the model itself; give another one to write to.")
    top = transformer_folder(origin)
    modules = {module.folder.resolve() for module in read_modules(origin)} - {origin.resolve()}
    for path in sorted(origin.rglob("*")):
        inside = path.relative_to(top if path.is_relative_to(top) else origin)
        kept = path.suffix in (*SMALL, ".safetensors") and not inside.name.startswith("classtoken.")
        of_module = path.parent.resolve() in modules - {top.resolve()}
        kept = kept and inside.parts[0] != META and inside.name not in _OF_THE_ORIGIN
        if path.is_file() and kept and not of_module and len(inside.parts) <= 2:
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / inside)
    if take_in_base(top, folder):
        _write_weights(folder, open_checkpoint(top).weights.read())


_OF_THE_ORIGIN = ("training.json", "result.json", "modules.json")
"""what is said of the origin alone, as is all that a training has written down below `_meta`"""


def write_image_settings(folder: Path, recipe: ImageRecipe) -> None:
    """preprocessor_config.json, so that transformers prepares images as here."""
    write_json(folder / "preprocessor_config.json", hugging_face_settings(recipe))


def write_json(path: Path, value: Any) -> None:
    """A JSON file for people and programs."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=list) + "\n")


def _without_classifier(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of an encoder whose file holds no published classifier: of a class that has one, transformers would
    make it up at random, and answer with it."""
    if not config.get("architectures"):
        return config
    return {**config, "architectures": [_CLASSIFIER.sub("Model", str(name)) for name in config["architectures"]]}


#: What transformers calls the weights of classifiers, outside the encoder's own names.
_OF_CLASSIFIERS = re.compile(r"(?:(?:pre_|cls_|distillation_)?classifier|classification_head|score)\.")
_OF_TIMMS_CLASSIFIERS = re.compile(r"(?:timm_model\.)?head(?:_dist)?\.(?:fc\.)?(?:weight|bias)$")
_OF_LABELS = ("id2label", "label2id", "problem_type")
_CLASSIFIER = re.compile(r"For(?:Sequence|Image)Classification\w*$")


def _write(folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    _name_numbers(folder)
    _write_weights(folder, weights)


def _sixteen_bits(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: halved(tensor) for name, tensor in weights.items()}


def _name_numbers(folder: Path) -> None:
    """Say in config.json that the model computes in 32 bits, as it did here while it was trained and judged.

    Other libraries go by what a config says, or else by how the weights are stored: with 16 bits, by either, they give
    other vectors. timm computes in 32 bits whatever it reads, and its configs know no such key.
    """
    path = folder / "config.json"
    config = read_json(path)
    if config is None or is_timm(config):
        return
    write_json(path, {key: value for key, value in config.items() if key != "torch_dtype"} | {"dtype": "float32"})


def _write_weights(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """In one file, in the place of those that were copied with the folder."""
    for path in (folder / INDEX, *folder.glob("*.safetensors")):
        if path.name != "classtoken.safetensors":
            path.unlink(missing_ok=True)
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    with whole_file(folder / "model.safetensors") as temporary:
        save_file(plain, temporary, metadata={"format": "pt"})
