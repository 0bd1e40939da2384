"""Random labels: what every way of training says where nothing can be learned.

    python -m tests.learning.chance [WAY ...]     make the draws that are missing, and write the table of docs/trust.md

Every draw is kept in `benchmarks/results/random-labels/WAY.json` as soon as it is made, so that it can be stopped, and
ways can be drawn side by side; the tests draw a few of each in every run, and all as soak tests.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.stats import binom
from tests.learning.small import network, pictures
from tests.simulations import PAGE, table
from tools.generated import into, wrapped

from classtoken.learning.data.frozen import FrozenStates, FrozenVectors
from classtoken.learning.data.split import divide
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.judge import Judgement, judge
from classtoken.learning.recipe import Recipe, recipe_of
from classtoken.learning.run import TrainingRun
from classtoken.learning.ways.frozen import ChosenHead, head_of_a_grid, learned_pooling, linear_head
from classtoken.learning.ways.learn import learn
from classtoken.learning.work import Work
from classtoken.measure.statistics import independence
from classtoken.options import TrainOptions
from classtoken.pooling.spec import parse
from classtoken.values import IMAGE_POOLED, Record, Role

ROWS, WIDTH, DRAWS = 120, 8, 100
KEPT = Path(__file__).parents[2] / "benchmarks" / "results" / "random-labels"


@dataclass(frozen=True)
class Said:
    """What one training says, and what the rows that chose say themselves (None where they are not asked)."""

    judgement: Judgement
    without: float | None = None


@dataclass(frozen=True)
class Way:
    """A way of training, its score, and the true value of that score where labels are random."""

    train: Callable[[Path, int], Said]
    name: str
    judged: str
    score: str = "accuracy"
    truth: float = 0.5
    draws: int = DRAWS

    @property
    def missed(self) -> int:
        """Intervals of 95 % that miss the truth in so many draws or fewer, but for one time in 100."""
        return int(binom.ppf(0.99, self.draws, 0.05))


def rows_of(
    data: FrozenVectors | FrozenStates | object, targets: torch.Tensor, seed: int, held_out: float
) -> TrainingSet:
    """Records with these targets, a part of them held out."""
    several = targets.dim() == 2
    labels = [tuple(np.flatnonzero(row).astype(str)) if several else str(row) for row in targets.tolist()]
    records = [Record(str(i), label=label) for i, label in enumerate(labels)]
    names = ("a", "b", "c")[: targets.shape[1] if several else 2]
    return TrainingSet(
        data, names, several, divide(records, held_out, seed), [], positions=9, grid=(3, 3), over=IMAGE_POOLED
    )


def run_of(folder: Path, recipe: Recipe) -> TrainingRun:
    """A run that nothing was read for."""
    return TrainingRun(recipe, folder, work=Work("", "", "", "", "", {}))


def said(made: ChosenHead, rows: TrainingSet) -> Said:
    """What a head on frozen vectors says."""
    assert made.logits is not None
    targets = rows.targets[made.judged]
    judgement = judge(made.logits, targets, rows.task, made.shipped, independence(made.folds))
    return Said(judgement, made.best if made.trials[0].metric == "accuracy" else None)


def vectors(seed: int, several: bool = False) -> TrainingSet:
    """Vectors that know nothing."""
    drawn = torch.Generator().manual_seed(seed)
    values = torch.randn(ROWS, WIDTH, generator=drawn)
    targets = torch.randint(0, 2, (ROWS, 3), generator=drawn) if several else torch.arange(ROWS) % 2
    return rows_of(FrozenVectors(values, targets.float() if several else targets), targets, seed, 0.4)


def linear(folder: Path, seed: int) -> Said:
    """One label a record, five folds."""
    rows = vectors(seed)
    return said(linear_head(Recipe(), network().readout, rows), rows)


def labels(folder: Path, seed: int) -> Said:
    """Three labels, any number of them a record: all three are right by chance in one of eight."""
    rows = vectors(seed, several=True)
    return said(linear_head(Recipe(), network().readout, rows), rows)


def grid(head: str) -> Callable[[Path, int], Said]:
    """A head that is chosen among ten learning rates."""

    def made(folder: Path, seed: int) -> Said:
        rows = vectors(seed)
        recipe = recipe_of(TrainOptions(head=head, epochs=4.0, batch=16, seed=seed))
        return said(head_of_a_grid(run_of(folder, recipe), network().readout, rows), rows)

    return made


def pooled(folder: Path, seed: int) -> Said:
    """A learned pooling."""
    drawn = torch.Generator().manual_seed(seed)
    targets, net = torch.arange(ROWS) % 2, network()
    roles = torch.full((ROWS, 10), int(Role.CONTENT))
    roles[:, 0] = int(Role.CLASS)
    rows = rows_of(FrozenStates(torch.randn(ROWS, 10, 16, generator=drawn), roles, targets, (3, 3)), targets, seed, 0.4)
    recipe = recipe_of(TrainOptions(epochs=3.0, batch=16, seed=seed))
    return said(learned_pooling(run_of(folder, recipe), parse("queries(2)"), net.encoder, rows), rows)


def encoder(folder: Path, seed: int) -> Said:
    """From scratch and fine-tuned alike: the best of eight evaluations is kept."""
    data = pictures(ROWS, seed)
    targets = torch.randperm(ROWS, generator=torch.Generator().manual_seed(seed)) % 2  # as many of each: chance is 0.5
    data.targets.copy_(targets)
    rows = rows_of(data, targets, seed, 0.4)
    recipe = Recipe.from_dict(
        {"loop": {"epochs": 8.0, "batch": 24, "seed": seed}, "optimiser": {"learning_rate": 1e-2}}
    )
    trained = learn(run_of(folder, recipe), network(seed=seed), rows)
    assert trained.logits is not None
    assert trained.targets is not None
    return Said(judge(trained.logits, trained.targets, "single", trained.shipped))


WAYS = {
    "linear": Way(linear, "linear head on frozen vectors", "120 in five folds"),
    "labels": Way(labels, "linear head, three labels (all three right)", "120 in five folds", "exact_match", 0.125, 20),
    "cosine": Way(grid("cosine"), "`cosine` head, ten learning rates", "24"),
    "mlp": Way(grid("mlp"), "`mlp` head, ten learning rates", "24"),
    "pooling": Way(pooled, "learned pooling, four learning rates", "24"),
    "encoder": Way(encoder, "an encoder, the best of eight evaluations", "24"),
}


def draw(way: str, folder: Path, seed: int) -> dict[str, float | bool | None]:
    """The score that one training prints, whether its interval holds the truth, what the rows that chose say."""
    asked = WAYS[way]
    found = asked.train(folder, seed)
    score = found.judgement.scores[asked.score]
    holds = asked.truth in found.judgement.intervals[asked.score]
    return {"score": score, "holds": holds, "without": found.without}


def report(every: dict[str, list[dict[str, float]]]) -> str:
    """The table of all draws."""
    rows = []
    for name, way in WAYS.items():
        drawn = every[name]
        without = [one["without"] for one in drawn if one["without"] is not None]
        rows.append(
            (
                way.name,
                way.judged,
                f"{way.truth:g}",
                f"{np.mean([one['score'] for one in drawn]):.3f}",
                f"{sum(one['holds'] for one in drawn)} of {len(drawn)}",
                f"{np.mean(without):.3f}" if without else "",
            )
        )
    limits = " and ".join(
        f"{draws - missed} or more of {draws}" for draws, missed in sorted({(w.draws, w.missed) for w in WAYS.values()})
    )
    says = f"Intervals of 95 % hold the truth in {limits} draws, but for one time in 100."
    return table(("way", "judged on", "truth", "mean", "covered", "without"), rows) + "\n\n" + wrapped(says)


def kept(way: str) -> list[dict[str, float]]:
    """The draws that there are."""
    path = KEPT / f"{way}.json"
    found: list[dict[str, float]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return found


def main(ways: list[str]) -> None:
    """All draws that are not kept yet, of one way after another; then the page, from those of all ways."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in ways:
        drawn = kept(name)
        for seed in range(len(drawn), WAYS[name].draws):
            with TemporaryDirectory() as folder:
                drawn.append(draw(name, Path(folder), seed))
            (KEPT / f"{name}.json").write_text(json.dumps(drawn, indent=1) + "\n", encoding="utf-8")
    every = {name: kept(name) for name in WAYS}
    if all(len(every[name]) == way.draws for name, way in WAYS.items()):
        PAGE.write_text(into(PAGE.read_text(encoding="utf-8"), "python -m tests.learning.chance", report(every)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:] or list(WAYS))
