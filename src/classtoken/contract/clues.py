"""What the files of a checkpoint say about its readout. Nothing is believed yet; every clue keeps its source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classtoken.encoder.checkpoint import Checkpoint, read_json
from classtoken.encoder.families.timm import timm_spec
from classtoken.errors import ModelError

ST_MODES = {
    "cls": "cls",
    "lasttoken": "last",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weightedmean",
}
ST_OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "last",
}
TIMM_POOLS = {"token": "cls", "avg": "mean", "map": "pooler", "max": "max"}


@dataclass(frozen=True)
class Step:
    """Something done to the pooled vector: a dense layer or a norm, with the folder that holds its weights."""

    kind: str
    """`dense`, `layer_norm`, `unit_length`"""
    folder: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PoolingClue:
    """One source's word on the pooling. `rank` 0 is the strongest: the authors' own file for this very purpose."""

    spec: str
    rank: int
    source: str
    says: str
    steps: tuple[Step, ...] = ()
    include_prompt: bool = True


def transformer_folder(folder: Path) -> Path:
    """Where config.json and the weights are: the folder itself, or the Transformer module of sentence-transformers."""
    modules = folder / "modules.json"
    if modules.is_file():
        for module in _modules(modules):
            if str(module.get("type", "")).rsplit(".", 1)[-1] == "Transformer":
                return folder / str(module.get("path", ""))
    return folder


def sentence_transformers(folder: Path) -> PoolingClue | None:
    """All of modules.json: Transformer, Pooling (old and new keys), Dense, LayerNorm, Normalize, in order."""
    path = folder / "modules.json"
    if not path.is_file():
        return None
    spec, include_prompt, steps, says = "", True, [], []
    for module in _modules(path):
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        place = folder / str(module.get("path", ""))
        if kind == "Transformer":
            continue
        config = read_json(place / "config.json") if (place / "config.json").is_file() else {}
        if kind == "Pooling":
            spec, include_prompt = _pooling_of(config, place), bool(config.get("include_prompt", True))
            says.append(f"{module.get('path')}/config.json {_quoted_pooling(config)}")
        elif kind in ("Dense", "LayerNorm"):
            steps.append(Step("dense" if kind == "Dense" else "layer_norm", place, config))
            says.append(f"{module.get('path')} {kind}")
        elif kind == "Normalize":
            steps.append(Step("unit_length"))
            says.append("Normalize")
        else:
            raise ModelError(
                f"{path} lists a module '{kind}' that is not known. Known are Transformer, Pooling, Dense, LayerNorm, "
                "Normalize. Leaving it out would give other vectors than the authors'."
            )
    if not spec:
        return None
    return PoolingClue(spec, 0, "modules.json", ", ".join(says), tuple(steps), include_prompt)


def saved_readout(folder: Path) -> Mapping[str, Any] | None:
    """The readout that classtoken itself saved beside the weights."""
    path = folder / "classtoken.json"
    return read_json(path) if path.is_file() else None


def timm_pool(config: Mapping[str, Any]) -> PoolingClue | None:
    """timm's global_pool: of the model's own arguments, else of its pretrained_cfg.

    In a config that `timm_config` measured it is what timm's classifier reads, a norm after the mean and a distillation
    token included.
    """
    if "pool" in config and "architecture" in config:
        also = [
            word
            for word, there in (("fc_norm", config["fc_norm"]), ("dist_token", config["distillation_tokens"]))
            if there
        ]
        says = " and ".join([f"global_pool = {config['pool']}", *(f"{name} among the weights" for name in also)])
        return PoolingClue(timm_spec(config), 1, "config.json", says)
    inner = {**dict(config.get("pretrained_cfg") or {}), **dict(config.get("model_args") or {})}
    pool = config.get("global_pool") or inner.get("global_pool")
    if pool not in TIMM_POOLS:
        return None
    return PoolingClue(TIMM_POOLS[pool], 1, "config.json", f"global_pool = {pool}")


def card_pooling(checkpoint: Checkpoint) -> PoolingClue | None:
    """What the model card's own example code does, where it is plain."""
    card = checkpoint.card
    patterns = (
        (r"def mean_pooling\(|mean[_ ]pooling\(", "mean"),
        (r"cls[_ ]pooling|last_hidden_state\[:, ?0\]|model_output\[0\]\[:, ?0\]", "cls"),
        (r"last_token_pool", "last"),
    )
    found = [(spec, match.group(0)) for pattern, spec in patterns if (match := re.search(pattern, card))]
    if len({spec for spec, _ in found}) != 1:
        return None
    return PoolingClue(found[0][0], 3, "README.md", f"its example has '{found[0][1].strip()}'")


def prompts_of(folder: Path) -> tuple[Mapping[str, str], str | None]:
    """Prompts by name, and the name of the default one, from config_sentence_transformers.json."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return {}, None
    config = read_json(path)
    prompts = config.get("prompts") or {}
    default = config.get("default_prompt_name")
    return {str(k): str(v) for k, v in prompts.items()}, default if default in prompts else None


def _modules(path: Path) -> list[Mapping[str, Any]]:
    import json

    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} is no readable JSON file ({error}). Copy the file again.") from error
    if not isinstance(value, list) or not all(isinstance(m, dict) for m in value):
        raise ModelError(f"{path} is not a list of modules.")
    return sorted(value, key=lambda m: m.get("idx", 0))


def _pooling_of(config: Mapping[str, Any], place: Path) -> str:
    modes = config.get("pooling_mode")
    if modes is None:
        names = [spec for key, spec in ST_OLD_KEYS.items() if config.get(key)]
    else:
        modes = modes.split("+") if isinstance(modes, str) else list(modes)
        unknown = [m for m in modes if m not in ST_MODES]
        if unknown:
            raise ModelError(f"{place}/config.json has pooling_mode {unknown[0]!r}; known are {', '.join(ST_MODES)}.")
        names = [ST_MODES[m] for m in modes]
    if not names:
        raise ModelError(f"{place}/config.json switches on no pooling mode.")
    return "+".join(names)


def _quoted_pooling(config: Mapping[str, Any]) -> str:
    if "pooling_mode" in config:
        return f"pooling_mode {config['pooling_mode']}"
    return ", ".join(key for key in ST_OLD_KEYS if config.get(key))
