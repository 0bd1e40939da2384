"""All candidates on one task: judged item by item, then intervals, tests, groups and advice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.task import Floats, Judged, JudgedTask
from classtoken.errors import OptionError
from classtoken.measure.paired import (
    PairTests,
    Units,
    detectable,
    effect_size,
    groups,
    intervals,
    pair_tests,
    standard_errors,
)
from classtoken.results.compare import ComparedVector, Cost, Difference, MetricScore
from classtoken.results.statistics import Interval
from classtoken.values import Record

NAMED = 5
"""records that a fault names"""
SIGNED = ("spearman", "pearson")
"""metrics that may be below 0"""


@dataclass(frozen=True)
class Entrant:
    """A candidate with what it got."""

    name: str
    model: str
    pooling: str | None
    judged: Judged
    cost: Cost
    role: str = "candidate"
    vectors: NDArray | None = None
    notes: tuple[str, ...] = ()
    dim: int | None = None


@dataclass(frozen=True)
class Standing:
    """The order of the candidates and how sure it is."""

    candidates: tuple[ComparedVector, ...]
    entrants: tuple[Entrant, ...]
    """in the same order"""
    differences: tuple[Difference, ...]
    detectable: float
    narrower: float


def fault_of(vectors: NDArray, records: Sequence[Record]) -> str:
    """Why a candidate's vectors cannot be compared; empty where they can."""
    bad = np.flatnonzero((~np.isfinite(vectors)).any(1)).tolist()
    if bad:
        named = ", ".join(records[row].id for row in bad[:NAMED]) + (" ..." if len(bad) > NAMED else "")
        return f"{len(bad)} of {len(vectors)} vectors hold numbers that are not finite ({named})"
    if (vectors == vectors[0]).all():
        return "all vectors are equal"
    return ""


def judged_or_fault(
    task: JudgedTask, vectors: NDArray, *, whiten: bool = False, only: str | None = None
) -> Judged | str:
    """What a candidate got, or why it cannot be judged."""
    fault = fault_of(vectors, task.records)
    if fault:
        return fault
    try:
        return task.judge(vectors, whiten=whiten, only=only)
    except OptionError as error:
        return str(error).rstrip(".")


def scores_of(several: Sequence[Judged], units: Units, seed: int = 0) -> list[dict[str, MetricScore]]:
    """Every metric of each with its interval; the same resamples serve all of them."""
    rows = [(n, name) for n, judged in enumerate(several) for name in judged.values]
    found = intervals(np.stack([several[n].values[name] for n, name in rows]), units, seed=seed)
    scores: list[dict[str, MetricScore]] = [{} for _ in several]
    for (n, name), interval in zip(rows, found, strict=True):
        spread, draws = several[n].spread.get(name, (None, 0))
        inside = within(name, interval)
        scores[n][name] = MetricScore(inside.estimate, inside.low, inside.high, inside.method, spread, draws)
    return scores


def within(metric: str, interval: Interval) -> Interval:
    """An interval that leaves out what the metric cannot be."""
    if not interval.known:
        return interval
    least = -1.0 if metric.startswith(SIGNED) else 0.0
    return replace(interval, low=max(least, interval.low), high=min(1.0, interval.high))


def standing(task: JudgedTask, entrants: Sequence[Entrant], *, seed: int = 0) -> Standing:
    """Ranked by the task's metric. Every pair is tested, corrected together; controls are tested like candidates."""
    values = np.stack([one.judged.values[task.metric] for one in entrants])
    tests = pair_tests(values, task.units, seed=seed)
    means = values.mean(1)
    number = groups(means, tests.adjusted)
    order = sorted(range(len(entrants)), key=lambda i: (number[i], -means[i]))
    scores = scores_of([one.judged for one in entrants], task.units, seed)
    candidates = tuple(_compared(entrants[i], scores[i], number[i]) for i in order)
    differences = _differences(task, entrants, values, tests, order)
    deviation = _typical_deviation(values, task.units)
    pairs = len(entrants) * (len(entrants) - 1) // 2
    smallest = detectable(task.deviation if deviation is None else deviation, task.units.count, tests=max(1, pairs))
    ordered = tuple(entrants[i] for i in order)
    return Standing(candidates, ordered, differences, smallest, _narrower(values, task.units))


def _compared(one: Entrant, metrics: dict[str, MetricScore], group: int) -> ComparedVector:
    return ComparedVector(
        name=one.name,
        group=group,
        metrics=metrics,
        model=one.model,
        pooling=one.pooling,
        role=one.role,
        cost=one.cost,
        setting=one.judged.setting,
        per_class=one.judged.per_class,
        notes=one.notes,
        dim=one.dim,
    )


def _differences(
    task: JudgedTask, entrants: Sequence[Entrant], values: Floats, tests: PairTests, order: Sequence[int]
) -> tuple[Difference, ...]:
    """Every pair, the better one first."""
    pairs = [(i, j) for n, i in enumerate(order) for j in order[n + 1 :]]
    if not pairs:
        return ()
    apart = np.stack([values[i] - values[j] for i, j in pairs])
    found = []
    for (i, j), row, interval in zip(
        pairs, apart, intervals(apart, task.units, seed=task.choices.seed, differences=True), strict=True
    ):
        found.append(
            Difference(
                first=entrants[i].name,
                second=entrants[j].name,
                value=interval.estimate,
                low=interval.low,
                high=interval.high,
                p=float(tests.p[i, j]),
                adjusted=float(tests.adjusted[i, j]),
                effect=effect_size(row),
                wins=int((row > 1e-12).sum()),
                losses=int((row < -1e-12).sum()),
            )
        )
    return tuple(found)


def _typical_deviation(values: Floats, units: Units) -> float | None:
    """The median over pairs of the standard deviation of a unit's difference, as its standard error tells it; None
    where nothing differs."""
    first, second = np.triu_indices(len(values), 1)
    if not len(first):
        return None
    errors = standard_errors(values[first] - values[second], units)
    some = errors[np.isfinite(errors) & (errors > 0)]
    return float(np.median(some) * np.sqrt(units.count)) if len(some) else None


def _narrower(values: Floats, units: Units) -> float:
    """Standard error with clusters over that without, the median over candidates; 1 where there are no clusters."""
    if units.alone:
        return 1.0
    alone = standard_errors(values, Units.each(values.shape[1]))
    ratios = standard_errors(values, units)[alone > 0] / alone[alone > 0]
    return float(np.median(ratios)) if len(ratios) else 1.0
