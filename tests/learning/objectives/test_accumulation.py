"""A step is a step: computed in parts it is the same as in one piece, whatever the objective."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.learning.objectives.test_objectives import Counting, ImageText, Pairs, Taught, text_network
from tests.learning.small import network, pictures

from classtoken.learning.data.batches import Batches, Feed
from classtoken.learning.loop.loop import Loop
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.contrast import Clip, SentenceContrast
from classtoken.learning.objectives.dino import Dino, MultiCrop
from classtoken.learning.objectives.distillation import Distillation, precomputed
from classtoken.learning.objectives.masked import MaskedTokens
from classtoken.learning.objectives.supervised import Supervised, class_weights
from classtoken.learning.recipe import LoopOptions, OptimiserOptions

ROWS = 24


def balanced() -> tuple[Objective, Batches]:
    data = pictures(ROWS)
    data = replace(data, targets=torch.tensor([0] * 15 + [1] * 6 + [2] * 3))
    return Supervised(network(), "single", weights_C=class_weights(data.targets, 3), smoothing=0.1), data


def several() -> tuple[Objective, Batches]:
    data = pictures(ROWS)
    targets = torch.nn.functional.one_hot(data.targets, 3).float()
    data = replace(data, targets=targets)
    return Supervised(network(), "multi", weights_C=class_weights(targets, 3)), data


def taught() -> tuple[Objective, Batches]:
    data = pictures(ROWS)
    teacher = torch.nn.functional.one_hot((data.targets + 1) % 3, 3).float() * 0.7 + 0.1
    targets = data.targets.clone()
    targets[5:18] = -1
    return Distillation(network(), precomputed, mode="soft", weight=0.3), Taught(data, teacher, targets)


def dino() -> tuple[Objective, Batches]:
    return Dino(network(), 16, prototypes=8), MultiCrop(pictures(ROWS), 2, (8, 8), 4)


def masked() -> tuple[Objective, Batches]:
    made = text_network()
    return MaskedTokens(made.encoder, 16, 17, 4, part=0.3), Counting(ROWS)


def clip() -> tuple[Objective, Batches]:
    return Clip(network(seed=1), text_network(), (16, 16), 8), ImageText()


CASES: dict[str, Callable[[], tuple[Objective, Batches]]] = {
    "plain": lambda: (Supervised(network(), "single"), pictures(ROWS)),
    "balanced": balanced,
    "several labels": several,
    "distillation, half of it without labels": taught,
    "dino": dino,
    "contrast": lambda: (SentenceContrast(text_network()), Pairs(ROWS)),
    "clip": clip,
    "masked": masked,
}


@pytest.mark.parametrize("name", CASES)
def test_a_batch_in_parts_is_the_whole_batch(tmp_path: Path, name: str) -> None:
    """Loss and every gradient to 1e-5, parts of unequal size too; what moves once a step moves once (DINO's centre)."""
    found = []
    for accumulate in (1, 3, 5):
        objective, data = CASES[name]()
        rows = len(data)
        options = LoopOptions(epochs=1, batch=rows, accumulate=min(accumulate, rows))
        moving = OptimiserOptions(kind="sgd", learning_rate=0.1, weight_decay=0.0, warmup=0.0, momentum=0.0, clip=0.0)
        folder = tmp_path / str(accumulate)
        loop = Loop(
            objective, Feed(data, torch.arange(rows), rows, 0), None, options, moving, folder=folder, fingerprint=""
        )
        loop.run()
        found.append({key: value.clone() for key, value in objective.state_dict().items()})
    for parts in found[1:]:
        for key, value in found[0].items():
            assert torch.allclose(value, parts[key], atol=1e-5, rtol=1e-5), key
