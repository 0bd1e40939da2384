"""A head, or a learned pooling and a head, on the frozen features of a MODEL."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.head import Head, LinearHead, MlpHead, make_head
from classtoken.learning.data.batches import Feed, split
from classtoken.learning.data.features import Features, features
from classtoken.learning.data.labels import check, classes_of, targets_of
from classtoken.learning.loop.loop import Loop
from classtoken.learning.loop.seeds import WEIGHTS, seed_of
from classtoken.learning.model import new_readout, pooling_arguments, width_of
from classtoken.learning.objectives.supervised import Task, class_weights
from classtoken.learning.recipe import LoopOptions, OptimiserOptions, Recipe
from classtoken.learning.ways.heads import (
    ADAMW_RATES,
    SGD_RATES,
    FrozenStates,
    FrozenVectors,
    Grid,
    OnStates,
    OnVectors,
)
from classtoken.learning.ways.logistic import Tried, fit_logistic
from classtoken.pooling.spec import Spec, parse
from classtoken.readout.readout import Readout
from classtoken.values import Record, Refused

FROZEN_HEADS = ("linear", "cosine", "mlp")


@dataclass(frozen=True)
class Fitted:
    """A readout and a head, what was tried to find them, and the rows that they were judged on."""

    readout: Readout
    head: Head
    arguments: dict[str, dict[str, Any]]
    labels: tuple[str, ...]
    several: bool
    tried: tuple[Tried, ...]
    chosen: str
    logits: Tensor
    """of the held-out rows, by the head that was learned without them"""
    targets: Tensor
    records: int
    learned: int
    refused: tuple[Refused, ...]
    cached: bool
    steps: int = 0


def train_frozen(
    recipe: Recipe, embedder: Embedder, records: Sequence[Record], out: Path, *, modality: str, device: str
) -> Fitted:
    """Features once, then the head: logistic regression for `linear`, a grid of learning rates for everything else."""
    if recipe.head.kind not in FROZEN_HEADS:
        raise OptionError(
            f"head '{recipe.head.kind}' belongs to an encoder from scratch, with tokens of its own for it; on frozen "
            f"vectors there are {', '.join(FROZEN_HEADS)}."
        )
    spec = parse(recipe.pooling)
    learned_pooling = any(term.learned or term.about.length != "any" for term in spec.terms)
    found = features(embedder, records, out, modality=modality, pooling=recipe.pooling, tokens=learned_pooling)
    labels, several = classes_of(found.records)
    check(found.records, labels)
    targets = targets_of(found.records, labels, several)
    given = [record.label for record in found.records]
    rows, held = split(given, recipe.data.held_out or 0.1, recipe.loop.seed)
    balanced = recipe.objective.class_weights == "balanced"
    if learned_pooling:
        return _pooled(recipe, embedder, spec, found, labels, several, targets, (rows, held), out, modality, device)
    vectors = found.arrays["vectors"]
    readout = embedder.tower(modality).reading.readout(spec)
    steps = 0
    judge: Head
    made: Head
    if recipe.head.kind == "linear":
        numbers = targets.numpy()
        judge, _ = fit_logistic(
            vectors[rows.numpy()], numbers[rows.numpy()], several=several, balanced=balanced, seed=recipe.loop.seed
        )
        head, tried = fit_logistic(vectors, numbers, several=several, balanced=balanced, seed=recipe.loop.seed)
        chosen = max(tried, key=lambda t: t.score).setting
        made = head
    else:
        made, judge, tried, chosen, steps = _grid_on_vectors(
            recipe, vectors, targets, labels, several, (rows, held), out, device
        )
    with torch.no_grad():
        logits = judge(torch.from_numpy(vectors[held.numpy()]).float()).float()
    return Fitted(
        readout, made, {}, labels, several, tried, chosen, logits, targets[held], len(found.records), len(rows),
        found.refused, found.cached, steps,
    )  # fmt: skip


def _grid_on_vectors(
    recipe: Recipe,
    vectors: np.ndarray,
    targets: Tensor,
    labels: Sequence[str],
    several: bool,
    parts: tuple[Tensor, Tensor],
    out: Path,
    device: str,
) -> tuple[Head, Head, tuple[Tried, ...], str, int]:
    """Cosine and mlp heads: DINOv2's grid of learning rates with SGD; the best on the held-out rows is taken."""
    x = torch.from_numpy(np.asarray(vectors, dtype=np.float32))
    plain = recipe.head.kind == "cosine"
    mean = torch.zeros(x.shape[1]) if plain else x[parts[0]].mean(0)
    scale = torch.ones(x.shape[1]) if plain else x[parts[0]].std(0).clamp(min=1e-6)
    seed = seed_of(recipe.loop.seed, WEIGHTS)
    candidates = [
        OnVectors(
            make_head(recipe.head.kind, x.shape[1], len(labels), hidden=recipe.head.hidden, seed=seed), mean, scale
        )
        for _ in SGD_RATES
    ]
    data = FrozenVectors(x.to(device), targets.to(device))
    names = [f"learning rate {rate:g}" for rate in SGD_RATES]
    best, tried, steps = _run_grid(
        recipe, candidates, SGD_RATES, "sgd", data, parts, several, len(labels), out, device, names
    )
    head = candidates[best].head
    if not plain:
        _fold(head, mean, scale)
    return head, head, tried, names[best], steps


def _pooled(
    recipe: Recipe,
    embedder: Embedder,
    spec: Spec,
    found: Features,
    labels: Sequence[str],
    several: bool,
    targets: Tensor,
    parts: tuple[Tensor, Tensor],
    out: Path,
    modality: str,
    device: str,
) -> Fitted:
    """A learned pooling with its head, AdamW, a grid of learning rates, on the cached states of every token."""
    reading = embedder.tower(modality).reading
    roles = torch.from_numpy(found.arrays["roles"])
    grid = embedder.tower(modality).layout.grid
    positions = int(torch.isin(roles, torch.tensor(sorted(reading.over))).sum(1).max())
    size = reading.encoder.hidden_size
    data = FrozenStates(torch.from_numpy(found.arrays["states"]).to(device), roles.to(device), targets.to(device), grid)
    candidates = []
    for _ in ADAMW_RATES:
        seed = seed_of(recipe.loop.seed, WEIGHTS)
        readout = new_readout(spec, reading.encoder, reading.over, positions=positions, grid=grid, seed=seed)
        width = width_of(readout, size)
        head = make_head(recipe.head.kind, width, len(labels), hidden=recipe.head.hidden, seed=seed)
        candidates.append(OnStates(readout, head))
    names = [f"learning rate {rate:g}" for rate in ADAMW_RATES]
    best, tried, steps = _run_grid(
        recipe, candidates, ADAMW_RATES, "adamw", data, parts, several, len(labels), out, device, names
    )
    chosen = candidates[best].cpu().eval()
    with torch.no_grad():
        pieces = [chosen(data.plain(rows).views[0].to("cpu")) for rows in parts[1].split(256)]
    return Fitted(
        chosen.readout, chosen.head, pooling_arguments(spec, reading.encoder, positions, grid), tuple(labels), several,
        tried,
        names[best], torch.cat(pieces).float(), targets[parts[1]], len(found.records), len(parts[0]), found.refused,
        found.cached, steps,
    )  # fmt: skip


def _run_grid(
    recipe: Recipe,
    candidates: Sequence[torch.nn.Module],
    rates: Sequence[float],
    kind: str,
    data: FrozenVectors | FrozenStates,
    parts: tuple[Tensor, Tensor],
    several: bool,
    classes: int,
    out: Path,
    device: str,
    names: Sequence[str],
) -> tuple[int, tuple[Tried, ...], int]:
    """Train all candidates at once and say which is best on the held-out rows."""
    task: Task = "multi" if several else "single"
    weights = None
    if recipe.objective.class_weights == "balanced":
        weights = class_weights(data.targets[parts[0].to(data.targets.device)], classes)
    batch = min(recipe.loop.batch, max(1, len(parts[0])))
    scaled = [rate * batch / 256 if kind == "sgd" else rate for rate in rates]
    grid = Grid(candidates, scaled, task, weights)
    options = LoopOptions(epochs=recipe.loop.epochs, batch=batch, seed=recipe.loop.seed, keep="last")
    moving = OptimiserOptions(
        kind="sgd" if kind == "sgd" else "adamw",
        weight_decay=0.0 if kind == "sgd" else 0.01,
        warmup=0.0,
        final=0.0,
        clip=0,
    )
    mark = f"{recipe.essence()}{len(data)}{kind}"
    feeds = [Feed(data, rows, batch, recipe.loop.seed) for rows in parts]
    loop = Loop(grid, feeds[0], feeds[1], options, moving, folder=out, fingerprint=mark, device=device, title="head")
    outcome = loop.run()
    last = outcome.looks[-1]
    scores = [last[f"candidate_{i}"] for i in range(len(candidates))]
    grid.cpu().eval()
    tried = tuple(Tried(name, score) for name, score in zip(names, scores, strict=True))
    return int(np.argmax(scores)), tried, outcome.steps


def _fold(head: Head, mean: Tensor, scale: Tensor) -> None:
    """Standardisation moved into the first layer, so that the head reads raw vectors."""
    assert isinstance(head, LinearHead | MlpHead)
    first = head.output if isinstance(head, LinearHead) else head.dense
    with torch.no_grad():
        first.weight.div_(scale)
        first.bias.sub_(first.weight @ mean)
