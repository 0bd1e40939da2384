"""What `compare` promises of its tests, groups and intervals, simulated where the truth is known.

`python -m tests.measure.calibration` writes the table of docs/compare.md (2,000 comparisons a row, a minute or two of
one core). `test_paired` runs the same in small, and in full as soak tests.
"""

import sys

import numpy as np
from tools.generated import DOCS, into, table

from classtoken.measure.paired import Units, detectable, groups, intervals, pair_tests

PAGE = DOCS / "compare.md"
RESAMPLES = 999
ITEMS, SPREAD = 300, 0.5
ALMOST = (0.03, 0.02, 0.01, 0.0)
"""candidates that differ by less than can be seen"""


def null_candidates(generator: np.random.Generator, clustered: bool) -> tuple[np.ndarray, Units]:
    """Five candidates of equal accuracy on 150 items; clustered: 50 clusters of three like items."""
    if not clustered:
        hard = generator.random(150)
        return (generator.random((5, 150)) < 0.3 + 0.5 * hard).astype(float), Units.each(150)
    right = (generator.random((5, 50)) < 0.7).astype(float)
    wobble = generator.random((5, 150)) < 0.1
    return abs(np.repeat(right, 3, axis=1) - wobble), Units.clusters(np.repeat(np.arange(50), 3).tolist())


def told_apart(repeats: int, *, clustered: bool, named: bool = True) -> tuple[int, int]:
    """Of so many comparisons of equal candidates: how often one pair, and any pair after Holm, is told apart.

    named: whether the clusters are known to the test.
    """
    generator, single, family = np.random.default_rng(7), 0, 0
    for _ in range(repeats):
        values, units = null_candidates(generator, clustered)
        found = pair_tests(values, units if named else Units.each(150), resamples=RESAMPLES)
        single += bool(found.p[0, 1] < 0.05)
        family += bool((found.adjusted < 0.05).any())
    return single, family


def planted(repeats: int) -> tuple[int, int]:
    """A candidate ahead of two equal ones by what should be seen in 80 %: how often it is seen, and how often the
    groups are exactly the truth."""
    generator, seen, held = np.random.default_rng(1), 0, 0
    truths = np.array([detectable(SPREAD * np.sqrt(2), ITEMS, tests=3), 0.0, 0.0])
    for _ in range(repeats):
        values = generator.normal(size=(3, ITEMS)) * SPREAD + truths[:, None]
        found = pair_tests(values, Units.each(ITEMS), resamples=RESAMPLES)
        number = groups(values.mean(1), found.adjusted)
        seen += bool(found.adjusted[0, 1] < 0.05 and found.differences[0, 1] > 0)
        held += number[0] == 1 and number[1] == number[2]
    return seen, held


def best_in_first_group(repeats: int, truths: tuple[float, ...] = ALMOST) -> int:
    """How often the truly best of several is in group 1."""
    generator, held = np.random.default_rng(2), 0
    for _ in range(repeats):
        values = generator.normal(size=(len(truths), ITEMS)) * SPREAD + np.array(truths)[:, None]
        held += groups(values.mean(1), pair_tests(values, Units.each(ITEMS), resamples=RESAMPLES).adjusted)[0] == 1
    return held


def covered(repeats: int, *, clustered: bool) -> int:
    """How often the 95 % interval of an accuracy holds the true one."""
    generator, held = np.random.default_rng(5), 0
    truth = 0.7 * 0.9 + 0.3 * 0.1 if clustered else 0.55
    for _ in range(repeats):
        values, units = null_candidates(generator, clustered)
        held += truth in intervals(values[:1], units, resamples=RESAMPLES)[0]
    return held


def report(repeats: int) -> str:
    """The table."""

    def share(hits: int) -> str:
        return f"{100 * hits / repeats:.1f} %"

    alike, clusters = told_apart(repeats, clustered=False), told_apart(repeats, clustered=True)
    unnamed = told_apart(repeats, clustered=True, named=False)
    seen, _ = planted(repeats)
    almost, tied = best_in_first_group(repeats), best_in_first_group(repeats, (0.2, 0.2, 0.0, 0.0))
    rows = [
        ("five equal candidates, 150 items: one pair is told apart", share(alike[0]), "5 % or less"),
        ("the same: any of the ten pairs is, after Holm", share(alike[1]), "5 % or less"),
        ("five equal candidates, 50 clusters of three items: one pair", share(clusters[0]), "5 % or less"),
        ("the same: any pair, after Holm", share(clusters[1]), "5 % or less"),
        ("the same without `--cluster`: one pair", share(unnamed[0]), "(the error that clusters make)"),
        (f"a difference of the size that is named before the run, {ITEMS} items: it is found", share(seen), "80 %"),
        ("four candidates almost equal: the truly best one is in group 1", share(almost), "95 % or more"),
        ("two tied at the top, two clearly worse: the same", share(tied), "95 % or more"),
        ("the interval of an accuracy holds the true one", share(covered(repeats, clustered=False)), "95 %"),
        ("the same, 50 clusters", share(covered(repeats, clustered=True)), "95 %"),
    ]
    return f"{repeats} simulated comparisons a row:\n\n" + table(("simulated", "seen", "promised"), rows)


if __name__ == "__main__":
    found = report(int((sys.argv[1:] or ["2000"])[0]))
    PAGE.write_text(into(PAGE.read_text("utf-8"), "python -m tests.measure.calibration", found), "utf-8")
