"""Contrast within a batch: two sentences or two towers, the matching pair against all others."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.loop.seeds import own_randomness
from classtoken.learning.model import Network
from classtoken.learning.objectives.base import Objective


def in_batch_loss(first_BD: Tensor, second_BD: Tensor, temperature: float) -> Tensor:
    """-mean log softmax_j(cos(a_i, b_j) / t) at j = i (Gao et al. 2021, SimCSE, equation 1)."""
    scores_BB = F.normalize(first_BD.float(), dim=-1) @ F.normalize(second_BD.float(), dim=-1).T / temperature
    return F.cross_entropy(scores_BB, torch.arange(len(scores_BB), device=scores_BB.device))


def clip_loss(images_BD: Tensor, texts_BD: Tensor, scale: Tensor) -> Tensor:
    """Both directions of `in_batch_loss`, with a learned factor instead of 1 / t, averaged (Radford et al. 2021)."""
    scores_BB = scale * F.normalize(images_BD.float(), dim=-1) @ F.normalize(texts_BD.float(), dim=-1).T
    own = torch.arange(len(scores_BB), device=scores_BB.device)
    return (F.cross_entropy(scores_BB, own) + F.cross_entropy(scores_BB.T, own)) / 2


def top_match(first_ND: Tensor, second_ND: Tensor) -> float:
    """Share of rows whose nearest row of the other side (by cosine) is their own match."""
    scores = F.normalize(first_ND.float(), dim=-1) @ F.normalize(second_ND.float(), dim=-1).T
    return float((scores.argmax(-1) == torch.arange(len(scores), device=scores.device)).float().mean())


class SentenceContrast(Objective):
    """SimCSE: a sentence is its own partner, seen through another dropout; with two views, the views are partners.

    Without a second view no score is known to grow with what is wanted (the first evaluation already finds every
    sentence again), so that the last weights are kept.
    """

    metric = "top_match"

    def __init__(self, model: Network, temperature: float = 0.05, *, paired: bool = True):
        super().__init__()
        self.model, self.temperature, self.chooses = model, temperature, paired

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Vectors of both sides. Without dropout or a second view they are equal, and nothing is learned."""
        return self.model.vectors(batch.views[0]), self.model.vectors(batch.views[-1])

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """`in_batch_loss`."""
        first, second = outputs
        return in_batch_loss(first, second, self.temperature)

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """The loss, how often the partner is the nearest, and how evenly the vectors fill the sphere (uniformity, lower
        is more even); where dropout makes the second view it is on, and draws the same at every evaluation."""
        device = next(self.model.parameters()).device
        with own_randomness(device, 0):
            self.model.train(not self.chooses)
            pairs = [self.outputs(batch) for batch in held_out]
            self.model.eval()
        first, second = (torch.cat(side).float() for side in zip(*pairs, strict=True))
        distances = torch.pdist(F.normalize(first, dim=-1)[:1024]).square()
        return {
            "loss": float(in_batch_loss(first, second, self.temperature)),
            "top_match": top_match(first, second),
            "uniformity": float((-2 * distances).exp().mean().log()),
        }


class Clip(Objective):
    """CLIP: images and texts in one space; `batch.views` are (image, text). Each tower projects to `size` numbers."""

    metric = "top_match"

    def __init__(self, images: Network, texts: Network, widths: tuple[int, int], size: int, *, seed: int = 0):
        super().__init__()
        self.images, self.texts = images, texts
        generator = torch.Generator().manual_seed(seed)
        self.to_image, self.to_text = (nn.Linear(width, size, bias=False) for width in widths)
        for projection in (self.to_image, self.to_text):
            nn.init.normal_(projection.weight, std=projection.in_features**-0.5, generator=generator)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def both(self, batch: TrainingBatch) -> tuple[Tensor, Tensor]:
        """Projected vectors of both sides."""
        image, text = batch.views
        return self.to_image(self.images.vectors(image)), self.to_text(self.texts.vectors(text))

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Projected vectors of both sides."""
        return self.both(batch)

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """`clip_loss`."""
        images, texts = outputs
        return clip_loss(images, texts, self.log_scale.exp())

    @torch.no_grad()
    def stepped(self, done: float) -> None:
        """The factor is kept from 1 to 100 by moving the parameter, as open_clip does: its gradient never vanishes."""
        self.log_scale.clamp_(0.0, math.log(100.0))

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """How often an image's nearest text is its own."""
        pairs = [self.both(batch) for batch in held_out]
        return {"top_match": top_match(torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs]))}
