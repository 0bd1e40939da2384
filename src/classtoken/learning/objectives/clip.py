"""Images and texts in one space: a matching pair against all others of the batch."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.model import Network
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.contrast import top_match


def clip_loss(images_BD: Tensor, texts_BD: Tensor, scale: Tensor) -> Tensor:
    """-mean log softmax_j(s cos(a_i, b_j)) at j = i, in both directions, averaged; the factor s is learned (Radford et
    al. 2021)."""
    scores_BB = scale * F.normalize(images_BD.float(), dim=-1) @ F.normalize(texts_BD.float(), dim=-1).T
    own = torch.arange(len(scores_BB), device=scores_BB.device)
    return (F.cross_entropy(scores_BB, own) + F.cross_entropy(scores_BB.T, own)) / 2


def sigmoid_loss(images_BD: Tensor, texts_BD: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """-mean_i sum_j log sigmoid(z_ij (s cos(a_i, b_j) + b)), z = 1 for a pair, else -1 (Zhai et al. 2023, SigLIP)."""
    scores_BB = scale * F.normalize(images_BD.float(), dim=-1) @ F.normalize(texts_BD.float(), dim=-1).T + bias
    signs_BB = 2 * torch.eye(len(scores_BB), device=scores_BB.device) - 1
    return -F.logsigmoid(signs_BB * scores_BB).sum(-1).mean()


class Clip(Objective):
    """`batch.views` are (image, text); each network gives vectors of one space.

    `log_scale` is the logarithm of the factor, by default that of 1 / 0.07; with a `bias` the loss is SigLIP's.
    """

    metrics = ("top_match",)

    def __init__(self, images: Network, texts: Network, *, log_scale: float | None = None, bias: float | None = None):
        super().__init__()
        self.images, self.texts = images, texts
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07) if log_scale is None else log_scale))
        self.bias = None if bias is None else nn.Parameter(torch.tensor(bias))

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Vectors of both sides."""
        image, text = batch.views
        return self.images.vectors(image), self.texts.vectors(text)

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """`clip_loss`, or `sigmoid_loss`."""
        images, texts = outputs
        scale = self.log_scale.exp()
        return clip_loss(images, texts, scale) if self.bias is None else sigmoid_loss(images, texts, scale, self.bias)

    @torch.no_grad()
    def stepped(self, done: float) -> None:
        """The factor is kept from 1 to 100 by moving the parameter, as open_clip does: its gradient never vanishes."""
        if self.bias is None:
            self.log_scale.clamp_(0.0, math.log(100.0))

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """How often an image's nearest text is its own; nothing of one pair alone, which has no other."""
        pairs = [self.outputs(batch) for batch in held_out]
        images, texts = torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])
        return {"top_match": top_match(images, texts)} if len(images) > 1 else {}
