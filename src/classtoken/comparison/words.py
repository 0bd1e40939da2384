"""Which candidate to use, and how sure that is, in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

from classtoken.results.compare import ComparedVector, Difference
from classtoken.results.compare_words import difference_in_words, score_in_words

POOLINGS = {
    "cls": "the class token",
    "mean": "the mean of the tokens",
    "max": "the maximum over the tokens",
    "cls+mean": "class token and mean side by side",
    "gem": "the generalized mean",
    "last": "the last token",
    "first": "the first token",
    "own": "the model's own vector",
    "map": "attention pooling",
}
LEVEL = 0.05
"""corrected p below which a difference is called clear"""
NAMED = 4
"""ties that a headline names; more are counted"""


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@dataclass(frozen=True)
class Advice:
    """What was found, as a headline; what to do, and how sure that is; the candidate, and the pooling to name for it,
    None for the model's own and for stored vectors."""

    line: str
    sure: str
    name: str
    pooling: str | None


def advice_of(candidates: Sequence[ComparedVector], differences: Sequence[Difference], metric: str) -> Advice:
    """What was found, what to do and how sure that is.

    Of candidates that cannot be told apart from the best, nor are clearly worse than another, the model's own vector is
    named, else the shortest one of those that a pooling gives as they are (whitened and stored ones it does not). What
    is said of the others is said of them and the one that is named: their own pair was tested.
    """
    real = [one for one in candidates if one.role == "candidate"]
    clear = {(d.first, d.second) for d in differences if d.adjusted < LEVEL}
    best = real[0]
    ties = [one for one in real if one.group == best.group and not any((o.name, one.name) in clear for o in real)]
    usual = [one for one in ties if one.name.split(": ")[-1] == "own"]
    chosen = best if len(ties) == 1 else (usual or sorted(ties, key=lambda o: (o.pooling is None, o.cost.size)))[0]
    score = chosen.metrics[metric]
    said = f"{chosen.name}: {score_in_words(score.value, score.low, score.high, metric)}"
    if len(real) == 1:
        line, sure = f"{said}. It is the only candidate: there is nothing to choose.", ""
    elif len(ties) == 1 and real[1].group > best.group:
        gap = next(d for d in differences if d.first == best.name and d.second == real[1].name)
        line = f"{said}, better than {real[1].name} by {difference_in_words(gap.value, metric, gap.low, gap.high)}."
        sure = "The difference is clear of chance (a permutation test, corrected for all pairs, at 5 %)."
    else:
        worse = [one for one in real if (chosen.name, one.name) in clear]
        others = [one for one in real if one is not chosen and one.group == best.group and one not in worse]
        line = f"{said}. {_ties(others, chosen, metric)}".rstrip()
        sure = _certainty(worse, [o for o in real if o.group > best.group and o not in worse], chosen, best)
    return Advice(line, f"{_use(chosen, ties)} {sure}".strip(), chosen.name, chosen.pooling)


def _ties(others: Sequence[ComparedVector], chosen: ComparedVector, metric: str) -> str:
    """`cls and max are not clearly worse.`"""
    if not others:
        return ""
    mine = chosen.metrics[metric].value
    above = [one for one in others if one.metrics[metric].value > mine]
    sign = "worse" if not above else "better" if len(above) == len(others) else "better or worse"
    if len(others) > NAMED:
        return f"None of {len(others)} others is clearly {sign}."
    return f"{listed([one.name for one in others])} {'is' if len(others) == 1 else 'are'} not clearly {sign}."


def _use(chosen: ComparedVector, ties: Sequence[ComparedVector]) -> str:
    """`Use mean, the mean of the tokens (--pooling 'mean').`, and why this one of several that are as good."""
    meaning = POOLINGS.get(chosen.name)
    named = [] if chosen.pooling is None else [f"--pooling '{chosen.pooling}'"]
    named += [] if chosen.dim is None else [f"--dim {chosen.dim}"]
    about, flags = f", {meaning}" if meaning else "", f" ({' '.join(named)})" if named else ""
    said = f"Use {chosen.name}{about}{flags}."
    if len(ties) > 1 and chosen.name.split(": ")[-1] == "own":
        return f"{said} Of those that are not told apart from the best, it is the model's own."
    if chosen is not ties[0] and chosen.cost.size < ties[0].cost.size:
        return (
            f"{said} Of those that are not told apart from the best, it is the shortest ({chosen.cost.size} numbers)."
        )
    return said


def _certainty(
    worse: Sequence[ComparedVector], between: Sequence[ComparedVector], chosen: ComparedVector, best: ComparedVector
) -> str:
    """How sure a choice among several is that are not told apart; `worse` are clearly worse than the chosen one,
    `between` than the best one only."""
    if not worse and not between:
        return "No candidate is clearly worse than another; more items might tell them apart."
    said = [
        "In 95 of 100 such comparisons the truly best one is among those that are not told apart from the best here."
    ]
    if worse:
        said.append(f"{_several(worse)} clearly worse than {chosen.name}.")
    if between:
        said.append(f"{_several(between)} clearly worse than {best.name}, but not than {chosen.name}.")
    return " ".join(said)


def _several(some: Sequence[ComparedVector]) -> str:
    """`gem and max are`; of many the first few by name."""
    names = [one.name for one in some]
    shown = names if len(names) <= NAMED else [*names[: NAMED - 1], f"{len(names) - NAMED + 1} others"]
    return f"{listed(shown)} {'is' if len(names) == 1 else 'are'}"
