"""A network learns on rows that are ready: the one place that runs the loop for encoders, new ones and given ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.embedder.identity import encoder_hash, made_by
from classtoken.encoder.protocol import is_trainable
from classtoken.errors import OptionError, TrainingError
from classtoken.head import Head
from classtoken.learning.data.batches import Batches, Feed
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.loop.loop import Loop, Outcome
from classtoken.learning.model import Network, label_shares, pooling_arguments
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.dino import Dino
from classtoken.learning.objectives.supervised import collect
from classtoken.learning.recipe import ObjectiveOptions, Recipe
from classtoken.learning.run import TrainingRun
from classtoken.learning.typical import fit_typical
from classtoken.learning.ways.objective import objective_for, views_for
from classtoken.learning.ways.teacher import ImageTeachers
from classtoken.learning.ways.trained import TrainedModel

LOOKED_AT = 64
"""records whose vectors are looked at where nothing judges"""


@dataclass(frozen=True)
class Learned:
    """What the steps were, and the rows that may judge what was kept."""

    outcome: Outcome
    judging: Tensor
    scores: Mapping[str, float]
    """of the objective, on those rows, with the weights that are kept"""


def learn(run: TrainingRun, network: Network, rows: TrainingSet) -> TrainedModel:
    """Train the weights of a network that are not frozen, by the recipe's objective, optimiser and loop."""
    encoder = network.encoder
    assert is_trainable(encoder)
    if isinstance(network.head, Head):
        expect_labels(network.head, rows, run.recipe.objective)
    objective = objective_for(run.recipe.objective, network, rows, run.recipe.loop, run.device)
    teacher = getattr(objective, "teach", None)
    known = teacher.identity if isinstance(teacher, ImageTeachers) else ""
    views = views_for(run.recipe.objective, network, rows.data)
    check_patience(run.recipe, objective)
    run = run.claim([encoder_hash(encoder), made_by(network.readout)], rows.preparation, rows.taught or known)
    learned = run_steps(run, objective, views, rows, encoder.depth)
    if isinstance(objective, Dino):  # its authors publish the teacher, and it is what the evaluations have measured
        network.load_state_dict(objective.teacher.state_dict())
    network.eval()
    head = network.head if isinstance(network.head, Head) else None
    logits = targets = None
    if head is not None and len(learned.judging):
        with torch.no_grad():
            logits, targets = (t.cpu() for t in collect(network, Feed(rows.data, learned.judging, 256, 0).in_order()))
    else:
        check_finite(_vectors(network, rows.data)(rows.learned[:LOOKED_AT]))
    typical = None
    if head is not None:
        typical = fit_typical(rows, _vectors(network, rows.data), learned.judging, run.recipe.loop.seed)
    return TrainedModel(
        encoder,
        network.readout,
        head,
        pooling_arguments(network.readout.spec, encoder, rows.positions, rows.grid),
        rows,
        logits,
        targets,
        trained_parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        judged=None if logits is None else learned.judging,
        work=run.work,
        scores=learned.scores,
        steps=learned.outcome.steps,
        seconds=learned.outcome.seconds,
        stopped_early=learned.outcome.stopped_early,
        typical=typical,
    )


def expect_labels(head: Head, rows: TrainingSet, objective: ObjectiveOptions) -> None:
    """Let a fresh head start from how often labels are there, where each is decided by itself; with balanced classes
    every one is as often there as not."""
    if rows.several and objective.class_weights != "balanced":
        head.expect(label_shares(rows.targets[rows.learned].cpu()))


def _vectors(network: Network, data: Batches) -> Callable[[Tensor], Tensor]:
    """Row numbers -> the vectors that the head reads."""

    def vectors(some: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([network.vectors(batch.views[0]).cpu() for batch in Feed(data, some, 256, 0).in_order()])

    return vectors


def check_finite(vectors: Tensor) -> None:
    """Raise `TrainingError` for vectors that are no numbers, where no answers are judged that would tell: the last step
    may have made weights that are finite and too large to compute with."""
    if wrong := int((~vectors.isfinite()).any(1).sum()):
        raise TrainingError(
            f"the vectors of {wrong} of {len(vectors)} records that were learned from are not finite: the weights have "
            "become too large. Lower the learning rate, or set a clip, and give another folder."
        )


def check_patience(recipe: Recipe, objective: Objective) -> None:
    """Raise `OptionError` for a patience that no score goes with."""
    if recipe.loop.patience and not objective.chooses:
        raise OptionError(
            f"`patience` = {recipe.loop.patience}: without labels no score of [objective] kind = "
            f"'{recipe.objective.kind}' is known to grow with what is wanted. Leave it 0; the last weights are kept."
        )


def run_steps(run: TrainingRun, objective: Objective, data: Batches, rows: TrainingSet, depth: int) -> Learned:
    """All steps of a run whose folder is claimed; the objective holds the weights that are kept.

    Where an evaluation chooses, one half of the held-out rows does and the other judges.
    """
    recipe, options = run.recipe, run.recipe.loop
    chosen = objective.chooses and (options.keep == "best" or bool(options.patience))
    choosing, judging = rows.halves() if chosen else (rows.held_out, rows.held_out)
    loop = Loop(
        objective,
        Feed(data, rows.learned, options.batch, options.seed),
        Feed(data, choosing, options.batch, options.seed) if len(choosing) else None,
        options,
        recipe.optimiser,
        folder=run.out,
        fingerprint=run.identity,
        depth=depth,
        device=run.device,
        report=run.report,
        processes=run.processes,
    )
    try:
        outcome = loop.run()
    except KeyboardInterrupt as stopped:
        if not run.overwrite:
            raise
        raise KeyboardInterrupt(
            str(stopped).replace("the same command", "the same command without `overwrite`")
        ) from None
    scores: Mapping[str, float] = {}
    if len(judging) and not has_head(objective):
        with torch.no_grad():
            scores = objective.score(Feed(data, judging, options.batch, options.seed).in_order())
    return Learned(outcome, judging, scores)


def has_head(objective: Objective) -> bool:
    """Whether labels are learned, by a head whose logits are judged."""
    model = getattr(objective, "model", None)
    return isinstance(model, Network) and isinstance(model.head, Head)
