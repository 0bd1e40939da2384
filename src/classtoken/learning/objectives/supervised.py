"""Learning labels: one of several classes, or any number of them."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score, f1_score
from torch import Tensor, nn

from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.data.labels import Task
from classtoken.learning.objectives.base import Objective, known_metric


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Balanced weights: N / (C n_c) for a class with n_c of N rows, so that every class weighs the same in the sum.

    With several labels a row, `targets` (N, C), each label is a decision of two: (2, C) weights N / (2 n) of the rows
    without it and with it.
    """
    if targets.dim() == 2:
        with_it = targets.sum(0)
        return len(targets) / (2 * torch.stack((len(targets) - with_it, with_it)).clamp(min=1))
    counts = torch.bincount(targets, minlength=classes).float()
    return len(targets) / (classes * counts.clamp(min=1))


def classification_loss(
    logits_BC: Tensor, targets: Tensor, task: Task, smoothing: float = 0.0, weights_C: Tensor | None = None
) -> Tensor:
    """single: cross-entropy against (1 - e) t + e / C; multi: mean binary cross-entropy against (1 - e) t + e / 2.

    `targets` of a single-label task may be whole numbers (B,), or shares (B, C) when pictures were mixed. With class
    weights (`class_weights`) the mean is weighted by that of each row's label, or of each decision, as scikit-learn's
    class_weight does; with smoothing too, where torch's `cross_entropy` would weigh each class of the smoothed target
    by its own weight.
    """
    logits_BC = logits_BC.float()
    if task == "multi":
        loss = F.binary_cross_entropy_with_logits(
            logits_BC, targets * (1 - smoothing) + smoothing / 2, reduction="none"
        )
        if weights_C is None:
            return loss.mean()
        weights_BC = torch.lerp(weights_C[0].expand_as(targets), weights_C[1].expand_as(targets), targets)
        return (loss * weights_BC).sum() / weights_BC.sum()
    shares = F.one_hot(targets, logits_BC.shape[1]).to(logits_BC.dtype) if targets.dim() == 1 else targets
    smooth = shares * (1 - smoothing) + smoothing / logits_BC.shape[1]
    rows = -(smooth * logits_BC.log_softmax(-1)).sum(-1)
    if weights_C is None:
        return rows.mean()
    of_row = shares @ weights_C
    return (rows * of_row).sum() / of_row.sum()


class Supervised(Objective):
    """Labels from logits."""

    def __init__(self, model: nn.Module, task: Task, *, smoothing: float = 0.0, weights_C: Tensor | None = None):
        super().__init__()
        self.model, self.task, self.smoothing = model, task, smoothing
        self.weights_C, self.rowwise = weights_C, weights_C is None
        self.metrics = metrics_of(task)

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """The logits."""
        return (self.model(batch.views[0]),)

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """`classification_loss`."""
        assert batch.targets is not None
        weights = None if self.weights_C is None else self.weights_C.to(batch.targets.device)
        return classification_loss(outputs[0], batch.targets, self.task, self.smoothing, weights)

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """Loss, accuracy and macro F1 (single), or loss, mean average precision, macro F1 and parts that are right."""
        return classification_scores(*collect(self.model, held_out), self.task)


def metrics_of(task: Task) -> tuple[str, ...]:
    """The scores that may choose, the usual one first."""
    if task == "single":
        return "accuracy", "macro_f1", "loss"
    return "mean_average_precision", "macro_f1", "exact_match", "label_accuracy", "loss"


def metric_for(task: Task, wanted: str | None) -> str:
    """The score that chooses: the one that is wanted, or the usual one. Raises `OptionError` for one that is none."""
    return known_metric(metrics_of(task), wanted)


def collect(model: nn.Module, batches: Iterator[TrainingBatch]) -> tuple[Tensor, Tensor]:
    """Logits and targets of all batches."""
    logits, targets = [], []
    for batch in batches:
        assert batch.targets is not None
        logits.append(model(batch.views[0]).float())
        targets.append(batch.targets)
    return torch.cat(logits), torch.cat(targets)


def classification_scores(logits_NC: Tensor, targets: Tensor, task: Task) -> dict[str, float]:
    """Scores of logits against true labels. Means over labels leave out those that no row has (average precision), and
    those that no row has and none is given (F1), which are neither right nor wrong."""
    scores = {"loss": float(classification_loss(logits_NC, targets, task))}
    if task == "single":
        chosen, given = logits_NC.argmax(-1).cpu().numpy(), targets.cpu().numpy()
        scores["accuracy"] = float((chosen == given).mean())
        scores["macro_f1"] = float(f1_score(given, chosen, average="macro", zero_division=0))
        return scores
    truth, found = targets.cpu().numpy() > 0.5, logits_NC.cpu().numpy()
    present = [average_precision_score(truth[:, c], found[:, c]) for c in range(truth.shape[1]) if truth[:, c].any()]
    scores["mean_average_precision"] = float(sum(present) / max(1, len(present)))
    each = f1_score(truth, found > 0, average=None, zero_division=np.nan)
    scores["macro_f1"] = float(each[~np.isnan(each)].mean()) if not np.isnan(each).all() else 1.0
    scores["label_accuracy"] = float(((logits_NC > 0) == (targets > 0.5)).float().mean())
    scores["exact_match"] = float(((logits_NC > 0) == (targets > 0.5)).all(-1).float().mean())
    return scores
