"""Read a checkpoint's files: config, safetensors, and what else lies in the folder. Nothing is executed, ever."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.overrides import TorchFunctionMode

from classtoken.encoder.adapter import Adapter, adapter_in, base_folder
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.families.row import Family
from classtoken.encoder.families.table import family_of
from classtoken.encoder.locate import ELSEWHERE, locate, no_model
from classtoken.encoder.names import fit, to_ours, to_theirs
from classtoken.encoder.shape import Shape
from classtoken.errors import ModelError, UnsafeCheckpoint, UnsupportedModel, WeightsError
from classtoken.model_folder import is_pointer, read_json, transformer_folder
from classtoken.values import NO_DEFAULTS, InputDefaults

PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth", "open_clip_pytorch_model.bin")
WEIGHTS = ("model.safetensors", "open_clip_model.safetensors")
INDEX = "model.safetensors.index.json"
#: Files of tensors that belong to something else than the encoder.
OTHERS = ("adapter_model.safetensors", "classtoken.safetensors", "golden.safetensors")
#: Frameworks, by the header of a safetensors file, whose tensors are laid out as torch's.
FORMATS = ("pt", "mlx")
#: What DistributedDataParallel, torch.compile, sentence-transformers and training frameworks put before every name.
WRAPPERS = ("module.", "_orig_mod.", "base_model.model.", "0.auto_model.", "0.model.", "auto_model.", "model.")


@dataclass(frozen=True)
class WeightFiles:
    """The tensors of one or several safetensors files, read by name when they are asked for."""

    files: Mapping[str, Path]
    """name of a tensor -> the file it is in"""
    wrapper: str = ""
    """what every name has before it in the files, put there by whatever the model was wrapped in"""
    adapters: tuple[Adapter, ...] = ()
    """merged into the tensors as they are read"""

    @property
    def altered(self) -> bool:
        """Whether names or tensors are not those in the files."""
        return bool(self.wrapper or self.adapters)

    @property
    def stamp(self) -> str:
        """What changes with the files: where they are, their sizes and when they were written."""
        files = [path.resolve() for path in (*self.paths, *(adapter.file for adapter in self.adapters))]
        return json.dumps([(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files])

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
        return {name.removeprefix(self.wrapper): size for name, size in found.items()}

    def dtypes(self) -> dict[str, str]:
        """The type of every tensor's numbers as the headers spell it."""
        found: dict[str, str] = {}
        for path in self.paths:
            with safe_open(path, framework="pt") as file:
                found |= {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118
        return {name.removeprefix(self.wrapper): dtype for name, dtype in found.items()}

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
                        tensor = file.get_tensor(self.wrapper + name)
                        tensors[name] = self._merged(name, tensor.float() if tensor.is_floating_point() else tensor)
            except (SafetensorError, OSError) as error:
                raise WeightsError(f"{path} cannot be read ({error}). Copy the file again.") from error
        return tensors

    def unwrapped(self) -> "WeightFiles":
        """Without the prefix that all names have from a wrapper (`module.`, `_orig_mod.`, `0.auto_model.`)."""
        wrapper = next((w for w in WRAPPERS if self.files and all(name.startswith(w) for name in self.files)), "")
        if not wrapper:
            return self
        inside = {name.removeprefix(wrapper): path for name, path in self.files.items()}
        return replace(self, files=inside, wrapper=self.wrapper + wrapper).unwrapped()

    def _merged(self, name: str, tensor: Tensor) -> Tensor:
        for adapter in self.adapters:
            tensor = adapter.applied(name, tensor)
        return tensor


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
class Meant:
    """Which vector a foreign model's authors meant, as far as experiments on it show."""

    spec: str | None
    """a pooling; None: something was found that a guess might miss, so that a pooling must be named"""
    says: str
    unit_length: bool = False
    """whether the two sides of a model compare it at unit length"""


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder with its weights, and what the checkpoint holds besides."""

    encoder: Any
    """an `Encoder`; for models that are not read natively (`family` None) another `protocol.AnyEncoder`"""
    family: Family | None
    prefix: str
    rest: Mapping[str, Tensor] = field(default_factory=dict)
    """tensors that the encoder did not take, names without the prefix: pooler, classifier, projection, others"""
    inputs: InputDefaults = NO_DEFAULTS
    """how inputs are prepared where the folder's files are silent"""
    meant: Meant | None = None
    """of a foreign model; None where nothing speaks against the mean"""
    pooled_size: int | None = None
    """numbers of the pooled output that a foreign model computes with weights of the file; None where it has none"""


def open_checkpoint(folder: Path) -> Checkpoint:
    """Config and weight names of a folder, nothing read yet but the headers.

    A PEFT adapter in the folder is merged into the base that lies there too, or into that which it names. Raises
    `ModelError` (no model folder), `UnsafeCheckpoint` (pickle files only), `WeightsError` (truncated file).
    """
    adapter = adapter_in(folder)
    if adapter is not None:
        whole = (folder / "config.json").is_file() and _holds_weights(folder)
        base = _opened(folder) if whole else open_checkpoint(transformer_folder(base_folder(adapter, locate)))
        adapters = (*base.weights.adapters, adapter.on(base.weights.names, base.model_type, family_of(base.config)))
        return replace(base, weights=replace(base.weights, adapters=adapters))
    return _opened(folder)


#: Tensors of a file that needs no config to be understood.
MOST_WITHOUT_CONFIG = 3


def _opened(folder: Path) -> Checkpoint:
    configs = (read_json(folder / name) for name in ("config.json", "open_clip_config.json"))
    config = next((config for config in configs if config is not None), None)
    if config is None and _holds_weights(folder):  # a table of word pieces has none; whoever reads it says so otherwise
        weights = weight_files(folder).unwrapped()
        if len(weights.names) <= MOST_WITHOUT_CONFIG:
            return Checkpoint(folder, {}, weights)
    if config is None:
        raise ModelError(no_model(folder))
    _check_depth(config, folder)
    return Checkpoint(folder, config, weight_files(folder).unwrapped())


#: More blocks than any model has: building them would not end.
MOST_BLOCKS = 10_000
#: Keys that count blocks; `vocab_size_per_layer_input` does not.
COUNTS_BLOCKS = re.compile(r"(layers|n_layer|depth)$")


def _check_depth(config: Mapping[str, Any], folder: Path) -> None:
    for key, value in dict(config).items():
        if isinstance(value, Mapping):
            _check_depth(value, folder)
        elif COUNTS_BLOCKS.search(key) and isinstance(value, int) and value > MOST_BLOCKS:
            raise ModelError(
                f"the config of '{folder}' says {key} {value}, and no model is that deep; copy the file again."
            )


def _holds_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (*WEIGHTS, INDEX, *PICKLES))


def weight_files(folder: Path) -> WeightFiles:
    """Which safetensors files hold which tensors: one file, else several with an index.

    As in transformers one file wins over an index, which a folder that was saved again may keep, and what the files
    themselves hold wins over what the index says.
    """
    single = next((folder / n for n in WEIGHTS if (folder / n).is_file()), None)
    index = read_json(folder / INDEX) if single is None else None
    places = dict((index or {}).get("weight_map") or {})
    if index is not None:
        lost = sorted({f for f in places.values() if not (folder / f).is_file()})
        if lost or not places:
            raise WeightsError(f"'{folder}' lacks {', '.join(lost) or 'weights'}, named by {INDEX}. Copy them too.")
    paths = [folder / file for file in sorted(set(places.values()))] if index else [_one_file(single, folder)]
    found: dict[str, Path] = {}
    for path in paths:
        found |= dict.fromkeys(_names(path), path)
    absent = sorted(places.keys() - found.keys())
    if absent:
        raise WeightsError(
            f"'{folder}': {INDEX} names {_some(absent)}, and no file holds {'it' if len(absent) == 1 else 'them'}. "
            "The index belongs to other files; copy all of them again."
        )
    return WeightFiles(found)


def _one_file(path: Path | None, folder: Path) -> Path:
    """The file, if there is one."""
    if path is None:
        pickles = [name for name in PICKLES if (folder / name).is_file()]
        if pickles:
            raise UnsafeCheckpoint(
                f"'{folder}' has only pickle weights ({pickles[0]}), which can run code when opened. Convert them "
                "where you trust them: save_pretrained(..., safe_serialization=True), then name the new folder."
            )
        raise ModelError(f"'{folder}' holds no model.safetensors{_instead_of_weights(folder)}")
    return path


def _instead_of_weights(folder: Path) -> str:
    """What lies there instead, and what to do: the end of a sentence."""
    link = next((folder / name for name in (*WEIGHTS, INDEX) if (folder / name).is_symlink()), None)
    if link is not None:
        return f": the link of that name leads to nothing ({link.readlink()}). Download the model again."
    if (inside := next((name for name in (*WEIGHTS, INDEX) if (folder / name).is_dir()), None)) is not None:
        return f": {inside} is a folder. Copy the file again."
    listed = sorted((*folder.iterdir(), *folder.glob("onnx/*")))
    for ending, words in ELSEWHERE.items():
        found = next((path for path in listed if path.name.endswith(ending) and path.is_file()), None)
        if found is not None and found.name not in OTHERS:
            return f", but {found.relative_to(folder)}: {words}."
    if (folder.parent.name, folder.parent.parent.name[:8]) == ("snapshots", "models--"):
        return ": the download was not finished. Download the model again."
    return ". Name a folder with weights in safetensors."


def _names(path: Path) -> list[str]:
    """The tensors of one file, by its header. Raises `UnsupportedModel` for tensors laid out for another framework."""
    try:
        with safe_open(path, framework="pt") as file:
            written_for = (file.metadata() or {}).get("format", "pt")
            names = list(file.keys())
    except (SafetensorError, OSError) as error:
        if is_pointer(path):
            raise WeightsError(
                f"{path} is a Git LFS pointer: its weights were not downloaded. Run 'git lfs pull' there."
            ) from error
        raise WeightsError(f"{path} cannot be read ({error}). Copy the file again.") from error
    if written_for not in FORMATS:
        raise UnsupportedModel(
            f"the header of {path} says format {written_for!r}: its tensors may be laid out otherwise. Known are "
            f"{', '.join(FORMATS)}; save the model with torch."
        )
    return names


def load_encoder(
    weights: Mapping[str, Tensor], family: Family, shape: Shape, config: Mapping[str, Any], where: str
) -> LoadedEncoder:
    """Build the encoder and give it its weights. One `WeightsError` lists everything that is wrong."""
    prefix = next((p for p in family.prefixes if any(name.startswith(p) for name in weights)), "")
    inside = {name[len(prefix) :]: t for name, t in weights.items() if name.startswith(prefix)}
    outside = {name: t for name, t in weights.items() if not name.startswith(prefix)}
    beside = _patterns_beside(family, config)
    ours, unknown = to_ours(inside, family.names, family.ignored)
    # transformers 5 writes the prefix on a part of the names only for ViT-MSN's classifier
    spare, _ = to_ours(outside, family.names)
    left_over = [name for name in unknown if not any(rule.pattern.fullmatch(name) for rule in beside)]
    # what stands under a name of its own is a head of one's own, which the reference passes over as well
    places = {rule.theirs.split(".")[0] for rule in family.names}
    left_over = [name for name in left_over if name.split(".")[0] in places]
    rest = outside | {name: inside[name] for name in unknown}
    encoder = fill(shape, ours, left_over, f"{where} (family {family.name})", spare)
    return LoadedEncoder(encoder, family, prefix, rest, family.input_defaults(config))


class Undrawn(TorchFunctionMode):
    """While it lasts new modules draw no random numbers: their weights come out of a file.

    On the meta device torch would import its whole compiler for the drawing (0.7 s).
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


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
    with torch.device("meta"), Undrawn():
        encoder = Encoder(shape)
    wanted = encoder.state_dict()
    ours = {**{name: spare[name] for name in wanted.keys() & spare.keys()}, **ours}
    missing = sorted(wanted.keys() - ours.keys())
    extra = sorted(name for name in ours.keys() - wanted.keys() if ours[name].numel()) + left_over
    fitted: dict[str, Tensor] = {}
    misfits, quantised = [], []
    for name in wanted.keys() & ours.keys():
        tensor = fit(ours[name], wanted[name].shape)
        if tensor is not None and wanted[name].is_floating_point() and not tensor.is_floating_point():
            quantised.append(f"{name} ({str(tensor.dtype).removeprefix('torch.')})")
        elif tensor is None:
            misfits.append(f"{name} is {_size(ours[name])} instead of {_size(wanted[name])}")
        else:
            fitted[name] = tensor
    complaints = [
        f"{len(found)} {what}: {_some(found)}"
        for what, found in (
            ("missing", missing),
            ("left over", extra),
            ("of another shape", sorted(misfits)),
            ("whole numbers, quantised, which need the scales of the library that made them", sorted(quantised)),
        )
        if found
    ]
    if complaints:
        whole = "Is the file whole?"
        if quantised or any(name.endswith(SCALES) for name in left_over):
            whole = "They are quantised: take the weights that were not, or turn them back with what quantised them."
        raise WeightsError(f"the weights of {where} do not fit: {'; '.join(complaints)}. {whole}")
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


#: How tensors are called that quantised weights need: bitsandbytes', GPTQ's and AWQ's, fp8's, compressed-tensors'.
SCALES = (
    *(".SCB", ".absmax", ".quant_map", "bitsandbytes__nf4", "bitsandbytes__fp4", ".qweight", ".qzeros", ".scales"),
    *(".weight_scale", ".weight_scale_inv", ".weight_packed", ".input_scale", "._scale", ".g_idx"),
)


def check_finite(encoder: Any, where: str) -> None:
    """Raise `WeightsError` for weights that hold NaN or infinity; a sum shows it in one pass."""
    broken = [
        name
        for name, tensor in encoder.state_dict().items()
        if tensor.is_floating_point() and not (torch.isfinite(tensor.sum()) or torch.isfinite(tensor).all())
    ]
    if broken:
        raise WeightsError(
            f"the weights of {where} do not fit: {len(broken)} not finite: {_some(sorted(broken))}. Is the file whole?"
        )


def _size(tensor: Tensor) -> str:
    return "x".join(str(n) for n in tensor.shape) or "a number"


def _some(names: list[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
