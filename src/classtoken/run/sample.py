"""A sample of the vectors before all of them: what a lower precision, a shorter vector or smaller numbers cost, on the
user's own data."""

from dataclasses import replace

import numpy as np

from classtoken.measure.geometry import cosines
from classtoken.results.embed import Sampled
from classtoken.run.stage import Stage
from classtoken.run.tasks import computed_rows
from classtoken.source import Plan, Source
from classtoken.values import Task

#: Records of a sample, from so many places of the source.
RECORDS, PLACES = 1024, 16
#: Records that are computed a second time, in fp32, for a lower precision: a share of all, at least and at most.
TWICE, TWICE_LEAST, TWICE_MOST = 0.02, 16, 256
#: Neighbours of each vector that are compared.
NEIGHBOURS = 10
#: Sets of dimensions drawn at random, to compare the first ones with.
DRAWS = 5


def sample(source: Source, plan: Plan, stage: Stage, most: int = RECORDS) -> dict[str, np.ndarray]:
    """Vectors of up to `most` records, taken from `PLACES` tasks that are spread over the source."""
    rows = [computed_rows(source, task, stage) for task in spread(plan, most)]
    return {name: np.concatenate([block.vectors[name] for block in rows]) for name in stage.columns}


def spread(plan: Plan, most: int) -> list[Task]:
    """The beginnings of up to `PLACES` tasks that are spread over the source, about `most` records in all."""
    chosen = np.unique(np.linspace(0, len(plan.tasks) - 1, PLACES).round().astype(int)).tolist()
    each = -(-most // len(chosen))
    return [replace(task, stop=min(task.stop, task.start + each)) for task in (plan.tasks[i] for i in chosen)]


def records_twice(total: int) -> int:
    """How many of so many records are computed in fp32 as well."""
    return int(min(max(TWICE * total, TWICE_LEAST), TWICE_MOST))


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
    """What is kept of whole vectors: by what is stored, by the first `dim` numbers, by random ones."""
    wanted, chance = neighbours(whole), np.random.default_rng(0)
    kept = Sampled(len(whole), recall(neighbours(stored), wanted))
    if dim is None:
        alike = cosines(whole, stored)
        return replace(kept, cosine=float(alike.mean()), lowest=float(alike.min()))
    drawn = [chance.permutation(whole.shape[1])[:dim] for _ in range(DRAWS)]
    random = [recall(neighbours(whole[:, which]), wanted) for which in drawn]
    return replace(kept, first=recall(neighbours(whole[:, :dim]), wanted), random=float(np.mean(random)))
