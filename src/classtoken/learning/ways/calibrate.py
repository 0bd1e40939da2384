"""Whether probabilities mean what they say: a temperature fitted on held-out logits, the error before and after."""

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from classtoken.learning.objectives.supervised import Task, classification_loss

BINS = 15


def fit_temperature(logits_NC: Tensor, targets: Tensor, task: Task) -> float:
    """T that minimises the loss of logits / T on held-out rows (Guo et al. 2017), from 0.05 to 20; 1 without rows."""
    if not len(logits_NC):
        return 1.0
    logits_NC = logits_NC.double().cpu()
    targets = targets.cpu()

    def loss(log_t: float) -> float:
        return float(classification_loss(logits_NC / float(torch.tensor(log_t).exp()), targets, task))

    found = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-4})
    return float(torch.tensor(found.x).exp())


def calibration_error(logits_NC: Tensor, targets: Tensor, task: Task) -> float:
    """ECE: sum over bins of (n_b / n) |accuracy_b - confidence_b|, 15 equal bins of the confidence (Guo et al. 2017).

    The confidence of a row is its largest probability; with several labels every label of every row is a decision of
    its own, with confidence max(p, 1 - p).
    """
    if task == "single":
        confidence, chosen = logits_NC.double().softmax(-1).max(-1)
        right = chosen == targets
    else:
        p = logits_NC.double().sigmoid().flatten()
        confidence, right = torch.maximum(p, 1 - p), (p > 0.5) == (targets.flatten() > 0.5)
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    error = 0.0
    for b in bins.unique().tolist():
        inside = bins == b
        gap = right[inside].double().mean() - confidence[inside].mean()
        error += float(inside.double().mean() * gap.abs())
    return error
