"""What the files of a checkpoint say about its readout. Nothing is believed yet; every clue keeps its source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classtoken.contract.modules import Step, follow
from classtoken.encoder.checkpoint import Checkpoint
from classtoken.encoder.families.row import AuthorsReadout
from classtoken.encoder.families.timm import timm_spec

#: Rank of what an experiment on the model shows: behind every file, before the habits of a family.
EXPERIMENT = 8
TIMM_POOLS = {"token": "cls", "avg": "mean", "map": "pooler", "max": "max"}


@dataclass(frozen=True)
class PoolingClue:
    """One source's word on the pooling. `rank` 0 is the strongest: the authors' own file for this very purpose."""

    spec: str
    rank: int
    source: str
    says: str
    steps: tuple[Step, ...] = ()
    """what is done to the pooled vector"""
    before: tuple[Step, ...] = ()
    """what is done to every token's state before the pooling"""


def sentence_transformers(folder: Path) -> PoolingClue | None:
    """All of modules.json, in order. Raises `ModelError` and `UnsupportedModel` as `modules.follow` does."""
    flow = follow(folder)
    if flow is None or flow.pooling is None:
        return None
    return PoolingClue(flow.pooling, 0, "modules.json", ", ".join(flow.says), flow.after, flow.before)


def timm_pool(config: Mapping[str, Any], authors: AuthorsReadout | None) -> tuple[PoolingClue, ...]:
    """timm's global_pool: of the model's own arguments, else of its pretrained_cfg.

    In a config that `timm_config` measured it is what timm's classifier reads, a norm after the mean and a distillation
    token included. Where it is timm's default against the authors' word and no classifier reads it, theirs comes first.
    """
    if "pool" in config and "architecture" in config:
        also = [
            word
            for word, there in (("fc_norm", config["fc_norm"]), ("dist_token", config["distillation_tokens"]))
            if there
        ]
        says = " and ".join([f"global_pool = {config['pool']}", *(f"{name} among the weights" for name in also)])
        clue = PoolingClue(timm_spec(config), 1, "config.json", says)
        if config["pool_by_timm"] and authors is not None:
            return PoolingClue(authors.spec, 1, authors.source, authors.reason), clue
        return (clue,)
    inner = [config, config.get("model_args") or {}, config.get("pretrained_cfg") or {}]
    pool = next((place["global_pool"] for place in inner if place.get("global_pool")), None)
    if pool not in TIMM_POOLS:
        return ()
    return (PoolingClue(TIMM_POOLS[pool], 1, "config.json", f"global_pool = {pool}"),)


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
