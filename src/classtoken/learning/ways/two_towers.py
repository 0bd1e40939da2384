"""Both sides of a MODEL of images and texts trained further, on images with their texts."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from classtoken.contract.reading import Reading
from classtoken.embedder.identity import encoder_hash, made_by, module_hash
from classtoken.encoder.checkpoint import open_checkpoint, reference_names
from classtoken.encoder.names import to_theirs
from classtoken.encoder.protocol import is_trainable
from classtoken.errors import OptionError, TrainingError
from classtoken.inputs import unread_in_words
from classtoken.inputs.preprocessor import prepared_by
from classtoken.learning.data.batches import Feed
from classtoken.learning.data.captions import Captions
from classtoken.learning.data.split import divide
from classtoken.learning.data.texts import Texts, tokenized
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.model import Network, set_regularisation
from classtoken.learning.objectives.base import known_metric
from classtoken.learning.objectives.clip import Clip
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.finetune import pictures_of, trainable, unfreeze
from classtoken.learning.ways.learn import LOOKED_AT, check_finite, check_patience, run_steps
from classtoken.learning.ways.trained import TrainedModel
from classtoken.model_folder import transformer_folder
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record

SIDES = ("image", "text")


def train_two_towers(run: TrainingRun, records: Sequence[Record]) -> TrainedModel:
    """Train both encoders and projections, and the factor of their similarity, by the recipe."""
    recipe, readings = run.recipe, {name: tower.reading for name, tower in run.embedder.towers.items()}
    if set(readings) != set(SIDES):
        raise OptionError(
            f"[objective] kind = 'clip' needs a model of images and texts, and '{run.embedder.name}' has one side."
        )
    held = _weights(run)
    networks, encoders = {}, {}
    for name in SIDES:
        encoders[name] = trainable(run, readings[name])
        unfreeze(encoders[name], recipe.unfreeze)
        set_regularisation(encoders[name], recipe.loop)
        networks[name] = Network(encoders[name], readings[name].readout(), nn.Identity())
    bias = held.get("logit_bias")
    scale = held.get("logit_scale")
    objective = Clip(
        networks["image"],
        networks["text"],
        log_scale=None if scale is None else float(scale),
        bias=None if bias is None else float(bias),
    )
    objective.chosen = known_metric(objective.metrics, recipe.loop.metric)
    rows = _prepared(run, records)
    made_of = [[encoder_hash(encoders[name]), made_by(networks[name].readout)] for name in SIDES]
    check_patience(recipe, objective)
    run = run.claim([made_of, module_hash(objective)], rows.preparation)
    learned = run_steps(run, objective, rows.data, rows, max(encoder.depth for encoder in encoders.values()))
    objective.eval()
    with torch.no_grad():
        for vectors in objective.outputs(next(Feed(rows.data, rows.learned[:LOOKED_AT], LOOKED_AT, 0).in_order())):
            check_finite(vectors)
    objective.cpu()
    return TrainedModel(
        nn.ModuleList(encoders.values()),
        networks["image"].readout,
        None,
        {},
        rows,
        None,
        None,
        trained_parameters=sum(p.numel() for p in objective.parameters() if p.requires_grad),
        work=run.work,
        scores=learned.scores,
        steps=learned.outcome.steps,
        seconds=learned.outcome.seconds,
        stopped_early=learned.outcome.stopped_early,
        whole={**held, **_trained(readings, networks, objective, held)},
    )


def _prepared(run: TrainingRun, records: Sequence[Record]) -> TrainingSet:
    """Records with an image and a text; the others are rejected."""
    prepare = run.embedder.tower("text").prepare
    assert isinstance(prepare, TextPreprocessor)
    _, readable, refused = tokenized(prepare, records)
    pictures, kept, unseen = pictures_of(run, readable, None)
    rows, _, _ = tokenized(prepare, kept)
    if len(kept) < 2:
        raise TrainingError(f"{len(kept)} records have an image and a text; learning needs two or more.")
    texts = Texts(rows, None, prepare, run.device, run.recipe.augment.drop_words)
    division = divide([replace(r, label=None) for r in kept], run.recipe.data.held_out, run.recipe.loop.seed)
    preparation = [prepared_by(run.embedder.tower(name).prepare) for name in SIDES]
    return TrainingSet(
        Captions(pictures, texts),
        (),
        False,
        division,
        preparation,
        tuple(itertools.chain(refused, unseen)),
        unread=unread_in_words(prepare, sum(row.cut > 0 for row in rows)),
    )


def _weights(run: TrainingRun) -> dict[str, Tensor]:
    """Every tensor of the MODEL's file by its name there."""
    return dict(open_checkpoint(transformer_folder(run.embedder.folder)).weights.read())


def _trained(
    readings: Mapping[str, Reading], networks: Mapping[str, Network], objective: Clip, held: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What has changed, by its name in the file. Raises `OptionError` where the file has other names."""
    found: dict[str, Tensor] = {}
    for name in SIDES:
        reading, encoder = readings[name], networks[name].encoder
        assert reading.family is not None
        assert is_trainable(encoder)
        found |= reference_names(encoder, reading.family, reading.prefix)
        if reading.family.projection is not None:
            weight = {"projection.weight": networks[name].readout.after.get_parameter("0.linear.weight").detach()}
            found |= to_theirs(weight, reading.family.projection.names)[0]
    found |= {name: t for name, t in _similarity(objective, held).items() if name in held}
    strange = sorted(found.keys() - held.keys())
    if strange:
        raise OptionError(
            f"the model's file has another layout than is written here: it has no {', '.join(strange[:4])}."
        )
    return found


def _similarity(objective: Clip, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    values = {"logit_scale": objective.log_scale, "logit_bias": objective.bias}
    return {
        name: value.detach().reshape(held[name].shape)
        for name, value in values.items()
        if value is not None and name in held
    }
