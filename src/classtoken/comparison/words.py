"""Candidates, metrics and findings in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

from classtoken.results.compare import ComparedVector, Difference

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
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "knn_accuracy": "accuracy of nearest neighbours",
    "few_shot_accuracy": "accuracy after few examples",
    "map": "mean average precision",
    "knn_map": "mean average precision of nearest neighbours",
    "micro_f1": "micro F1",
    "spearman": "Spearman correlation",
    "pearson": "Pearson correlation",
    "spearman_whitened": "Spearman correlation, whitened",
    "ndcg@10": "nDCG@10",
    "mrr@10": "MRR@10",
    "recall@1": "Recall@1",
    "recall@10": "Recall@10",
    "v_measure": "V-measure",
    "miou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
}


def called(name: str) -> str:
    """`mean (the mean of the tokens)`, or the name alone."""
    meaning = POOLINGS.get(name)
    return f"{name} ({meaning})" if meaning else name


def points(value: float) -> str:
    """A difference of two metrics in points (hundredths)."""
    return f"{100 * value:.1f}"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@dataclass(frozen=True)
class Advice:
    """What to use, in one sentence; how sure that is, in another; the candidate, and the pooling to name for it, None
    for the model's own and for stored vectors."""

    line: str
    sure: str
    name: str
    pooling: str | None


def advice_of(candidates: Sequence[ComparedVector], differences: Sequence[Difference], metric: str) -> Advice:
    """What to use and how sure that is.

    Of candidates that cannot be told apart the model's own vector is named, else the shortest one of those that a
    pooling gives as they are (whitened and stored ones it does not).
    """
    real = [one for one in candidates if one.role == "candidate"]
    best = real[0]
    ties = [one for one in real if one.group == best.group]
    named = METRICS.get(metric, metric)
    if len(real) == 1:
        line = f"There is one candidate only, {called(best.name)}: there is nothing to choose."
        return Advice(line, "", best.name, best.pooling)
    if len(ties) == 1:
        gap = next(d for d in differences if d.first == best.name and d.second == real[1].name)
        line = (
            f"Use {called(best.name)}{_flag(best)}: its {named} of {best.metrics[metric].value:.3f} is better than "
            f"that of {called(real[1].name)} by {points(gap.value)} points [{points(gap.low)}, {points(gap.high)}]."
        )
        sure = "The difference is clear of chance (a permutation test, corrected for all pairs, at 5 %)."
        return Advice(line, sure, best.name, best.pooling)
    usual = [one for one in ties if one.name.split(": ")[-1] == "own"]
    chosen = (usual or sorted(ties, key=lambda one: (one.pooling is None, one.cost.size)))[0]
    names = [called(one.name) for one in ties if one is not chosen]
    shown = names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} others"]
    line = f"Use {called(chosen.name)}{_flag(chosen)}: these items do not tell it apart from {listed(shown)}."
    why = "It is the model's own. " if usual else ""
    worse = [one for one in real if one.group > best.group]
    sure = why + (
        f"In 95 of 100 such comparisons the truly best one is among these; {listed([one.name for one in worse][:4])} "
        f"{'is' if len(worse) == 1 else 'are'} clearly worse."
        if worse
        else "No candidate is clearly worse than another; more items might tell them apart."
    )
    return Advice(line, sure, chosen.name, chosen.pooling)


def _flag(one: ComparedVector) -> str:
    named = [] if one.pooling is None else [f"--pooling '{one.pooling}'"]
    named += [] if one.dim is None else [f"--dim {one.dim}"]
    return f" ({' '.join(named)})" if named else ""
