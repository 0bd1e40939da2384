"""A step is a step: computed in parts it is the same as in one piece, whatever the objective."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.learning.objectives.test_objectives import Counting, ImageText, Pairs, Taught, text_network
from tests.learning.small import network, pictures
from torch import Tensor

from classtoken.learning.data.batches import Batches, Feed, TrainingBatch
from classtoken.learning.loop.loop import Loop
from classtoken.learning.loop.processes import ALONE, Processes
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.clip import Clip
from classtoken.learning.objectives.contrast import SentenceContrast
from classtoken.learning.objectives.dino import Dino, MultiCrop
from classtoken.learning.objectives.distillation import Distillation, precomputed
from classtoken.learning.objectives.masked import MaskedTokens
from classtoken.learning.objectives.similarity import ScoredPairs
from classtoken.learning.objectives.supervised import Supervised, class_weights
from classtoken.learning.recipe import LoopOptions, OptimiserOptions
from classtoken.tensors import Tokens

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


class Triplets(Pairs):
    """A sentence, its partner, and one that is neither."""

    def views(self, rows: Tensor) -> tuple[Tokens, ...]:
        return (*super().views(rows), super().views(rows.flip(0))[0])


class Scored(Pairs):
    """Pairs with a score."""

    def plain(self, rows: Tensor) -> TrainingBatch:
        return replace(super().plain(rows), targets=(rows * 7 % 5).float())

    def train(self, rows: Tensor, generator: torch.Generator) -> TrainingBatch:
        return self.plain(rows)


def clip() -> tuple[Objective, Batches]:
    return Clip(network(seed=1), text_network()), ImageText()


CASES: dict[str, Callable[[], tuple[Objective, Batches]]] = {
    "plain": lambda: (Supervised(network(), "single"), pictures(ROWS)),
    "balanced": balanced,
    "several labels": several,
    "distillation, half of it without labels": taught,
    "dino": dino,
    "contrast": lambda: (SentenceContrast(text_network()), Pairs(ROWS)),
    "triplets, matryoshka": lambda: (SentenceContrast(text_network(), matryoshka=[4, 8]), Triplets(ROWS)),
    "similarity, matryoshka": lambda: (ScoredPairs(text_network(), matryoshka=[4]), Scored(ROWS)),
    "clip": clip,
    "siglip": lambda: (Clip(network(seed=1), text_network(), bias=-3.0), ImageText()),
    "masked": masked,
}


def trained(
    name: str, folder: Path, accumulate: int, processes: Processes = ALONE, dropout: float = 0.0
) -> dict[str, Tensor]:
    """The weights after one step of a case."""
    objective, data = CASES[name]()
    rows = len(data)
    options = LoopOptions(epochs=1, batch=rows, accumulate=min(accumulate, rows), dropout=dropout)
    for module in objective.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    moving = OptimiserOptions(kind="sgd", learning_rate=0.1, weight_decay=0.0, warmup=0.0, momentum=0.0, clip=0.0)
    feed = Feed(data, torch.arange(rows), rows, 0)
    Loop(objective, feed, None, options, moving, folder=folder, fingerprint="", processes=processes).run()
    return {key: value.clone() for key, value in objective.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_batch_in_parts_is_the_whole_batch(tmp_path: Path, name: str) -> None:
    """Loss and every gradient to 1e-5, parts of unequal size too; what moves once a step moves once (DINO's centre)."""
    whole, *others = (trained(name, tmp_path / str(accumulate), accumulate) for accumulate in (1, 3, 5))
    for parts in others:
        for key, value in whole.items():
            assert torch.allclose(value, parts[key], atol=1e-5, rtol=1e-5), key
