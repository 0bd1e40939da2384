"""Random controls: the one rule by which a cut is held against others of its kind and size.

- A control is a set of as many things as the tested one, and never the tested set itself. Controls are distinct.
- Where at most 200 other sets exist, all of them are controls. Otherwise they are drawn, until `ENOUGH` of them change
  the answer at least as much (Besag, Clifford 1991), or until there are enough for the smallest p that is asked for.
- p = (1 + controls that change the answer at least as much) / (1 + controls). If the tested set is no different from
  the others, it is at most alpha in at most alpha of all cases: the tested set and its controls are exchangeable then.
- Cuts that are shown together are corrected together (Holm), and where p cannot reach 0.05 the verdict is "too few".

`results.explain.KnockOut` holds what comes of it, with the verdict and its direction.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Generic, TypeVar

import numpy as np

from classtoken.measure.statistics import holm
from classtoken.results.explain import LEVEL, KnockOut, as_large

ENUMERATED = 200
"""up to so many other sets, all of them are controls"""
ENOUGH = 5
"""controls that do as much, after which no more are drawn"""
LEAST = 79
"""controls drawn where fewer than `ENOUGH` do as much: p down to 0.0125, or lower where many are shown together"""
MANY = 10**9
"""more sets than that are not counted"""
CHUNK = 24
"""controls run at a time"""

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Controls(Generic[Thing]):
    """Sets to compare with, in the order in which they are tried. possible: how many other sets there are at all."""

    sets: tuple[tuple[Thing, ...], ...]
    possible: int

    @property
    def complete(self) -> bool:
        """Whether these are all of them."""
        return len(self.sets) == self.possible


def controls_for(
    things: Sequence[Thing], tested: Collection[Thing], *, tests: int = 1, seed: int = 0
) -> Controls[Thing]:
    """Controls for a set `tested` out of `things`; none where `tested` holds something else, or all of them.

    tests: cuts that are shown together; so many more are drawn that p can reach 0.05 after the correction.
    """
    chosen, size = set(tested), len(set(tested))
    if not size or not chosen <= set(things):
        return Controls((), 0)
    possible = min(math.comb(len(things), size) - 1, MANY)
    generator = np.random.default_rng(seed)
    if possible <= ENUMERATED:
        every = [found for found in combinations(things, size) if set(found) != chosen]
        return Controls(tuple(every[i] for i in generator.permutation(len(every))), possible)
    most = min(possible, max(LEAST, round(tests / LEVEL) - 1))
    seen: set[frozenset[Thing]] = {frozenset(chosen)}
    sets: list[tuple[Thing, ...]] = []
    while len(sets) < most:
        found = frozenset(things[i] for i in generator.choice(len(things), size, replace=False))
        if found not in seen:
            seen.add(found)
            sets.append(tuple(thing for thing in things if thing in found))
    return Controls(tuple(sets), possible)


def values_of(
    controls: Controls[Thing],
    run: Callable[[Sequence[tuple[Thing, ...]]], Sequence[float]],
    *,
    before: float,
    after: float,
) -> tuple[float, ...]:
    """The answers with the controls in the tested set's place: with all of them where they are complete, else with as
    many as the rule asks for."""
    values: list[float] = []
    effect, reached = abs(after - before), 0
    for start in range(0, len(controls.sets), CHUNK):
        for value in run(controls.sets[start : start + CHUNK]):
            values.append(float(value))
            reached += as_large(abs(value - before), effect)
            if reached == ENOUGH and not controls.complete:
                return tuple(values)
    return tuple(values)


def judged_together(knockouts: Sequence[KnockOut]) -> tuple[KnockOut, ...]:
    """Knock-outs that are shown side by side, with their p corrected for being several (Holm)."""
    tested = {i: p for i, k in enumerate(knockouts) if (p := k.p) is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())).tolist(), strict=True))
    return tuple(
        replace(k, together=len(tested), p_together=adjusted[i]) if i in adjusted else k
        for i, k in enumerate(knockouts)
    )
