"""PEFT's adapters: low-rank changes of a base model's weights, merged into them when they are read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from classtoken.encoder.families.row import Family
from classtoken.encoder.names import meanings
from classtoken.errors import ClasstokenError, ModelError, UnsafeCheckpoint, UnsupportedModel, WeightsError
from classtoken.model_folder import read_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
#: `base_model.model.encoder.layer.0.query.lora_A.weight` -> module and part; also `lora_A.default.weight`.
PART = re.compile(r"(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(?:\.(.+))?")
#: Ways to begin a LoRA that leave the base as it is; others change the base's weights too.
PLAIN_BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal", "mini_lora")
#: Types whose matrices are stored as (in, out), in transformers' Conv1D.
TRANSPOSED = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer")
#: Settings of LoRA that change what is computed and are not done here.
NOT_DONE = (
    *("use_qalora", "alora_invocation_tokens", "layer_replication", "target_parameters", "trainable_token_indices"),
    *("arrow_config", "use_bdlora", "velora_config", "monteclora_config"),
)


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: W becomes W + scale * B A, with scale = alpha / r, or alpha / sqrt(r) (rsLoRA).

    With DoRA every row of the sum (every column of a table of words) is brought to its trained length. Whole weights
    that were trained beside the low-rank ones (`modules_to_save`, `bias`) take the place of the base's. Hu et al. 2021;
    Liu et al. 2024; as `peft` merges.
    """

    folder: Path
    settings: Mapping[str, Any]
    targets: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    """name of the base's weight -> parts of its change"""
    modules: Mapping[str, str] = field(default_factory=dict)
    """name of the base's weight -> the module as the adapter calls it"""
    transposed: bool = False
    """the base's matrices are stored as (in, out): peft goes by the module's class, whatever `fan_in_fan_out` says"""

    @property
    def file(self) -> Path:
        """Its weights."""
        return self.folder / WEIGHTS

    def applied(self, name: str, weight: Tensor) -> Tensor:
        """A weight of the base as the adapter makes it. Raises `WeightsError` for parts of another size."""
        parts = self.targets.get(name)
        if parts is None:
            return weight
        parts = {part: tensor.float() for part, tensor in parts.items()}
        changed = parts.pop("whole", weight)  # a whole weight may be changed in turn: peft keeps tables of words so
        if "bias" in parts:
            changed = changed + self._scale(name, parts) * parts["bias"]
        elif parts:
            changed = self._changed(name, changed, parts)
        if changed.shape != weight.shape:
            raise WeightsError(
                f"{self.folder / WEIGHTS}: the change of {name} is {tuple(changed.shape)}, the base's weight "
                f"{tuple(weight.shape)}. The adapter belongs to another base."
            )
        return changed

    def _changed(self, name: str, weight: Tensor, parts: Mapping[str, Tensor]) -> Tensor:
        scale = self._scale(name, parts)
        if "lora_embedding_A" in parts:
            change = scale * (parts["lora_embedding_B"] @ parts["lora_embedding_A"]).T
            found = weight + change if weight.shape == change.shape else change
            if "lora_magnitude_vector" in parts:  # a table's columns are what a matrix's rows are
                found = found * (parts["lora_magnitude_vector"].flatten() / found.norm(dim=0))
            return found
        low, high = parts["lora_A"], parts["lora_B"]
        change = scale * torch.tensordot(high.flatten(1), low, 1)
        if self.transposed:
            weight = weight.T
        if weight.shape != change.shape:
            return change  # `applied` says what does not fit
        found = weight + change
        if "lora_magnitude_vector" in parts:
            found = found * (parts["lora_magnitude_vector"].flatten() / found.norm(dim=1))[:, None]
        return found.T if self.transposed else found

    def _scale(self, name: str, parts: Mapping[str, Tensor]) -> float:
        module = self.modules[name]
        rank = _patterned(self.settings.get("rank_pattern"), module, self.settings.get("r", 8))
        alpha = _patterned(self.settings.get("alpha_pattern"), module, self.settings.get("lora_alpha", 8))
        return float(alpha / (rank**0.5 if self.settings.get("use_rslora") else rank))


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter's folder before its base is known."""

    folder: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        """adapter_config.json."""
        return read_json(self.folder / CONFIG) or {}

    @property
    def base(self) -> str:
        """The base as the adapter names it."""
        return str(self.settings.get("base_model_name_or_path") or "")

    def on(self, names: Iterable[str], kind: str = "", family: Family | None = None) -> Adapter:
        """The adapter on a base of a `model_type` with weights of these names; `family` knows other names of theirs.

        Raises `UnsupportedModel`, `WeightsError`.
        """
        self._check()
        known = list(names)
        targets: dict[str, dict[str, Tensor]] = {}
        modules: dict[str, str] = {}
        for stored, tensor in self._tensors().items():
            found = PART.fullmatch(stored)
            module = stored.rpartition(".")[0] if found is None else found[1]
            end, part = ("", "whole") if found is None else (".weight", found[2])
            if found is not None and found[3] == "bias":
                end, part = ".bias", "bias"
            name = self._of_base(module + end if end else stored, known, family)
            targets.setdefault(name, {})[part], modules[name] = tensor, module
        self._check_parts(targets, modules)
        return Adapter(self.folder, self.settings, targets, modules, kind in TRANSPOSED)

    def _check_rank(self, name: str, parts: Mapping[str, Tensor], module: str) -> None:
        """Refuse matrices of another rank than the settings say: the change is scaled by the one that is said."""
        low = parts.get("lora_A", parts.get("lora_embedding_A"))
        said = _patterned(self.settings.get("rank_pattern"), module, self.settings.get("r", 8))
        if low is not None and len(low) != said:
            raise WeightsError(
                f"the adapter in '{self.folder}' has rank {len(low)} for {name}, and its adapter_config.json says "
                f"{said} (r, rank_pattern), by which the change is scaled. Copy the adapter again."
            )

    def _check_parts(self, targets: Mapping[str, Mapping[str, Tensor]], modules: Mapping[str, str]) -> None:
        """Refuse weights that contradict the settings, which peft would pass over or draw at random."""
        blocks = self.settings.get("layers_to_transform")
        blocks = [blocks] if isinstance(blocks, int) else blocks
        for name, parts in targets.items():
            self._check_rank(name, parts, modules[name])
            low, dora = {"lora_A", "lora_embedding_A"} & {*parts}, bool(self.settings.get("use_dora"))
            if low and dora != ("lora_magnitude_vector" in parts):
                says, has = ("says", "no magnitudes") if dora else ("does not say", "magnitudes")
                raise WeightsError(
                    f"the adapter_config.json of the adapter in '{self.folder}' {says} use_dora, and {name} has {has}. "
                    "Copy the adapter again."
                )
            if {*parts} != {"whole"} and self._leaves_out(modules[name]):
                raise WeightsError(
                    f"the adapter in '{self.folder}' has weights for {name}, which target_modules and exclude_modules "
                    "of its adapter_config.json leave out. Copy the adapter again."
                )
            block = re.search(r"\.(\d+)\.", modules[name])
            if blocks and block is not None and int(block[1]) not in blocks:
                raise WeightsError(
                    f"the adapter in '{self.folder}' has weights for {name}, which layers_to_transform {blocks} leaves "
                    "out. Copy the adapter again."
                )

    def _leaves_out(self, module: str) -> bool:
        """Whether peft would put no adapter on a module, so that its weights in the file are passed over."""
        wanted, excluded = self.settings.get("target_modules"), self.settings.get("exclude_modules")
        missed = wanted not in (None, [], "", "all-linear") and not _among(module, wanted)
        return missed or (bool(excluded) and _among(module, excluded))

    def _check(self) -> None:
        kind = self.settings.get("peft_type")
        beginning = self.settings.get("init_lora_weights", True)
        odd = [key for key in NOT_DONE if self.settings.get(key)]
        if kind != "LORA":
            odd.insert(0, f"peft_type {kind!r}")
        elif beginning not in PLAIN_BEGINNINGS:
            odd.append(f"init_lora_weights {beginning!r}, which changes the base as well")
        if str(kind).endswith("_TUNING") or kind == "ADAPTION_PROMPT":
            raise UnsupportedModel(
                f"'{self.folder}' holds a PEFT adapter of peft_type {kind!r}: learned states beside those of the text, "
                "which no weights of a model can hold. Only LoRA is merged here; embed with peft itself."
            )
        if odd:
            raise UnsupportedModel(
                f"'{self.folder}' holds a PEFT adapter with {', '.join(odd)}; only LoRA is merged here. Merge it with "
                "peft: AutoPeftModel.from_pretrained(FOLDER).merge_and_unload().save_pretrained(NEW), and name NEW."
            )

    def _tensors(self) -> dict[str, Tensor]:
        path = self.folder / WEIGHTS
        if (self.folder / "adapter_model.bin").is_file() and not path.is_file():
            raise UnsafeCheckpoint(
                f"the adapter in '{self.folder}' has only pickle weights (adapter_model.bin), which can run code when "
                "opened. Save it with peft where you trust it (save_pretrained), then name the new folder."
            )
        try:
            with safe_open(path, framework="pt") as file:
                return {
                    _plain(name): file.get_tensor(name)
                    for name in file.keys()  # noqa: SIM118
                }
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"the adapter {path} cannot be read ({error}). Copy the file again.") from error

    def _of_base(self, name: str, known: list[str], family: Family | None) -> str:
        """The base's name for an adapter's: files of a task's model write a prefix that others leave out, and an
        adapter has the names of modules, which transformers 5 calls otherwise in files."""
        found = [one for one in known if one == name]
        found = found or [one for one in known if one.endswith("." + name) or name.endswith("." + one)]
        if not found and family is not None:
            wanted = meanings(name, family.names, family.prefixes)
            found = [one for one in known if wanted and meanings(one, family.names, family.prefixes) == wanted]
        if len(found) != 1:
            many = f"{len(found)} weights" if found else "no weight"
            raise WeightsError(
                f"the adapter in '{self.folder}' changes {name}, and its base has {many} of that name. It belongs to "
                f"another base{f': {self.base}' if self.base else ''}; or where modules have other names, merge it "
                "with peft (merge_and_unload) and name what that saves."
            )
        return found[0]


def adapter_in(folder: Path) -> AdapterFiles | None:
    """The adapter in a folder; None where there is none. Raises `ModelError` for one that lost its settings."""
    if not (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        raise ModelError(
            f"'{folder}' holds {WEIGHTS}, and no {CONFIG} that says how it is merged. Copy that file too, or take the "
            "adapter's weights out of the folder to have the base's vectors."
        )
    return AdapterFiles(folder) if (folder / CONFIG).is_file() else None


def base_folder(adapter: AdapterFiles, hub: Any) -> Path:
    """Where the base of an adapter lies that is alone in its folder: where it says, beside it, or on the hub.

    `hub` finds a folder by a hub id. Raises `ModelError`.
    """
    name, beside = adapter.base, adapter.folder.resolve().parent / Path(adapter.base).name
    for place in (Path(name).expanduser(), beside):
        if name and place.is_dir() and place.resolve() != adapter.folder.resolve():
            return place
    why = "no base is named (base_model_name_or_path)"
    if name:
        why = f"its base '{name}' is neither a folder nor beside it as '{beside.name}'"
        try:
            found: Path = hub(name, adapter.settings.get("revision"))
            return found
        except ClasstokenError:
            why += ", nor on the hub as far as it can be reached"
    raise ModelError(
        f"'{adapter.folder}' holds a PEFT adapter and no model, and {why}. Put the base's config.json and "
        f"model.safetensors into the adapter's folder, or the base's folder beside it."
    )


def _among(module: str, named: Any) -> bool:
    """peft's lists of modules: ends of names, or one regular expression for whole names."""
    if isinstance(named, str):
        return re.fullmatch(named, module) is not None
    return any(module == one or module.endswith(f".{one}") for one in named)


def _patterned(patterns: Mapping[str, Any] | None, module: str, usual: Any) -> Any:
    """peft's rank_pattern and alpha_pattern: the first whose regular expression the module's name ends with."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return usual


def _plain(name: str) -> str:
    """A name in the adapter's file without what peft's own modules put into it."""
    return name.removeprefix("base_model.model.").replace(".default.", ".").replace(".base_layer.", ".")
