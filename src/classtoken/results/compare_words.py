"""How a comparison's metrics, scores and differences are written for a reader, wherever they stand."""

import math
from collections.abc import Iterable

from classtoken.results.base import counted
from classtoken.results.lines import in_a_line, names_in_a_line
from classtoken.values import Rejected

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
SHARES = ("accuracy", "knn_accuracy", "few_shot_accuracy", "pixel_accuracy", "recall@1", "recall@10")
"""metrics that are shares of items, which are written in %"""
NARROW = 0.03
"""an interval narrower than this has a digit more"""
SHOWN_IDS, SHOWN_REASONS = 5, 12


def score_in_words(value: float, low: float, high: float, metric: str) -> str:
    """`96.4 % accuracy (94-98)`, or `Spearman correlation 0.867 (0.850 to 0.884)`; no brackets without an interval."""
    named = METRICS.get(metric, metric)
    known = math.isfinite(low) and math.isfinite(high)
    if metric in SHARES:
        digits = 0 if high - low >= NARROW else 1
        limits = f" ({100 * low:.{digits}f}-{100 * high:.{digits}f})" if known else ""
        return f"{100 * value:.1f} % {named}{limits}"
    return f"{named} {value:.3f}" + (f" ({low:.3f} to {high:.3f})" if known else "")


def difference_in_words(value: float, metric: str, low: float = -math.inf, high: float = math.inf) -> str:
    """`2.1 points (0.8 to 3.4)` of a share, else `0.021 (0.013 to 0.028)`; no brackets without an interval."""
    times, digits, unit = (100, 1, " points") if metric in SHARES else (1, 3, "")
    known = math.isfinite(low) and math.isfinite(high)
    limits = f" ({times * low:.{digits}f} to {times * high:.{digits}f})" if known else ""
    return f"{times * value:.{digits}f}{unit}{limits}"


def smallest_in_words(smallest: float, before: float, metric: str) -> str:
    """The smallest difference that the items show, and what was expected of them before scores were known."""
    said = (
        f"a true difference of {difference_in_words(smallest, metric)} between two candidates is found here in 4 of 5 "
        "such comparisons, a smaller one less often"
    )
    return said + (f" (expected before the run: {difference_in_words(before, metric)})" if before else "")


def group_in_words(number: int, before: str, members: int) -> str:
    """What the group of that number is, whose best stands first; `before` is the best of the group above it."""
    if number == 1:
        return "clearly the best" if members == 1 else "the best, and all that these items do not tell apart from it"
    return f"clearly worse than {before}" + ("" if members == 1 else "; tied with the first below")


def left_out_in_words(refused: Iterable[Rejected]) -> list[str]:
    """A line a reason: how many items it keeps out, and which."""
    reasons: dict[str, list[str]] = {}
    for one in refused:
        reasons.setdefault(one.reason, []).append(one.id)
    lines = []
    for reason, ids in list(reasons.items())[:SHOWN_REASONS]:
        more = f" and {len(ids) - SHOWN_IDS} others" if len(ids) > SHOWN_IDS else ""
        lines.append(f"{counted(len(ids), 'item')} ({names_in_a_line(ids[:SHOWN_IDS])}{more}): {in_a_line(reason)}")
    hidden = list(reasons.values())[SHOWN_REASONS:]
    if hidden:
        lines.append(f"{counted(sum(map(len, hidden)), 'item')} for {len(hidden)} other reasons, named in the result")
    return lines
