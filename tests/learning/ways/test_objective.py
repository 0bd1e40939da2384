"""A recipe's objective is the one that it names, with the numbers that it names."""

from typing import Any

import pytest
import torch
from tests.learning.small import network, pictures

from classtoken.errors import OptionError
from classtoken.learning.data.split import Division
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.objectives.contrast import SentenceContrast
from classtoken.learning.objectives.dino import Dino
from classtoken.learning.objectives.similarity import ScoredPairs
from classtoken.learning.recipe import LoopOptions, ObjectiveOptions
from classtoken.learning.ways.objective import objective_for
from classtoken.values import IMAGE_POOLED


def rows() -> TrainingSet:
    return TrainingSet(
        pictures(12), ("a", "b", "c"), False, Division(torch.arange(9), torch.arange(9, 12)), "some", over=IMAGE_POOLED
    )


@pytest.mark.parametrize(("given", "used"), [(None, 0.1), (0.5, 0.5), (2.0, 2.0)])
def test_a_temperature_that_is_given_is_used_also_above_1(given: float | None, used: float) -> None:
    wanted = ObjectiveOptions(kind="dino", temperature=given, prototypes=4)
    objective = objective_for(wanted, network(), rows(), LoopOptions(), "cpu")
    assert isinstance(objective, Dino)
    assert objective.student_temperature == used


@pytest.mark.parametrize("kind", ["pairs", "similarity"])
@pytest.mark.parametrize(("given", "used"), [(None, 0.05), (0.5, 0.5), (1.0, 1.0), (2.0, 2.0)])
def test_so_is_that_of_vectors_which_are_compared(kind: Any, given: float | None, used: float) -> None:
    objective = objective_for(ObjectiveOptions(kind=kind, temperature=given), network(), rows(), LoopOptions(), "cpu")
    assert isinstance(objective, SentenceContrast | ScoredPairs)
    assert objective.temperature == used


@pytest.mark.parametrize("kind", ["contrast", "masked"])
def test_what_is_for_texts_is_refused_for_pictures(kind) -> None:
    with pytest.raises(OptionError, match="is for texts; for images there is dino"):
        objective_for(ObjectiveOptions(kind=kind), network(), rows(), LoopOptions(dropout=0.1), "cpu")
