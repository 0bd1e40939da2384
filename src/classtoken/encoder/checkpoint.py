"""Read a checkpoint's files: config, safetensors, and what else lies in the folder. Nothing is executed, ever."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families.row import Family
from classtoken.encoder.names import fit, to_ours, to_theirs
from classtoken.encoder.shape import Shape
from classtoken.errors import ModelError, UnsafeCheckpoint, WeightsError
from classtoken.model_folder import read_json
from classtoken.values import NO_DEFAULTS, InputDefaults

PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth", "open_clip_pytorch_model.bin")
WEIGHTS = ("model.safetensors", "open_clip_model.safetensors")


@dataclass(frozen=True)
class WeightFiles:
    """The tensors of one or several safetensors files, read by name when they are asked for."""

    files: Mapping[str, Path]
    """name of a tensor -> the file it is in"""

    @property
    def names(self) -> tuple[str, ...]:
        """All tensor names, sorted."""
        return tuple(sorted(self.files))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files themselves."""
        return tuple(sorted(set(self.files.values())))

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, from the files' headers alone."""
        found: dict[str, tuple[int, ...]] = {}
        for path in self.paths:
            with safe_open(path, framework="pt") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        return found

    def read(self, names: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """Tensors by name (all of them when no names are given), floating point ones as float32."""
        wanted = self.names if names is None else names
        by_file: dict[Path, list[str]] = {}
        for name in wanted:
            by_file.setdefault(self.files[name], []).append(name)
        tensors: dict[str, Tensor] = {}
        for path, inside in by_file.items():
            try:
                with safe_open(path, framework="pt") as file:
                    for name in inside:
                        tensor = file.get_tensor(name)
                        tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
            except (SafetensorError, OSError) as error:
                raise WeightsError(f"{path} cannot be read ({error}). Copy the file again.") from error
        return tensors


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds a model: its config and its weights by name."""

    folder: Path
    config: Mapping[str, Any]
    weights: WeightFiles

    @property
    def model_type(self) -> str:
        """`model_type` of config.json; empty where there is none (timm, open_clip)."""
        return str(self.config.get("model_type", ""))

    def json(self, name: str) -> dict[str, Any] | None:
        """Another JSON file of the folder, or None."""
        return read_json(self.folder / name)

    @cached_property
    def card(self) -> str:
        """The model card, or an empty string."""
        path = self.folder / "README.md"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


@dataclass(frozen=True)
class Loaded:
    """An encoder with its weights, and what the checkpoint holds besides."""

    encoder: Any
    """an `Encoder`; for models that are not read natively (`family` None) another `protocol.AnyEncoder`"""
    family: Family | None
    prefix: str
    rest: Mapping[str, Tensor] = field(default_factory=dict)
    """tensors that the encoder did not take, names without the prefix: pooler, classifier, projection, others"""
    inputs: InputDefaults = NO_DEFAULTS
    """how inputs are prepared where the folder's files are silent"""


def open_checkpoint(folder: Path) -> Checkpoint:
    """Config and weight names of a folder, nothing read yet but the headers.

    Raises `ModelError` (no model folder), `UnsafeCheckpoint` (pickle files only), `WeightsError` (truncated file).
    """
    configs = (read_json(folder / name) for name in ("config.json", "open_clip_config.json"))
    config = next((config for config in configs if config is not None), None)
    if config is None:
        raise ModelError(f"'{folder}' holds no config.json: it is no model folder. Name the folder that holds one.")
    return Checkpoint(folder, config, weight_files(folder))


def weight_files(folder: Path) -> WeightFiles:
    """Which safetensors files hold which tensors: one file, or several with an index."""
    index = read_json(folder / "model.safetensors.index.json")
    if index is not None:
        places = index.get("weight_map", {})
        lost = sorted({f for f in places.values() if not (folder / f).is_file()})
        if lost:
            raise WeightsError(
                f"'{folder}' lacks {', '.join(lost)}, named by model.safetensors.index.json. Copy them too."
            )
        return WeightFiles({name: folder / file for name, file in places.items()})
    path = next((folder / n for n in WEIGHTS if (folder / n).is_file()), None)
    if path is None:
        pickles = [name for name in PICKLES if (folder / name).is_file()]
        if pickles:
            raise UnsafeCheckpoint(
                f"'{folder}' has only pickle weights ({pickles[0]}), which can run code when opened. Convert them "
                "where you trust them: save_pretrained(..., safe_serialization=True), then name the new folder."
            )
        raise ModelError(f"'{folder}' holds no model.safetensors. Name a folder with weights in safetensors.")
    try:
        with safe_open(path, framework="pt") as file:
            return WeightFiles(dict.fromkeys(file.keys(), path))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read ({error}). Copy the file again.") from error


def load_encoder(
    weights: Mapping[str, Tensor], family: Family, shape: Shape, config: Mapping[str, Any], where: str
) -> Loaded:
    """Build the encoder and give it its weights. One `WeightsError` lists everything that is wrong."""
    prefix = next((p for p in family.prefixes if any(name.startswith(p) for name in weights)), "")
    inside = {name[len(prefix) :]: t for name, t in weights.items() if name.startswith(prefix)}
    outside = {name: t for name, t in weights.items() if not name.startswith(prefix)}
    beside = _patterns_beside(family, config)
    ours, unknown = to_ours(inside, family.names, family.ignored)
    # transformers 5 writes the prefix on a part of the names only for ViT-MSN's classifier
    spare, _ = to_ours(outside, family.names)
    left_over = [name for name in unknown if not any(rule.pattern.fullmatch(name) for rule in beside)]
    rest = outside | {name: inside[name] for name in unknown}
    encoder = fill(shape, ours, left_over, f"{where} (family {family.name})", spare)
    return Loaded(encoder, family, prefix, rest, family.input_defaults(config))


def fill(
    shape: Shape,
    ours: Mapping[str, Tensor],
    left_over: list[str],
    where: str,
    spare: Mapping[str, Tensor] = MappingProxyType({}),
) -> Encoder:
    """An encoder of a shape with the given tensors (our names), or one error that lists all that does not fit.

    `spare` are tensors that are used only where `ours` lacks one.
    """
    with torch.device("meta"):
        encoder = Encoder(shape)
    wanted = encoder.state_dict()
    ours = {**{name: spare[name] for name in wanted.keys() & spare.keys()}, **ours}
    missing = sorted(wanted.keys() - ours.keys())
    extra = sorted(ours.keys() - wanted.keys()) + left_over
    fitted: dict[str, Tensor] = {}
    misfits = []
    for name in wanted.keys() & ours.keys():
        tensor = fit(ours[name], wanted[name].shape)
        if tensor is None:
            misfits.append(f"{name} is {_size(ours[name])} instead of {_size(wanted[name])}")
        else:
            fitted[name] = tensor
    complaints = [
        f"{len(found)} {what}: {_some(found)}"
        for what, found in (("missing", missing), ("left over", extra), ("of another shape", sorted(misfits)))
        if found
    ]
    if complaints:
        raise WeightsError(f"the weights of {where} do not fit: {'; '.join(complaints)}. Is the file whole?")
    encoder.load_state_dict(fitted, assign=True)
    return encoder.eval()


def reference_names(encoder: Encoder, family: Family, prefix: str = "") -> dict[str, Tensor]:
    """The encoder's tensors under the names and shapes of the reference's file; the inverse of `load_encoder`."""
    theirs, untaken = to_theirs(encoder.state_dict(), family.names)
    if untaken:
        raise WeightsError(f"family {family.name} has no name on disk for {_some(sorted(untaken))}.")
    return {prefix + name: tensor.contiguous() for name, tensor in theirs.items()}


def _patterns_beside(family: Family, config: Mapping[str, Any]) -> list[Any]:
    rules = list(family.pooler_row(config).names)
    rules += family.head.names if family.head else ()
    rules += family.projection.names if family.projection else ()
    return rules


def _size(tensor: Tensor) -> str:
    return "x".join(str(n) for n in tensor.shape) or "a number"


def _some(names: list[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
