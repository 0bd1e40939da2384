"""Losses and schedules beside other people's code: a row is ours, theirs, where theirs is from, and how near."""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from classtoken.learning.loop.optimise import schedule
from classtoken.learning.objectives.clip import clip_loss, sigmoid_loss
from classtoken.learning.objectives.contrast import in_batch_loss, prefixes
from classtoken.learning.objectives.dino import dino_loss
from classtoken.learning.objectives.distillation import hard_loss, soft_loss
from classtoken.learning.objectives.similarity import cosent_loss
from classtoken.learning.objectives.supervised import class_weights, classification_loss
from classtoken.learning.recipe import OptimiserOptions

TARGETS = torch.arange(24) % 5


def drawn(*shape: int) -> Iterator[Tensor]:
    """Fresh numbers that a gradient is wanted of."""
    generator = torch.Generator().manual_seed(3)
    while True:
        yield torch.randn(*shape, generator=generator).requires_grad_()


def sentence_transformers_ranking(first: Tensor, second: Tensor) -> Tensor:
    from sentence_transformers import util

    scores = util.cos_sim(first, second) * 20.0  # MultipleNegativesRankingLoss, scale 20
    return F.cross_entropy(scores, torch.arange(len(scores)))


class Given(torch.nn.Module):
    """In the place of a SentenceTransformer: its texts are vectors already."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return features

    def get_embedding_dimension(self) -> int:
        return 5


def theirs_of(name: str, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
    from sentence_transformers.sentence_transformer import losses

    return getattr(losses, name)(Given())([{"sentence_embedding": x} for x in (first, second)], labels)


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


def transformers_siglip(first: Tensor, second: Tensor) -> Tensor:
    """SiglipModel.forward, return_loss=True."""
    images, texts = F.normalize(first, dim=-1), F.normalize(second, dim=-1)
    logits = torch.matmul(texts, images.t()) * 10.0 - 10.0
    eye = torch.eye(logits.size(0))
    signs = -torch.ones_like(logits) + 2 * eye
    return -torch.sum(F.logsigmoid(signs * logits), dim=-1).mean()


def transformers_clip(first: Tensor, second: Tensor) -> Tensor:
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss as theirs

    return theirs(20.0 * F.normalize(second, dim=-1) @ F.normalize(first, dim=-1).T)


def published_dino(student: Tensor, teacher: Tensor) -> Tensor:
    """DINOLoss.forward of main_dino.py, two crops."""
    centre = torch.linspace(-1, 1, student.shape[1])
    out = (student / 0.1, student.flip(0) / 0.1)
    wanted = [F.softmax((t - centre) / 0.04, dim=-1).detach() for t in (teacher, teacher.flip(0))]
    losses = [
        torch.sum(-q * F.log_softmax(out[v], dim=-1), dim=-1).mean()
        for i, q in enumerate(wanted)
        for v in range(len(out))
        if v != i
    ]
    return sum(losses[1:], losses[0]) / len(losses)


def ours_dino(student: Tensor, teacher: Tensor) -> Tensor:
    centre = torch.linspace(-1, 1, student.shape[1])
    return dino_loss([student, student.flip(0)], [teacher, teacher.flip(0)], centre, 0.1, 0.04)


Loss = Callable[[Tensor, Tensor], Tensor]
ROWS: dict[str, tuple[Loss, Loss, float]] = {
    "cross-entropy: torch": (
        lambda a, b: classification_loss(a, TARGETS, "single"),
        lambda a, b: F.cross_entropy(a, TARGETS),
        1e-6,
    ),
    "smoothing: torch label_smoothing=": (
        lambda a, b: classification_loss(a, TARGETS, "single", 0.1),
        lambda a, b: F.cross_entropy(a, TARGETS, label_smoothing=0.1),
        1e-6,
    ),
    "mixed targets: torch, shares as targets": (
        lambda a, b: classification_loss(a, b.detach().softmax(-1), "single"),
        lambda a, b: F.cross_entropy(a, b.detach().softmax(-1)),
        1e-6,
    ),
    "balanced: torch weight=": (
        lambda a, b: classification_loss(a, TARGETS, "single", 0.0, class_weights(TARGETS, 5)),
        lambda a, b: F.cross_entropy(a, TARGETS, weight=class_weights(TARGETS, 5)),
        1e-6,
    ),
    "hard distillation: torch (DeiT losses.py)": (
        lambda a, b: hard_loss(a, b.detach()),
        lambda a, b: F.cross_entropy(a, b.detach().argmax(1)),
        1e-6,
    ),
    "soft distillation: DeiT losses.py, without its division by the classes": (
        lambda a, b: soft_loss(a, b.detach(), 3.0),
        lambda a, b: (
            F.kl_div(
                F.log_softmax(a / 3, dim=1), F.log_softmax(b.detach() / 3, dim=1), reduction="sum", log_target=True
            )
            * 9
            / len(a)
        ),
        1e-6,
    ),
    "pairs: sentence-transformers MultipleNegativesRankingLoss": (
        lambda a, b: in_batch_loss(a, b, 0.05),
        sentence_transformers_ranking,
        1e-6,
    ),
    "hard negatives: sentence-transformers MultipleNegativesRankingLoss, triplets": (
        lambda a, b: in_batch_loss(a, b, 0.05, [b.flip(0) + a.detach()]),
        lambda a, b: sentence_transformers_ranking(a, torch.cat((b, b.flip(0) + a.detach()))),
        1e-6,
    ),
    "scores: sentence-transformers CoSENTLoss": (
        lambda a, b: cosent_loss(a, b, TARGETS.float(), 0.05),
        lambda a, b: theirs_of("CoSENTLoss", a, b, TARGETS.float()),
        1e-5,
    ),
    "matryoshka: sentence-transformers MatryoshkaLoss": (
        lambda a, b: torch.stack([in_batch_loss(x, y, 0.05) for x, y in prefixes((a, b), (2, 3))]).sum(),
        matryoshka_of_theirs,
        1e-6,
    ),
    "clip: open_clip ClipLoss": (
        lambda a, b: clip_loss(a, b, torch.tensor(20.0)),
        open_clips,
        1e-6,
    ),
    "siglip: transformers SiglipModel's loss": (
        lambda a, b: sigmoid_loss(a, b, torch.tensor(10.0), torch.tensor(-10.0)),
        transformers_siglip,
        1e-6,
    ),
    "clip: transformers image_text_contrastive_loss": (
        lambda a, b: clip_loss(a, b, torch.tensor(20.0)),
        transformers_clip,
        1e-6,
    ),
    "dino: main_dino.py DINOLoss": (ours_dino, published_dino, 1e-6),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_loss_and_its_gradients_are_the_references(row: str) -> None:
    ours, theirs, tolerance = ROWS[row]
    found = []
    for loss in (ours, theirs):
        numbers = drawn(24, 5)
        a, b = next(numbers), next(numbers)
        value = loss(a, b)
        value.backward()
        found.append((value.detach(), a.grad, b.grad))
    for mine, reference in zip(*found, strict=True):
        assert (mine is None) == (reference is None)
        if mine is not None:
            assert torch.allclose(mine, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_schedules_are_those_of_transformers(kind: str) -> None:
    """After the warm-up; in it ours is one step ahead, so that the first step is not of rate 0."""
    from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

    make = {"cosine": get_cosine_schedule_with_warmup, "linear": get_linear_schedule_with_warmup}[kind]
    theirs = make(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0), 10, 100)
    factor = theirs.lr_lambdas[0]
    options = OptimiserOptions(warmup=0.1, final=0.0, schedule=kind)
    assert [schedule(options, step, 100) for step in range(10, 100)] == pytest.approx(
        [factor(s) for s in range(10, 100)]
    )
    assert [schedule(options, step, 100) for step in range(9)] == pytest.approx([factor(s + 1) for s in range(9)])
