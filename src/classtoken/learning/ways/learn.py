"""A network learns on rows that are ready: the one place that runs the loop for encoders, new ones and given ones."""

import torch

from classtoken.encoder.protocol import is_trainable
from classtoken.head import Head
from classtoken.learning.data.batches import Feed
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.loop.loop import Loop
from classtoken.learning.model import Network, pooling_arguments
from classtoken.learning.objectives.dino import Dino
from classtoken.learning.objectives.supervised import collect
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.objective import objective_for, views_for
from classtoken.learning.ways.teacher import ImageTeacher
from classtoken.learning.ways.trained import TrainedModel


def learn(run: TrainingRun, network: Network, rows: TrainingSet) -> TrainedModel:
    """Train the weights of a network that are not frozen, by the recipe's objective, optimiser and loop."""
    recipe, encoder, options = run.recipe, network.encoder, run.recipe.loop
    assert is_trainable(encoder)
    objective = objective_for(recipe.objective, network, rows, options, run.device)
    teacher = getattr(objective, "teach", None)
    known = teacher.identity if isinstance(teacher, ImageTeacher) else ""
    data = views_for(recipe.objective, network, rows.data)
    loop = Loop(
        objective,
        Feed(data, rows.learned, options.batch, options.seed),
        Feed(data, rows.held_out, options.batch, options.seed) if len(rows.held_out) else None,
        options,
        recipe.optimiser,
        folder=run.out,
        fingerprint=run.claim(encoder, rows.preparation, rows.taught or known).identity,
        depth=encoder.depth,
        device=run.device,
        report=run.report,
    )
    outcome = loop.run()
    if isinstance(objective, Dino):  # its authors publish the teacher, and it is what the evaluations have measured
        network.load_state_dict(objective.teacher.state_dict())
    network.eval()
    head = network.head if isinstance(network.head, Head) else None
    logits = targets = None
    if head is not None and len(rows.held_out):
        with torch.no_grad():
            logits, targets = (t.cpu() for t in collect(network, Feed(rows.data, rows.held_out, 256, 0).in_order()))
    return TrainedModel(
        encoder,
        network.readout,
        head,
        pooling_arguments(network.readout.spec, encoder, rows.positions, rows.grid),
        rows,
        logits,
        targets,
        trained_parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        scores=outcome.evaluations[-1] if outcome.evaluations else {},
        steps=outcome.steps,
        seconds=outcome.seconds,
        stopped_early=outcome.stopped_early,
    )
