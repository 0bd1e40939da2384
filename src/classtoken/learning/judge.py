"""Scores on held-out rows, and whether probabilities mean what they say: a temperature, the error before and after."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from classtoken.head import probabilities
from classtoken.learning.data.labels import Task
from classtoken.learning.objectives.supervised import classification_loss, classification_scores
from classtoken.measure.statistics import calibration, exact
from classtoken.results.statistics import Interval

FEWEST = 10
"""held-out rows that a temperature is fitted on"""


@dataclass(frozen=True)
class Judgement:
    """What held-out logits say: scores, and the calibration error (ECE) without and with the temperature."""

    scores: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """of the scores that are parts of the rows"""
    temperature: float = 1.0
    error_before: float = 0.0
    error: float = 0.0


def judge(
    logits_NC: Tensor, targets: Tensor, task: Task, shipped_NC: Tensor | None = None, independent: float = 1.0
) -> Judgement:
    """The judgement of logits on rows that were not learned from.

    `shipped_NC` are logits of the same rows by the settings that are shipped, where those that give the scores were
    chosen anew without these rows: the temperature and the calibration error are theirs. `independent` is the part of
    the rows that the intervals count as independent (0: no interval). The error after calibration is out of fold: each
    fifth of the rows at the temperature of the other four.
    """
    logits = logits_NC if shipped_NC is None else shipped_NC
    temperature = fit_temperature(logits, targets, task)
    scaled = logits if temperature == 1.0 else _with_that_of_others(logits.double().cpu(), targets.cpu(), task)
    scores = classification_scores(logits_NC, targets, task)
    return Judgement(
        scores,
        intervals(scores, round(independent * len(targets))),
        temperature,
        calibration_error(logits, targets, task),
        calibration_error(scaled, targets, task),
    )


def intervals(scores: Mapping[str, float], rows: int) -> dict[str, Interval]:
    """Exact intervals of the scores that count rows: accuracy, or exact match with several labels a row.

    Loss and mean average precision are not known to be covered: no interval.
    """
    counted = [name for name in ("accuracy", "exact_match") if name in scores and rows]
    return {name: replace(exact(round(scores[name] * rows), rows), estimate=scores[name]) for name in counted}


def fit_temperature(logits_NC: Tensor, targets: Tensor, task: Task) -> float:
    """T that minimises the loss of logits / T on held-out rows (Guo et al. 2017), from 0.05 to 20.

    The loss is that of targets which are wrong once in n + 2 rows (the rule of succession, as in Platt 1999): a few
    rows that are all right are no reason to be sure of everything.

    1 where it is not seen to help: with fewer than `FEWEST` rows, or where T of four fifths of the rows does not lower
    the loss of the other fifth, all five together, by more than two standard errors.
    """
    if len(logits_NC) < FEWEST:
        return 1.0
    logits_NC, targets = logits_NC.double().cpu(), targets.cpu()
    gain = _losses(logits_NC, targets, task) - _losses(_with_that_of_others(logits_NC, targets, task), targets, task)
    helps = gain.mean() > 2 * gain.std() / len(gain) ** 0.5
    return _least_loss(logits_NC, targets, task) if helps else 1.0


def _losses(logits_NC: Tensor, targets: Tensor, task: Task) -> Tensor:
    """The loss of every row."""
    if task == "single":
        return cross_entropy(logits_NC, targets, reduction="none")
    return binary_cross_entropy_with_logits(logits_NC, targets.double(), reduction="none").mean(1)


def _with_that_of_others(logits_NC: Tensor, targets: Tensor, task: Task) -> Tensor:
    """Every fifth of the logits divided by the T of the other four: what a T fitted so does to fresh rows."""
    fold = torch.arange(len(logits_NC)) % 5
    divided = logits_NC.clone()
    for k in range(5):
        divided[fold == k] /= _least_loss(logits_NC[fold != k], targets[fold != k], task)
    return divided


def _least_loss(logits_NC: Tensor, targets: Tensor, task: Task) -> float:
    classes = logits_NC.shape[1] if task == "single" else 2
    doubt = classes / (classes - 1) / (len(logits_NC) + 2)

    def loss(log_t: float) -> float:
        return float(classification_loss(logits_NC / float(torch.tensor(log_t).exp()), targets, task, doubt))

    found = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-4})
    return float(torch.tensor(found.x).exp())


def calibration_error(logits_NC: Tensor, targets: Tensor, task: Task) -> float:
    """`measure.statistics.calibration` of logits, in 15 bins of equal width.

    The confidence of a row is its largest probability; with several labels every label of every row is a decision of
    its own, with confidence max(p, 1 - p).
    """
    if task == "single":
        confidence, chosen = probabilities(logits_NC, multilabel=False).max(-1)
        right = chosen == targets
    else:
        p = probabilities(logits_NC, multilabel=True).flatten()
        confidence, right = torch.maximum(p, 1 - p), (p > 0.5) == (targets.flatten() > 0.5)
    return calibration(confidence.clamp(max=1.0).cpu().numpy(), right.cpu().numpy()).ece
