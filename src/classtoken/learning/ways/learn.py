"""A network learns on rows that are ready: the one place that runs the loop for encoders, new ones and given ones."""

import torch

from classtoken.encoder.protocol import is_trainable
from classtoken.errors import OptionError
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
    if options.patience and not objective.chooses:
        raise OptionError(
            f"`patience` = {options.patience}: without labels no score of [objective] kind = "
            f"'{recipe.objective.kind}' is known to grow with what is wanted. Leave it 0; the last weights are kept."
        )
    chosen = network.head is not None and objective.chooses and (options.keep == "best" or bool(options.patience))
    choosing, judging = rows.halves() if chosen and rows.data.targets is not None else (rows.held_out, rows.held_out)
    teacher = getattr(objective, "teach", None)
    known = teacher.identity if isinstance(teacher, ImageTeacher) else ""
    data = views_for(recipe.objective, network, rows.data)
    loop = Loop(
        objective,
        Feed(data, rows.learned, options.batch, options.seed),
        Feed(data, choosing, options.batch, options.seed) if len(choosing) else None,
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
    if head is not None and len(judging):
        with torch.no_grad():
            logits, targets = (t.cpu() for t in collect(network, Feed(rows.data, judging, 256, 0).in_order()))
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
