"""What the files of a checkpoint say about its readout. Nothing is believed yet; every clue keeps its source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classtoken.encoder.checkpoint import Checkpoint
from classtoken.encoder.families.timm import timm_spec
from classtoken.errors import ModelError
from classtoken.model_folder import read_modules
from classtoken.pooling.table import POOLINGS

#: sentence-transformers' names of poolings, new and old -> ours.
ST_MODES = {row.sentence_transformers[0]: row.name for row in POOLINGS.values() if row.sentence_transformers}
ST_SWITCHES = {row.sentence_transformers[1]: row.name for row in POOLINGS.values() if row.sentence_transformers}
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


def sentence_transformers(folder: Path) -> PoolingClue | None:
    """All of modules.json: Transformer, Pooling (old and new keys), Dense, LayerNorm, Normalize, in order."""
    spec, steps, says = "", [], []
    for module in read_modules(folder):
        if module.kind == "Transformer":
            continue
        if module.kind == "Pooling":
            spec = _pooling_of(module.config, module.folder)
            says.append(f"{module.name}/config.json {_quoted_pooling(module.config)}")
        elif module.kind in ("Dense", "LayerNorm"):
            steps.append(Step("dense" if module.kind == "Dense" else "layer_norm", module.folder, module.config))
            says.append(f"{module.name} {module.kind}")
        elif module.kind == "Normalize":
            steps.append(Step("unit_length"))
            says.append("Normalize")
        else:
            raise ModelError(
                f"{folder / 'modules.json'} lists a module '{module.kind}' that is not known. Known are Transformer, "
                "Pooling, Dense, LayerNorm, Normalize. Leaving it out would give other vectors than the authors'."
            )
    return PoolingClue(spec, 0, "modules.json", ", ".join(says), tuple(steps)) if spec else None


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


def _pooling_of(config: Mapping[str, Any], place: Path) -> str:
    modes = config.get("pooling_mode")
    if modes is None:
        names = [spec for key, spec in ST_SWITCHES.items() if config.get(key)]
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
    return ", ".join(key for key in ST_SWITCHES if config.get(key))
