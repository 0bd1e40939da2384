"""Results for each value of a column, and the gap between the best and the worst of them, per candidate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classtoken.comparison.columns import values_of
from classtoken.comparison.contest import Entrant, within
from classtoken.comparison.labelled import Labelled
from classtoken.comparison.retrieval import Retrieval
from classtoken.comparison.similarity import Similarity
from classtoken.comparison.task import JudgedTask
from classtoken.errors import OptionError
from classtoken.measure.paired import Units, intervals
from classtoken.measure.statistics import LEAST
from classtoken.results.compare import Gap, MetricScore
from classtoken.results.statistics import Interval

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
        interval = _interval(values, task, audit.of_item == name)
        found[name] = MetricScore(interval.estimate, interval.low, interval.high, interval.method)
    return found


def gaps_of(entrants: Sequence[Entrant], task: JudgedTask, audit: Audit) -> tuple[Gap, ...]:
    """The gap between the best and the worst value of every candidate, its interval, and how often chance alone gives
    as large a gap."""
    found = []
    for one in entrants:
        values = one.judged.values[task.metric]
        parts = {name: _interval(values, task, audit.of_item == name) for name in audit.values}
        best = max(parts, key=lambda name: parts[name].estimate)
        worst = min(parts, key=lambda name: parts[name].estimate)
        low, high = _between(parts[best], parts[worst])
        apart = parts[best].estimate - parts[worst].estimate
        p = chance_of_gap(values, task.units, audit, task.choices.seed)
        found.append(Gap(one.name, best, worst, apart, low, high, p))
    return tuple(found)


def _interval(values: NDArray, task: JudgedTask, inside: NDArray) -> Interval:
    """The mean of some items, with its interval."""
    rows = np.flatnonzero(inside)
    (found,) = intervals(values[rows], task.units.of_items(rows), seed=task.choices.seed)
    return within(task.metric, found)


def _between(best: Interval, worst: Interval) -> tuple[float, float]:
    """The interval of a difference, from those of both means (Zou, Donner 2008): as wide as they are, where one of them
    is of items that are all right, too. None (from -inf to inf) where one of them is not known."""
    apart = best.estimate - worst.estimate
    below = np.hypot(best.estimate - best.low, worst.high - worst.estimate)
    above = np.hypot(best.high - best.estimate, worst.estimate - worst.low)
    return float(apart - below), float(apart + above)


def chance_of_gap(values: NDArray, units: Units, audit: Audit, seed: int) -> float:
    """How often chance alone puts the best and the worst value as far apart.

    Items are handed to the values at random. Where they come in clusters, a cluster's items are not independent: each
    cluster's sums of departures from the mean could as well have the other sign (the wild bootstrap over clusters,
    Cameron, Gelbach, Miller 2008), whether a cluster lies in one value or in several.
    """
    rows = np.flatnonzero(np.isin(audit.of_item, audit.values))
    some, names, units = values[rows] - values[rows].mean(), audit.of_item[rows], units.of_items(rows)
    member = np.stack([names == name for name in audit.values]).astype(np.float64)
    member /= member.sum(1, keepdims=True)
    seen, generator, reached = np.ptp(member @ some), np.random.default_rng(seed), 0
    sums = units.sums(member * some)
    for _ in range(SHUFFLES):
        if units.alone:
            means = member @ generator.permutation(some)
        else:
            means = sums @ (1.0 - 2 * generator.integers(0, 2, units.count))
        reached += np.ptp(means) >= seen - 1e-12
    return (reached + 1) / (SHUFFLES + 1)
