"""On random labels every way of training reports chance, within its interval."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.learning.small import network, pictures

from classtoken.learning.data.frozen import FrozenStates, FrozenVectors
from classtoken.learning.data.split import split
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.judge import Judgement, independence, judge
from classtoken.learning.recipe import Recipe, recipe_of
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.frozen import ChosenHead, head_of_a_grid, learned_pooling, linear_head
from classtoken.learning.ways.learn import learn
from classtoken.learning.work import Work
from classtoken.options import TrainOptions
from classtoken.pooling.spec import parse
from classtoken.values import IMAGE_POOLED, Record, Role

ROWS, WIDTH = 120, 8


def rows_of(
    data: FrozenVectors | FrozenStates | object, targets: torch.Tensor, seed: int, held_out: float
) -> TrainingSet:
    records = [Record(str(i), label=str(label)) for i, label in enumerate(targets.tolist())]
    learned, held = split(records, held_out, seed)
    return TrainingSet(data, ("a", "b"), False, learned, held, [], positions=9, grid=(3, 3), over=IMAGE_POOLED)


def run_of(folder: Path, recipe: Recipe) -> TrainingRun:
    return TrainingRun(recipe, folder, work=Work("", "", "", "", "", {}))


def judged(made: ChosenHead, rows: TrainingSet) -> Judgement:
    assert made.logits is not None
    return judge(made.logits, rows.targets[made.judged], "single", made.shipped, independence(made.folds))


def linear(folder: Path, seed: int) -> Judgement:
    rows = vectors(seed)
    return judged(linear_head(Recipe(), network().readout, rows), rows)


def vectors(seed: int) -> TrainingSet:
    drawn = torch.Generator().manual_seed(seed)
    targets = torch.arange(ROWS) % 2
    return rows_of(FrozenVectors(torch.randn(ROWS, WIDTH, generator=drawn), targets), targets, seed, 0.4)


def grid(head: str) -> Callable[[Path, int], Judgement]:
    def made(folder: Path, seed: int) -> Judgement:
        rows = vectors(seed)
        recipe = recipe_of(TrainOptions(head=head, epochs=4.0, batch=16, seed=seed))
        return judged(head_of_a_grid(run_of(folder, recipe), network().readout, rows), rows)

    return made


def pooled(folder: Path, seed: int) -> Judgement:
    drawn = torch.Generator().manual_seed(seed)
    targets, net = torch.arange(ROWS) % 2, network()
    roles = torch.full((ROWS, 10), int(Role.CONTENT))
    roles[:, 0] = int(Role.CLASS)
    rows = rows_of(FrozenStates(torch.randn(ROWS, 10, 16, generator=drawn), roles, targets, (3, 3)), targets, seed, 0.4)
    recipe = recipe_of(TrainOptions(epochs=3.0, batch=16, seed=seed))
    return judged(learned_pooling(run_of(folder, recipe), parse("queries(2)"), net.encoder, rows), rows)


def encoder(folder: Path, seed: int) -> Judgement:
    """From scratch and fine-tuned alike: the best of eight evaluations is kept."""
    data = pictures(ROWS, seed)
    targets = torch.randint(0, 2, (ROWS,), generator=torch.Generator().manual_seed(seed))
    data.targets.copy_(targets)
    rows = rows_of(data, targets, seed, 0.4)
    recipe = Recipe.from_dict(
        {"loop": {"epochs": 8.0, "batch": 24, "seed": seed}, "optimiser": {"learning_rate": 1e-2}}
    )
    trained = learn(run_of(folder, recipe), network(seed=seed), rows)
    assert trained.logits is not None
    assert trained.targets is not None
    return judge(trained.logits, trained.targets, "single", trained.shipped)


WAYS = {"linear": linear, "cosine": grid("cosine"), "mlp": grid("mlp"), "pooling": pooled, "encoder": encoder}


def misses(way: str, folder: Path, count: int) -> int:
    """Simulations in which chance is outside the interval of the accuracy."""
    found = (WAYS[way](folder / str(seed), seed).intervals["accuracy"] for seed in range(count))
    return sum(0.5 not in interval for interval in found)


@pytest.mark.parametrize("way", WAYS)
def test_random_labels_are_chance_within_the_interval(tmp_path: Path, way: str) -> None:
    assert misses(way, tmp_path, 3) <= 1  # of 3 at 5 %: 2 or more in 7 of 1,000 runs


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("way", WAYS)
def test_random_labels_are_chance_in_95_of_100(tmp_path: Path, way: str) -> None:
    assert misses(way, tmp_path, 100) <= 10  # binomial: 11 or more of 100 at 5 % in 1 of 100 runs
