"""A head, or a learned pooling and a head, on the frozen features of a MODEL."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from classtoken.embedder.identity import encoder_hash, made_by
from classtoken.errors import OptionError
from classtoken.head import Head, make_head
from classtoken.inputs import unread_in_words
from classtoken.inputs.preprocessor import prepared_by
from classtoken.learning.data.batches import Batches, Feed
from classtoken.learning.data.features import Features, ReadRecords, features
from classtoken.learning.data.frozen import FrozenStates, FrozenVectors
from classtoken.learning.data.labels import Labelling, labelling
from classtoken.learning.data.split import divide
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.loop.loop import Loop
from classtoken.learning.loop.seeds import WEIGHTS, seed_of
from classtoken.learning.model import new_readout, pooling_arguments, width_of
from classtoken.learning.objectives.base import score_of
from classtoken.learning.objectives.supervised import class_weights, classification_scores, metric_for
from classtoken.learning.recipe import LoopOptions, OptimiserOptions, Recipe
from classtoken.learning.run import TrainingRun
from classtoken.learning.typical import fit_typical
from classtoken.learning.ways.heads import ADAMW_RATES, SGD_RATES, HeadGrid, OnStates, OnVectors
from classtoken.learning.ways.learn import expect_labels
from classtoken.learning.ways.logistic import FitTask, deviations, fit_logistic, logistic_head
from classtoken.learning.ways.trained import JudgedPooling, TrainedModel
from classtoken.pooling.spec import Spec, parse_many
from classtoken.readout.readout import Readout
from classtoken.readout.saved import read_saved
from classtoken.results.train import Trial
from classtoken.values import Progress, Record

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
    parts: tuple[Tensor, ...] = ()
    """`logits` part by part, where each part was chosen and learned for on its own"""
    scores: tuple[float, ...] = ()
    """for each part, the best score of a setting on the rows that chose it"""

    @property
    def best(self) -> float:
        """The score of the chosen setting on the rows that chose it."""
        return max(trial.score for trial in self.trials)


def train_frozen(run: TrainingRun, records: ReadRecords) -> TrainedModel:
    """Features once, then the head: logistic regression for `linear`, a grid of learning rates for everything else.

    Of several poolings each gets its own head, all from one pass over the records; the best is kept.
    """
    recipe, tower = run.recipe, run.embedder.tower(run.modality)
    if recipe.head.kind not in FROZEN_HEADS:
        raise OptionError(
            f"head '{recipe.head.kind}' belongs to an encoder from scratch, with tokens of its own for it; on frozen "
            f"vectors there are {', '.join(FROZEN_HEADS)}."
        )
    specs = parse_many(recipe.pooling)
    later = [spec for spec in specs if _pooled_later(run, spec)]
    if not recipe.data.held_out and (later or recipe.head.kind != "linear" or len(specs) > 1):
        raise OptionError("this head is chosen on held-out records, and held_out is 0; set it above 0.")
    labels = labelling(records.kept)  # what it refuses, it refuses before the encoder's work
    if recipe.head.kind == "linear" and not later:
        _check_parts(recipe, records.kept, labels)
    over = sorted(role.name for role in tower.reading.over)
    read = [over if spec in later else made_by(tower.reading.readout(spec)) for spec in specs]
    run = run.claim([encoder_hash(tower.reading.encoder), read], prepared_by(tower.prepare))
    found = features(
        run.embedder,
        records,
        run.features,
        modality=run.modality,
        poolings=[str(spec) for spec in specs if spec not in later],
        states=bool(later),
        report=run.report,
    )
    labels = labelling(found.records)
    sets = {spec: _rows(run, found, labels, spec) for spec in specs}
    halves = bool(later) and len(specs) > 1
    made = {spec: _head(run, spec, rows, on_halves=halves) for spec, rows in sets.items()}
    spec = max(specs, key=lambda spec: made[spec].best)
    chosen, rows = made[spec], sets[spec]
    logits = _chosen_anew(list(made.values())) if len(specs) > 1 and not halves else None
    unseen = chosen.judged if chosen.pooling_arguments and chosen.judged is not None else rows.held_out
    learned_weights = (*chosen.head.parameters(), *(chosen.readout.parameters() if chosen.pooling_arguments else ()))
    return TrainedModel(
        tower.reading.encoder,
        chosen.readout,
        chosen.head,
        chosen.pooling_arguments or _own_arguments(run, spec),
        rows,
        chosen.logits if logits is None else logits,
        None if chosen.judged is None else rows.targets[chosen.judged],
        trained_parameters=sum(p.numel() for p in learned_weights),
        shipped=chosen.shipped,
        judged=chosen.judged,
        work=run.work,
        folds=chosen.folds,
        steps=chosen.steps,
        trials=tuple(_named(trial, s) for s in specs for trial in made[s].trials) if len(specs) > 1 else chosen.trials,
        chosen=f"{spec}, {chosen.chosen}" if len(specs) > 1 else chosen.chosen,
        features_cached=found.cached,
        typical=fit_typical(rows, _vectors(chosen.readout, rows.data), unseen, recipe.loop.seed),
        poolings=tuple(_judged(s, made[s], sets[s]) for s in specs) if len(specs) > 1 else (),
    )


def _vectors(readout: Readout, data: Batches) -> Callable[[Tensor], Tensor]:
    """Row numbers -> the vectors that the head reads."""

    def vectors(some: Tensor) -> Tensor:
        if isinstance(data, FrozenVectors):
            return data.vectors[some]
        with torch.no_grad():
            return torch.cat([readout(batch.views[0]) for batch in Feed(data, some, 256, 0).in_order()])

    return vectors


def _pooled_later(run: TrainingRun, spec: Spec) -> bool:
    """Whether a pooling needs the states of all tokens while its head learns: not the MODEL's own, which stays as it
    is with the MODEL, where no pooling was named."""
    sized = {str(term) for term in spec.terms if term.learned or term.about.length != "any"}
    known = run.embedder.tower(run.modality).reading.learned.keys() if run.own_pooling else set()
    return not sized <= known


def _own_arguments(run: TrainingRun, spec: Spec) -> dict[str, dict[str, Any]]:
    """What builds those poolings of a spec again that the MODEL brings with it, as its folder says."""
    saved = read_saved(run.embedder.folder) if run.own_pooling else None
    terms = {str(term) for term in spec.terms}
    return {} if saved is None else {name: dict(v) for name, v in saved.pooling_arguments.items() if name in terms}


def _head(run: TrainingRun, spec: Spec, rows: TrainingSet, *, on_halves: bool) -> ChosenHead:
    reading = run.embedder.tower(run.modality).reading
    if _pooled_later(run, spec):
        return learned_pooling(run, spec, reading.encoder, rows)
    readout = reading.readout(spec)
    if run.recipe.head.kind != "linear":
        return head_of_a_grid(run, readout, rows)
    if on_halves:
        return linear_on_halves(run.recipe, readout, rows)
    return linear_head(run.recipe, readout, rows, report=run.report)


def _chosen_anew(made: Sequence[ChosenHead]) -> Tensor | None:
    """The logits of a choice among poolings that is made anew for each part, without the rows that judge it; None for
    heads that were chosen on half of the held-out rows, and judged on the other."""
    if not all(one.parts for one in made):
        return None
    best = [max(range(len(made)), key=lambda i: made[i].scores[part]) for part in range(len(made[0].parts))]
    return torch.cat([made[i].parts[part] for part, i in enumerate(best)])


def _named(trial: Trial, spec: Spec) -> Trial:
    return replace(trial, setting=f"{spec}, {trial.setting}")


def _judged(spec: Spec, made: ChosenHead, rows: TrainingSet) -> JudgedPooling:
    assert made.logits is not None
    assert made.judged is not None
    return JudgedPooling(str(spec), made.logits, rows.targets[made.judged], made.folds)


def _rows(run: TrainingRun, found: Features, labels: Labelling, spec: Spec) -> TrainingSet:
    """The records that could be read with what this pooling needs of them."""
    recipe, tower = run.recipe, run.embedder.tower(run.modality)
    data: FrozenVectors | FrozenStates
    positions = None
    if _pooled_later(run, spec):
        assert found.states is not None
        data = FrozenStates(found.states, found.states.roles, labels.targets, tower.layout.grid)
        positions = _most_pooled(found.states.roles, tower.reading.over)
    else:
        data = FrozenVectors(torch.from_numpy(found.vectors[str(spec)]), labels.targets)
    return TrainingSet(
        data,
        labels.labels,
        labels.several,
        divide(found.records, recipe.data.held_out, recipe.loop.seed),
        prepared_by(tower.prepare),
        found.refused,
        positions=positions,
        grid=tower.layout.grid,
        over=tower.reading.over,
        records=found.records,
        unread=unread_in_words(tower.prepare, found.long),
    )


def _most_pooled(roles_NL: Tensor, over: frozenset) -> int:
    """The largest number of tokens of one row that are pooled."""
    return int(torch.isin(roles_NL, torch.tensor(sorted(over))).sum(1).max())


def linear_head(
    recipe: Recipe, readout: Readout, rows: TrainingSet, *, report: Callable[[Progress], None] | None = None
) -> ChosenHead:
    """Logistic regression on all rows.

    Its scores are those of twins, each chosen and fitted without the rows that it is judged on: the held-out part, and
    with fewer than `JUDGED_IN_FOLDS` rows every row in one of five folds. The temperature comes from twins that were
    fitted with the setting that is shipped.
    """
    assert isinstance(rows.data, FrozenVectors)
    vectors, targets = rows.data.vectors.numpy(), rows.targets.numpy()
    task = _task(recipe, rows)
    in_folds = len(rows.held_out) > 0 and len(targets) < JUDGED_IN_FOLDS
    parts = [(rows.learned.numpy(), rows.held_out.numpy())] if len(rows.held_out) else []
    if in_folds:
        parts = task.folds(targets, rows.groups)
    begun = time.monotonic()

    def fitted(done: int) -> None:
        if report is not None:
            report(Progress(done, 1 + len(parts), seconds=time.monotonic() - begun, what="fitting the head"))

    fitted(0)
    head, setting, trials = fit_logistic(vectors, targets, task, groups=rows.groups)
    if not parts:
        return ChosenHead(readout, head, None, trials, str(setting))
    found: tuple[list[Tensor], list[Tensor]] = [], []
    scores = []
    for number, (learned, judged) in enumerate(parts, 1):
        fitted(number)
        part = vectors[learned], targets[learned], task
        twin, _, tried = fit_logistic(*part, groups=None if rows.groups is None else rows.groups[learned])
        scores.append(max(trial.score for trial in tried))
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
        parts=tuple(found[0]),
        scores=tuple(scores),
    )


def linear_on_halves(recipe: Recipe, readout: Readout, rows: TrainingSet) -> ChosenHead:
    """Logistic regression beside heads that are chosen on half of the held-out rows: fitted on the learned ones, scored
    on that half, judged on the other; what is shipped is fitted to all rows."""
    assert isinstance(rows.data, FrozenVectors)
    vectors, targets = rows.data.vectors.numpy(), rows.targets.numpy()
    task = _task(recipe, rows)
    learned, (choosing, judging) = rows.learned.numpy(), rows.halves()
    part = vectors[learned], targets[learned], task
    twin, setting, _ = fit_logistic(*part, groups=None if rows.groups is None else rows.groups[learned])
    with torch.no_grad():
        scored, logits = (twin(torch.from_numpy(vectors[some.numpy()]).float()).float() for some in (choosing, judging))
    scores = classification_scores(scored, rows.targets[choosing], rows.task)
    name = metric_for(rows.task, recipe.loop.metric)
    trial = Trial(str(setting), score_of(scores, name), name)
    head = logistic_head(vectors, targets, task, setting)
    return ChosenHead(readout, head, logits, (trial,), str(setting), judged=judging)


def head_of_a_grid(run: TrainingRun, readout: Readout, rows: TrainingSet) -> ChosenHead:
    """Cosine and mlp heads: DINOv2's grid of learning rates with SGD; the best on the held-out rows is taken."""
    assert isinstance(rows.data, FrozenVectors)
    recipe = run.recipe
    x = torch.from_numpy(np.asarray(rows.data.vectors, dtype=np.float32))
    cosine = recipe.head.kind == "cosine"
    mean = torch.zeros(x.shape[1]) if cosine else x[rows.learned].mean(0)
    scale = torch.ones(x.shape[1]) if cosine else torch.from_numpy(deviations(x[rows.learned].double().numpy())).float()
    seed = seed_of(recipe.loop.seed, WEIGHTS)
    candidates = [OnVectors(_fresh(recipe, x.shape[1], rows, seed), mean, scale) for _ in SGD_RATES]
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
        candidates.append(OnStates(readout, _fresh(recipe, width, rows, seed)))
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


def _check_parts(recipe: Recipe, records: Sequence[Record], labels: Labelling) -> None:
    """Raise `TrainingError` where the records cannot be parted as `linear_head` does, before any of them is encoded.

    It does so again with those that could be read, of which there may be fewer.
    """
    division, targets = divide(records, recipe.data.held_out, recipe.loop.seed), labels.targets.numpy()
    task, groups = _task(recipe, labels), division.units
    parts = [(division.learned.numpy(), division.held_out.numpy())] if len(division.held_out) else []
    whole = task.folds(targets, groups)
    if parts and len(targets) < JUDGED_IN_FOLDS:
        parts = whole
    for learned, _ in parts:
        task.folds(targets[learned], None if groups is None else groups[learned])


def _task(recipe: Recipe, rows: TrainingSet | Labelling) -> FitTask:
    balanced = recipe.objective.class_weights == "balanced"
    return FitTask(rows.several, balanced, recipe.loop.seed, len(rows.labels), recipe.loop.metric, len(rows.targets))


def _fresh(recipe: Recipe, width: int, rows: TrainingSet, seed: int) -> Head:
    head = make_head(recipe.head.kind, width, len(rows.labels), hidden=recipe.head.hidden, seed=seed)
    expect_labels(head, rows, recipe.objective)
    return head


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
    grid = HeadGrid(candidates, scaled, rows.task, weights, recipe.loop.metric)
    loop = Loop(
        grid,
        Feed(data, rows.learned, batch, recipe.loop.seed),
        Feed(data, choosing, batch, recipe.loop.seed),
        LoopOptions(
            epochs=recipe.loop.epochs,
            least_steps=recipe.loop.least_steps,
            batch=batch,
            seed=recipe.loop.seed,
            keep="last",
            evaluate_every=1e9,
        ),
        moving,
        folder=run.out,
        fingerprint=run.identity,
        device=run.device,
        report=run.report,
    )
    outcome = loop.run()
    scores = [outcome.evaluations[-1][f"candidate_{i}"] for i in range(len(candidates))]
    grid.cpu().eval()
    name = metric_for(grid.task, recipe.loop.metric)
    trials = tuple(Trial(f"learning rate {rate:g}", score, name) for rate, score in zip(rates, scores, strict=True))
    return int(np.argmax(scores)), trials, outcome.steps, judging
