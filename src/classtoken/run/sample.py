"""A sample of the vectors before all of them: what a shorter vector or smaller numbers cost, on the user's own data."""

from dataclasses import replace

import numpy as np

from classtoken.results.embed import Sampled
from classtoken.run.stage import Stage
from classtoken.run.tasks import computed_rows
from classtoken.source import Plan, Source

#: Records of a sample, from so many places of the source.
RECORDS, PLACES = 1024, 16
#: Neighbours of each vector that are compared.
NEIGHBOURS = 10
#: Sets of dimensions drawn at random, to compare the first ones with.
DRAWS = 5


def sample(source: Source, plan: Plan, stage: Stage) -> dict[str, np.ndarray]:
    """Vectors of up to `RECORDS` records, taken from `PLACES` tasks that are spread over the source."""
    chosen = np.unique(np.linspace(0, len(plan.tasks) - 1, PLACES).round().astype(int)).tolist()
    most = -(-RECORDS // len(chosen))
    tasks = [plan.tasks[number] for number in chosen]
    rows = [computed_rows(source, replace(task, stop=min(task.stop, task.start + most)), stage) for task in tasks]
    return {name: np.concatenate([block.vectors[name] for block in rows]) for name in stage.columns}


def neighbours(vectors: np.ndarray) -> np.ndarray:
    """The numbers of the `NEIGHBOURS` nearest other vectors of each, by cosine: (n, k)."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    most = min(NEIGHBOURS, len(vectors) - 1)
    return np.argpartition(-near, most - 1, axis=1)[:, :most] if most > 0 else np.zeros((len(vectors), 0), int)


def recall(found: np.ndarray, wanted: np.ndarray) -> float:
    """The share of `wanted` neighbours that are among those `found`."""
    if not wanted.size:
        return 1.0
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, wanted, strict=True)]))


def measured(whole: np.ndarray, stored: np.ndarray, dim: int | None) -> Sampled:
    """What is kept of neighbours by whole vectors: by what is stored, by the first `dim` numbers, by random ones."""
    wanted, chance = neighbours(whole), np.random.default_rng(0)
    kept = Sampled(len(whole), recall(neighbours(stored), wanted))
    if dim is None:
        return kept
    drawn = [chance.permutation(whole.shape[1])[:dim] for _ in range(DRAWS)]
    random = [recall(neighbours(whole[:, which]), wanted) for which in drawn]
    return replace(kept, first=recall(neighbours(whole[:, :dim]), wanted), random=float(np.mean(random)))
