"""A head, or a learned pooling and a head, on the frozen features of a MODEL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from classtoken.errors import OptionError
from classtoken.head import Head, make_head
from classtoken.learning.data.batches import Feed
from classtoken.learning.data.features import features
from classtoken.learning.data.frozen import FrozenStates, FrozenVectors
from classtoken.learning.data.labels import labelling
from classtoken.learning.data.split import groups_of, split
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.loop.loop import Loop
from classtoken.learning.loop.seeds import WEIGHTS, seed_of
from classtoken.learning.model import new_readout, pooling_arguments, width_of
from classtoken.learning.objectives.supervised import class_weights
from classtoken.learning.recipe import HeadOptions, LoopOptions, OptimiserOptions, Recipe
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.heads import ADAMW_RATES, SGD_RATES, HeadGrid, OnStates, OnVectors
from classtoken.learning.ways.logistic import FitTask, fit_logistic, logistic_head
from classtoken.learning.ways.trained import TrainedModel
from classtoken.pooling.spec import Spec, parse
from classtoken.readout.readout import Readout
from classtoken.results.train import Trial
from classtoken.values import Record

JUDGED_IN_FOLDS = 1000
"""rows below which a tenth of them says too little"""
FROZEN_HEADS = ("linear", "cosine", "mlp")
SGD = OptimiserOptions(kind="sgd", weight_decay=0.0, warmup=0.0, final=0.0, clip=0)
ADAMW = OptimiserOptions(kind="adamw", weight_decay=0.01, warmup=0.0, final=0.0, clip=0)


@dataclass(frozen=True)
class ChosenHead:
    """The readout and the head that were chosen among several, and how.

    `logits` are those of `judged` rows, by a head that was learned and chosen without them; None where there are none.
    """

    readout: Readout
    head: Head
    logits: Tensor | None
    trials: tuple[Trial, ...]
    chosen: str
    steps: int = 0
    judged: Tensor | None = None
    folds: int = 0
    pooling_arguments: dict[str, dict[str, Any]] | None = None
    shipped: Tensor | None = None
    """logits of the held-out rows with the settings that are shipped, where those of `logits` were chosen anew"""


def train_frozen(run: TrainingRun, records: Sequence[Record]) -> TrainedModel:
    """Features once, then the head: logistic regression for `linear`, a grid of learning rates for everything else."""
    recipe, tower = run.recipe, run.embedder.tower(run.modality)
    if recipe.head.kind not in FROZEN_HEADS:
        raise OptionError(
            f"head '{recipe.head.kind}' belongs to an encoder from scratch, with tokens of its own for it; on frozen "
            f"vectors there are {', '.join(FROZEN_HEADS)}."
        )
    spec = parse(recipe.pooling)
    pooled_later = any(term.learned or term.about.length != "any" for term in spec.terms)
    if not recipe.data.held_out and (pooled_later or recipe.head.kind != "linear"):
        raise OptionError("this head is chosen on held-out records, and held_out is 0; set it above 0.")
    reading = tower.reading
    run = run.claim(reading.encoder, tower.prepare.identity())
    rows, cached = _rows(run, records, states=pooled_later)
    if pooled_later:
        made = learned_pooling(run, spec, reading.encoder, rows)
    elif recipe.head.kind == "linear":
        made = linear_head(recipe, reading.readout(spec), rows)
    else:
        made = head_of_a_grid(run, reading.readout(spec), rows)
    learned_weights = (*made.head.parameters(), *(made.readout.parameters() if made.pooling_arguments else ()))
    return TrainedModel(
        reading.encoder,
        made.readout,
        made.head,
        made.pooling_arguments or {},
        rows,
        made.logits,
        None if made.judged is None else rows.targets[made.judged],
        trained_parameters=sum(p.numel() for p in learned_weights),
        shipped=made.shipped,
        folds=made.folds,
        steps=made.steps,
        trials=made.trials,
        chosen=made.chosen,
        features_cached=cached,
    )


def _rows(run: TrainingRun, records: Sequence[Record], *, states: bool) -> tuple[TrainingSet, bool]:
    """The frozen features of all records that could be read, and whether an earlier run had computed them."""
    recipe, tower = run.recipe, run.embedder.tower(run.modality)
    found = features(
        run.embedder, records, run.out, modality=run.modality, pooling=recipe.pooling, tokens=states, report=run.report
    )
    labels = labelling(found.records)
    learned, held_out = split(found.records, recipe.data.held_out, recipe.loop.seed)
    arrays = {name: torch.from_numpy(array) for name, array in found.arrays.items()}
    data: FrozenVectors | FrozenStates
    if states:
        data = FrozenStates(arrays["states"], arrays["roles"], labels.targets, tower.layout.grid)
    else:
        data = FrozenVectors(arrays["vectors"], labels.targets)
    rows = TrainingSet(
        data,
        labels.labels,
        labels.several,
        learned,
        held_out,
        tower.prepare.identity(),
        found.refused,
        positions=_most_pooled(arrays["roles"], tower.reading.over) if states else None,
        grid=tower.layout.grid,
        over=tower.reading.over,
        groups=groups_of(found.records),
    )
    return rows, found.cached


def _most_pooled(roles_NL: Tensor, over: frozenset) -> int:
    """The largest number of tokens of one row that are pooled."""
    return int(torch.isin(roles_NL, torch.tensor(sorted(over))).sum(1).max())


def linear_head(recipe: Recipe, readout: Readout, rows: TrainingSet) -> ChosenHead:
    """Logistic regression on all rows.

    Its scores are those of twins, each chosen and fitted without the rows that it is judged on: the held-out part, and
    with fewer than `JUDGED_IN_FOLDS` rows every row in one of five folds. The temperature comes from twins that were
    fitted with the setting that is shipped.
    """
    assert isinstance(rows.data, FrozenVectors)
    vectors, targets = rows.data.vectors.numpy(), rows.targets.numpy()
    task = FitTask(rows.several, recipe.objective.class_weights == "balanced", recipe.loop.seed, len(rows.labels))
    head, setting, trials = fit_logistic(vectors, targets, task, groups=rows.groups)
    if not len(rows.held_out):
        return ChosenHead(readout, head, None, trials, str(setting))
    in_folds = len(targets) < JUDGED_IN_FOLDS
    parts = [(rows.learned.numpy(), rows.held_out.numpy())]
    if in_folds:
        parts = task.folds(targets, rows.groups)
    found: tuple[list[Tensor], list[Tensor]] = [], []
    for learned, judged in parts:
        part = vectors[learned], targets[learned], task
        twin, _, _ = fit_logistic(*part, groups=None if rows.groups is None else rows.groups[learned])
        for kept, made in zip(found, (twin, logistic_head(*part, setting)), strict=True):
            with torch.no_grad():
                kept.append(made(torch.from_numpy(vectors[judged]).float()).float())
    return ChosenHead(
        readout,
        head,
        torch.cat(found[0]),
        trials,
        str(setting),
        judged=torch.from_numpy(np.concatenate([judged for _, judged in parts])),
        folds=len(parts) if in_folds else 0,
        shipped=torch.cat(found[1]),
    )


def head_of_a_grid(run: TrainingRun, readout: Readout, rows: TrainingSet) -> ChosenHead:
    """Cosine and mlp heads: DINOv2's grid of learning rates with SGD; the best on the held-out rows is taken."""
    assert isinstance(rows.data, FrozenVectors)
    recipe = run.recipe
    x = torch.from_numpy(np.asarray(rows.data.vectors, dtype=np.float32))
    cosine = recipe.head.kind == "cosine"
    mean = torch.zeros(x.shape[1]) if cosine else x[rows.learned].mean(0)
    scale = torch.ones(x.shape[1]) if cosine else x[rows.learned].std(0).clamp(min=1e-6)
    seed = seed_of(recipe.loop.seed, WEIGHTS)
    candidates = [OnVectors(_fresh(recipe.head, x.shape[1], rows, seed), mean, scale) for _ in SGD_RATES]
    best, trials, steps, judging = _run_grid(run, candidates, SGD_RATES, rows, SGD)
    head = candidates[best].head if cosine else candidates[best].folded()
    with torch.no_grad():
        logits = head(x[judging]).float()
    return ChosenHead(readout, head, logits, trials, trials[best].setting, steps, judging)


def learned_pooling(run: TrainingRun, spec: Spec, encoder: Any, rows: TrainingSet) -> ChosenHead:
    """A learned pooling with its head, AdamW, a grid of learning rates, on the cached states of every token."""
    assert isinstance(rows.data, FrozenStates)
    recipe = run.recipe
    seed = seed_of(recipe.loop.seed, WEIGHTS)
    candidates = []
    for _ in ADAMW_RATES:
        readout = new_readout(spec, encoder, rows.over, positions=rows.positions, grid=rows.grid, seed=seed)
        width = width_of(readout, encoder.hidden_size)
        candidates.append(OnStates(readout, _fresh(recipe.head, width, rows, seed)))
    best, trials, steps, judging = _run_grid(run, candidates, ADAMW_RATES, rows, ADAMW)
    chosen = candidates[best]
    with torch.no_grad():
        pieces = [chosen(rows.data.plain(some).views[0]) for some in judging.split(256)]
    arguments = pooling_arguments(spec, encoder, rows.positions, rows.grid)
    return ChosenHead(
        chosen.readout,
        chosen.head,
        torch.cat(pieces).float(),
        trials,
        trials[best].setting,
        steps,
        judging,
        pooling_arguments=arguments,
    )


def _fresh(head: HeadOptions, width: int, rows: TrainingSet, seed: int) -> Head:
    return make_head(head.kind, width, len(rows.labels), hidden=head.hidden, seed=seed)


def _run_grid(
    run: TrainingRun,
    candidates: Sequence[nn.Module],
    rates: Sequence[float],
    rows: TrainingSet,
    moving: OptimiserOptions,
) -> tuple[int, tuple[Trial, ...], int, Tensor]:
    """Train all candidates at once: which is best on half of the held-out rows, the score of each, the steps, and the
    rows that may judge it."""
    recipe, data = run.recipe, rows.data
    assert isinstance(data, FrozenVectors | FrozenStates)
    data = data.to(run.device)
    choosing, judging = rows.halves()
    balanced = recipe.objective.class_weights == "balanced"
    weights = class_weights(data.targets[rows.learned], len(rows.labels)) if balanced else None
    batch = min(recipe.loop.batch, max(1, len(rows.learned)))
    scaled = [rate * batch / 256 if moving.kind == "sgd" else rate for rate in rates]
    grid = HeadGrid(candidates, scaled, rows.task, weights)
    loop = Loop(
        grid,
        Feed(data, rows.learned, batch, recipe.loop.seed),
        Feed(data, choosing, batch, recipe.loop.seed),
        LoopOptions(epochs=recipe.loop.epochs, batch=batch, seed=recipe.loop.seed, keep="last"),
        moving,
        folder=run.out,
        fingerprint=run.identity,
        device=run.device,
        report=run.report,
    )
    outcome = loop.run()
    scores = [outcome.evaluations[-1][f"candidate_{i}"] for i in range(len(candidates))]
    grid.cpu().eval()
    trials = tuple(Trial(f"learning rate {rate:g}", score) for rate, score in zip(rates, scores, strict=True))
    return int(np.argmax(scores)), trials, outcome.steps, judging
