"""Losses and their gradients beside torch, scikit-learn, transformers, sentence-transformers and published code."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight
from tests.references.row import Numbers, Row, drawn
from torch import Tensor

from classtoken.learning.objectives.clip import clip_loss, sigmoid_loss
from classtoken.learning.objectives.contrast import in_batch_loss, prefixes
from classtoken.learning.objectives.dino import dino_loss
from classtoken.learning.objectives.distillation import hard_loss, soft_loss
from classtoken.learning.objectives.similarity import cosent_loss
from classtoken.learning.objectives.supervised import class_weights, classification_loss

ROOM = "losses"
TARGETS = torch.arange(24) % 5
UNEVEN = torch.tensor([0] * 13 + [1] * 6 + [2] * 2 + [3] * 2 + [4])
SEVERAL = (drawn(24, 5, seed=9) > 0.6).float()
CENTRE = torch.linspace(-1, 1, 5)

Loss = Callable[[Tensor, Tensor], Tensor]


def with_gradients(loss: Loss) -> Callable[[], Numbers]:
    """The value, and its slopes along the numbers that it depends on."""

    def made() -> Numbers:
        a, b = (drawn(24, 5, seed=seed).requires_grad_() for seed in (3, 4))
        value = loss(a, b)
        value.backward()
        return [value.detach(), *(x.grad for x in (a, b) if x.grad is not None)]

    return made


def row(what: str, source: str, ours: Loss, theirs: Loss, tolerance: float = 1e-6) -> Row:
    """Value and gradients of a loss of two batches of 24 vectors."""
    return Row(ROOM, what, source, with_gradients(ours), with_gradients(theirs), tolerance)


class Given(torch.nn.Module):
    """In the place of a SentenceTransformer: its texts are vectors already."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return features

    def get_embedding_dimension(self) -> int:
        return 5


def ranking_loss(first: Tensor, second: Tensor) -> Tensor:
    """MultipleNegativesRankingLoss.forward, scale 20."""
    from sentence_transformers import util

    scores = util.cos_sim(first, second) * 20.0
    return F.cross_entropy(scores, torch.arange(len(scores)))


def cosent_of_theirs(first: Tensor, second: Tensor) -> Tensor:
    from sentence_transformers.sentence_transformer import losses

    return losses.CoSENTLoss(Given())([{"sentence_embedding": x} for x in (first, second)], TARGETS.float())


def matryoshka_of_theirs(first: Tensor, second: Tensor) -> Tensor:
    from sentence_transformers.sentence_transformer import losses

    given = Given()
    made = losses.MatryoshkaLoss(given, losses.MultipleNegativesRankingLoss(given), [5, 3, 2], n_dims_per_step=-1)
    return made([{"sentence_embedding": x} for x in (first, second)], TARGETS)


def open_clips(first: Tensor, second: Tensor) -> Tensor:
    """ClipLoss.forward of open_clip/loss.py, one process."""
    images, texts = F.normalize(first, dim=-1), F.normalize(second, dim=-1)
    per_image, per_text = 20.0 * images @ texts.T, 20.0 * texts @ images.T
    labels = torch.arange(len(images))
    return (F.cross_entropy(per_image, labels) + F.cross_entropy(per_text, labels)) / 2


def clip_of_transformers(first: Tensor, second: Tensor) -> Tensor:
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss as theirs

    return theirs(20.0 * F.normalize(second, dim=-1) @ F.normalize(first, dim=-1).T)


def siglip_of_transformers(first: Tensor, second: Tensor) -> Tensor:
    """SiglipModel.forward, return_loss=True."""
    images, texts = F.normalize(first, dim=-1), F.normalize(second, dim=-1)
    logits = torch.matmul(texts, images.t()) * 10.0 - 10.0
    signs = -torch.ones_like(logits) + 2 * torch.eye(logits.size(0))
    return -torch.sum(F.logsigmoid(signs * logits), dim=-1).mean()


def published_dino(student: Tensor, teacher: Tensor) -> Tensor:
    """DINOLoss.forward of main_dino.py: two large crops, of which the teacher sees both, and a small one."""
    out = tuple(x / 0.1 for x in (student, student.flip(0), student.roll(1, 0)))
    wanted = [F.softmax((t - CENTRE) / 0.04, dim=-1).detach() for t in (teacher, teacher.flip(0))]
    losses = [
        torch.sum(-q * F.log_softmax(out[v], dim=-1), dim=-1).mean()
        for i, q in enumerate(wanted)
        for v in range(len(out))
        if v != i
    ]
    return sum(losses[1:], losses[0]) / len(losses)


def our_dino(student: Tensor, teacher: Tensor) -> Tensor:
    crops = [student, student.flip(0), student.roll(1, 0)]
    return dino_loss(crops, [teacher, teacher.flip(0)], CENTRE, 0.1, 0.04)


def published_soft(student: Tensor, teacher: Tensor, heat: float = 3.0) -> Tensor:
    """DistillationLoss.forward of DeiT's losses.py, divided by the rows where it divides by rows and classes."""
    logs = (F.log_softmax(x / heat, dim=1) for x in (student, teacher.detach()))
    return F.kl_div(*logs, reduction="sum", log_target=True) * heat**2 / len(student)


def divergence_of_each(student: Tensor, teacher: Tensor) -> Tensor:
    """The same for decisions: torch's distributions, T squared, mean over rows and labels."""
    from torch.distributions import Bernoulli, kl_divergence

    taught, learned = (Bernoulli(logits=x / 2) for x in (teacher.detach(), student))
    return 4 * kl_divergence(taught, learned).mean()


def balanced_by_scikit_learn(logits: Tensor, _: Tensor) -> Tensor:
    weights = compute_class_weight("balanced", classes=np.arange(5), y=UNEVEN.numpy())
    return F.cross_entropy(logits, UNEVEN, weight=torch.tensor(weights, dtype=torch.float32))


def decisions_by_scikit_learn(logits: Tensor, _: Tensor) -> Tensor:
    """Each label's decisions weighed as class_weight="balanced" weighs them; mean by weight."""
    each = [compute_class_weight("balanced", classes=np.arange(2), y=column) for column in SEVERAL.T.numpy()]
    weights = torch.tensor(np.array(each), dtype=torch.float32).T.gather(0, SEVERAL.long())
    losses = F.binary_cross_entropy_with_logits(logits, SEVERAL, reduction="none")
    return (losses * weights).sum() / weights.sum()


def log_loss_of(logits: Tensor) -> Numbers:
    probabilities = torch.softmax(logits.double(), 1).numpy()
    return [log_loss(TARGETS.numpy(), probabilities / probabilities.sum(1, keepdims=True), labels=range(5))]


ROWS = (
    Row(
        ROOM,
        "cross-entropy, its value",
        "scikit-learn log_loss",
        lambda: [classification_loss(drawn(24, 5), TARGETS, "single")],
        lambda: log_loss_of(drawn(24, 5)),
        1e-6,
    ),
    row(
        "cross-entropy",
        "torch cross_entropy",
        lambda a, b: classification_loss(a, TARGETS, "single"),
        lambda a, b: F.cross_entropy(a, TARGETS),
    ),
    row(
        "label smoothing",
        "torch, label_smoothing=",
        lambda a, b: classification_loss(a, TARGETS, "single", 0.1),
        lambda a, b: F.cross_entropy(a, TARGETS, label_smoothing=0.1),
    ),
    row(
        "mixed targets (mixup, cutmix)",
        "torch, shares as targets",
        lambda a, b: classification_loss(a, b.detach().softmax(-1), "single"),
        lambda a, b: F.cross_entropy(a, b.detach().softmax(-1)),
    ),
    row(
        "balanced classes",
        "torch weight=, scikit-learn compute_class_weight",
        lambda a, b: classification_loss(a, UNEVEN, "single", 0.0, class_weights(UNEVEN, 5)),
        balanced_by_scikit_learn,
    ),
    row(
        "several labels",
        "torch binary_cross_entropy_with_logits",
        lambda a, b: classification_loss(a, SEVERAL, "multi"),
        lambda a, b: F.binary_cross_entropy_with_logits(a, SEVERAL),
    ),
    row(
        "several labels, balanced",
        "torch, scikit-learn compute_class_weight for each label",
        lambda a, b: classification_loss(a, SEVERAL, "multi", 0.0, class_weights(SEVERAL, 5)),
        decisions_by_scikit_learn,
    ),
    row(
        "hard distillation",
        "torch, as in DeiT's losses.py",
        lambda a, b: hard_loss(a, b.detach()),
        lambda a, b: F.cross_entropy(a, b.detach().argmax(1)),
    ),
    row(
        "soft distillation",
        "DeiT's losses.py, without its division by the classes",
        lambda a, b: soft_loss(a, b.detach(), 3.0),
        published_soft,
    ),
    row(
        "hard distillation, several labels",
        "torch binary_cross_entropy_with_logits",
        lambda a, b: hard_loss(a, b.detach(), "multi"),
        lambda a, b: F.binary_cross_entropy_with_logits(a, (b.detach() > 0).float()),
    ),
    row(
        "soft distillation, several labels",
        "torch.distributions kl_divergence",
        lambda a, b: soft_loss(a, b.detach(), 2.0, "multi"),
        divergence_of_each,
        1e-5,
    ),
    row(
        "pairs, the others as negatives",
        "sentence-transformers cos_sim, as in MultipleNegativesRankingLoss",
        lambda a, b: in_batch_loss(a, b, 0.05),
        ranking_loss,
    ),
    row(
        "triplets with hard negatives",
        "the same, the negatives below the partners",
        lambda a, b: in_batch_loss(a, b, 0.05, [b.flip(0) + a.detach()]),
        lambda a, b: ranking_loss(a, torch.cat((b, b.flip(0) + a.detach()))),
    ),
    row(
        "pairs with scores",
        "sentence-transformers CoSENTLoss",
        lambda a, b: cosent_loss(a, b, TARGETS.float(), 0.05),
        cosent_of_theirs,
        1e-5,
    ),
    row(
        "matryoshka",
        "sentence-transformers MatryoshkaLoss",
        lambda a, b: torch.stack([in_batch_loss(x, y, 0.05) for x, y in prefixes((a, b), (2, 3))]).sum(),
        matryoshka_of_theirs,
    ),
    row(
        "images and texts, softmax",
        "open_clip ClipLoss, written out",
        lambda a, b: clip_loss(a, b, torch.tensor(20.0)),
        open_clips,
    ),
    row(
        "images and texts, softmax",
        "transformers image_text_contrastive_loss",
        lambda a, b: clip_loss(a, b, torch.tensor(20.0)),
        clip_of_transformers,
    ),
    row(
        "images and texts, sigmoid",
        "transformers SiglipModel, written out",
        lambda a, b: sigmoid_loss(a, b, torch.tensor(10.0), torch.tensor(-10.0)),
        siglip_of_transformers,
    ),
    row("self-distillation of crops", "main_dino.py DINOLoss, written out", our_dino, published_dino),
)
