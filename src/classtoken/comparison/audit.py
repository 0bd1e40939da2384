"""Results for each value of a column, and the gap between the best and the worst of them, per candidate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.columns import values_of
from classtoken.comparison.contest import Entrant
from classtoken.comparison.labelled import Labelled
from classtoken.comparison.retrieval import Retrieval
from classtoken.comparison.similarity import Similarity
from classtoken.comparison.task import JudgedTask
from classtoken.errors import OptionError
from classtoken.measure.paired import Units, intervals
from classtoken.measure.statistics import LEAST
from classtoken.results.compare import Gap, MetricScore

SHUFFLES = 2000


@dataclass(frozen=True)
class Audit:
    """The value of each judged item; the values that have enough items."""

    of_item: NDArray
    values: tuple[str, ...]
    notes: tuple[str, ...]


def audit_of(task: JudgedTask) -> Audit | None:
    """What is audited; None where nothing is. Raises `OptionError` for a column that is not there, or has one value."""
    column = task.choices.group
    if column is None:
        return None
    names = ["" if name is None else name for name in _values(task, column)]
    counts = {name: names.count(name) for name in dict.fromkeys(names) if name}
    kept = tuple(sorted(name for name, count in counts.items() if count >= LEAST))
    if len(kept) < 2:
        said = ", ".join(f"'{name}' ({count})" for name, count in list(counts.items())[:6])
        raise OptionError(
            f"the column '{column}' (`group`) needs two values with {LEAST} judged items each; it has {said}."
        )
    few = [name for name in counts if name not in kept]
    notes = [f"Groups with fewer than {LEAST} judged items are not told: {', '.join(few[:10])}."] if few else []
    missing = names.count("")
    notes += [f"{missing} items have nothing in the column '{column}'."] if missing else []
    return Audit(np.array(names), kept, tuple(notes))


def _values(task: JudgedTask, column: str) -> list[str | None]:
    if isinstance(task, Similarity):
        found = [None if pair.meta.get(column) is None else str(pair.meta[column]) for pair in task.pairs]
        if not any(found):
            raise OptionError(f"the pairs have no column '{column}' (`group`).")
        return found
    if isinstance(task, Labelled):
        records = [task.records[row] for row in task.split.judged]
    else:
        records = list(task.queries) if isinstance(task, Retrieval) else list(task.records)
    return values_of(records, column, task.choices.called, "group")


def parts_of(one: Entrant, task: JudgedTask, audit: Audit) -> dict[str, MetricScore]:
    """The metric that ranks for every value, each with its interval."""
    values, found = one.judged.values[task.metric], {}
    for name in audit.values:
        rows = np.flatnonzero(audit.of_item == name)
        (interval,) = intervals(values[rows], task.units.of_items(rows), seed=task.choices.seed)
        found[name] = MetricScore(interval.estimate, interval.low, interval.high, interval.method)
    return found


def gaps_of(entrants: Sequence[Entrant], task: JudgedTask, audit: Audit) -> tuple[Gap, ...]:
    """The gap between the best and the worst value of every candidate; its interval by resampling units, and how often
    items that were handed to the values at random give as large a gap."""
    found = []
    for one in entrants:
        values = one.judged.values[task.metric]
        means = {name: float(values[audit.of_item == name].mean()) for name in audit.values}
        best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        low, high = _interval(values, task.units, audit, best, worst, task.choices.seed)
        p = _chance(values, audit, means[best] - means[worst], task.choices.seed)
        found.append(Gap(one.name, best, worst, means[best] - means[worst], low, high, p))
    return tuple(found)


def _interval(values: NDArray, units: Units, audit: Audit, best: str, worst: str, seed: int) -> tuple[float, float]:
    """Of the difference between two fixed values of the column, by the percentile bootstrap over units."""
    generator = np.random.default_rng(seed)
    sums = [units.sums(np.stack([values * (audit.of_item == n), (audit.of_item == n) * 1.0])) for n in (best, worst)]
    drawn = generator.integers(0, units.count, (SHUFFLES, units.count))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [s[0][drawn].sum(1) / s[1][drawn].sum(1) for s in sums]
    apart = (shares[0] - shares[1])[np.isfinite(shares[0] - shares[1])]
    return float(np.quantile(apart, 0.025)), float(np.quantile(apart, 0.975))


def _chance(values: NDArray, audit: Audit, seen: float, seed: int) -> float:
    """The share of random orders of the items in which the best and the worst value are as far apart."""
    generator = np.random.default_rng(seed)
    inside = np.isin(audit.of_item, audit.values)
    some, names = values[inside], audit.of_item[inside]
    member = np.stack([names == name for name in audit.values]).astype(np.float64)
    member /= member.sum(1, keepdims=True)
    reached = 0
    for _ in range(SHUFFLES):
        means = member @ generator.permutation(some)
        reached += means.max() - means.min() >= seen - 1e-12
    return (reached + 1) / (SHUFFLES + 1)
