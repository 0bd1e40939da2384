"""Learning from a teacher: its labels, or its probabilities (Hinton et al. 2015; Touvron et al. 2021, DeiT)."""

from collections.abc import Callable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from classtoken.head import DistilledHead
from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.model import Network
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.supervised import (
    Task,
    classification_loss,
    classification_scores,
    collect,
    metrics_of,
)

Teach = Callable[[TrainingBatch], Tensor]


def hard_loss(logits_BC: Tensor, teacher_BC: Tensor, task: Task = "single") -> Tensor:
    """Cross-entropy with the teacher's label, argmax of its scores (DeiT, equation 3).

    With several labels a row ("multi"): mean binary cross-entropy with those that the teacher scores above 0.
    """
    if task == "multi":
        return F.binary_cross_entropy_with_logits(logits_BC.float(), (teacher_BC > 0).float())
    return F.cross_entropy(logits_BC.float(), teacher_BC.argmax(-1))


def soft_loss(logits_BC: Tensor, teacher_BC: Tensor, temperature: float, task: Task = "single") -> Tensor:
    """T^2 KL(teacher || student), both softened by T (DeiT, equation 2); `teacher_BC` are the teacher's logits.

    A mean over rows, as in the paper. DeiT's published code divides by the number of classes besides: a weight from
    there (its alpha) does not carry over.

    With several labels a row ("multi") each label is a distribution over yes and no, and the mean is over all of them.
    """
    if task == "multi":
        student, teacher = logits_BC.float() / temperature, teacher_BC.float() / temperature
        p = teacher.sigmoid()
        divergence = p * (F.logsigmoid(teacher) - F.logsigmoid(student))
        divergence = divergence + (1 - p) * (F.logsigmoid(-teacher) - F.logsigmoid(-student))
        return temperature**2 * divergence.mean()
    student = (logits_BC.float() / temperature).log_softmax(-1)
    teacher = (teacher_BC.float() / temperature).log_softmax(-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


class Distillation(Objective):
    """(1 - w) labels + w teacher.

    With a distillation token (head `distilled`), the class token learns the label and the distillation token the
    teacher; without one, the same logits learn both. Rows without a label of their own learn from the teacher alone.
    """

    def __init__(
        self,
        model: Network,
        teach: Teach,
        *,
        mode: Literal["hard", "soft"] = "hard",
        weight: float = 0.5,
        temperature: float = 1.0,
        smoothing: float = 0.0,
        task: Task = "single",
    ):
        super().__init__()
        self.model, self.teach = model, teach
        self.mode, self.weight, self.temperature, self.smoothing = mode, weight, temperature, smoothing
        self.task: Task = task
        self.metrics = metrics_of(task)

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Logits for the label, logits for the teacher (the same ones without a distillation token), the teacher's."""
        vectors = self.model.vectors(batch.views[0])
        head = self.model.head
        own, taught = head.both(vectors) if isinstance(head, DistilledHead) else (head(vectors),) * 2
        return own, taught, self.teach(batch)

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """The two losses, weighted by the part of the rows that has a label."""
        own, taught, teacher = outputs
        if self.mode == "hard":
            learned = hard_loss(taught, teacher, self.task)
        else:
            learned = soft_loss(taught, teacher, self.temperature, self.task)
        assert batch.targets is not None
        labelled = batch.targets >= 0 if batch.targets.dim() == 1 else batch.targets.isfinite().all(-1)
        if not bool(labelled.any()):
            return learned
        given = classification_loss(own[labelled], batch.targets[labelled], self.task, self.smoothing)
        share = float(labelled.float().mean())
        return (1 - self.weight) * share * given + (1 - (1 - self.weight) * share) * learned

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """Scores against the true labels."""
        return classification_scores(*collect(self.model, held_out), self.task)


def precomputed(batch: TrainingBatch) -> Tensor:
    """The teacher's log-probabilities that were computed beforehand: scores of one class among several."""
    assert batch.taught is not None
    return batch.taught.clamp(min=1e-8).log()


def precomputed_several(batch: TrainingBatch) -> Tensor:
    """The teacher's probabilities that were computed beforehand, as log-odds: a score for each label on its own."""
    assert batch.taught is not None
    return torch.logit(batch.taught, eps=1e-6)
