"""Contrast within a batch: a text and its partner, or an image and its text, against all others."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.loop.seeds import own_randomness
from classtoken.learning.model import Network
from classtoken.learning.objectives.base import Objective


def in_batch_loss(first_BD: Tensor, second_BD: Tensor, temperature: float, negatives: Sequence[Tensor] = ()) -> Tensor:
    """-mean log softmax_j(cos(a_i, b_j) / t) at j = i (Gao et al. 2021, SimCSE, equation 1).

    b are the partners of all rows and, behind them, hard negatives of all rows (each (B, D)): equation 5 there, and
    sentence-transformers' MultipleNegativesRankingLoss at scale 1 / t.
    """
    others = F.normalize(torch.cat((second_BD, *negatives)).float(), dim=-1)
    scores = F.normalize(first_BD.float(), dim=-1) @ others.T / temperature
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def top_match(first_ND: Tensor, second_ND: Tensor) -> float:
    """Share of rows whose nearest row of the other side (by cosine) is their own match."""
    first, second = F.normalize(first_ND.float(), dim=-1), F.normalize(second_ND.float(), dim=-1)
    nearest = torch.cat([(rows @ second.T).argmax(-1) for rows in first.split(1024)])
    return float((nearest == torch.arange(len(first), device=first.device)).float().mean())


def uniformity(vectors_ND: Tensor) -> float:
    """log mean exp(-2 |x - y|^2) over pairs at unit length, of the first 1,024 rows; lower is more even (Wang & Isola
    2020)."""
    distances = torch.pdist(F.normalize(vectors_ND.float(), dim=-1)[:1024]).square()
    return float((-2 * distances).exp().mean().log())


def prefixes(vectors: Sequence[Tensor], sizes: Sequence[int]) -> Iterator[tuple[Tensor, ...]]:
    """The vectors as they are, then the first so many numbers of each: what a matryoshka loss is the sum over
    (Kusupati et al. 2022; sentence-transformers' MatryoshkaLoss with weights of 1)."""
    yield tuple(vectors)
    for size in sizes:
        yield tuple(vector[:, :size] for vector in vectors)


class SentenceContrast(Objective):
    """A text's partner against those of the other rows of the batch, and against hard negatives.

    Views are the texts, their partners, and one more a hard negative each. With one view a sentence is its own partner,
    seen through another dropout (SimCSE): then no score is known to grow with what is wanted (the first evaluation
    already finds every sentence again), so that the last weights are kept. `matryoshka` are the lengths at which the
    beginning of a vector is to do as well.
    """

    metrics = ("top_match", "loss")

    def __init__(
        self, model: Network, temperature: float = 0.05, *, paired: bool = True, matryoshka: Sequence[int] = ()
    ):
        super().__init__()
        self.model, self.temperature, self.chooses, self.matryoshka = model, temperature, paired, tuple(matryoshka)

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Vectors of every view, of a single one twice. Without dropout those are equal, and nothing is learned."""
        views = batch.views if len(batch.views) > 1 else batch.views * 2
        return tuple(self.model.vectors(view) for view in views)

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """`in_batch_loss`, summed over the lengths."""
        return torch.stack([self._loss(*cut) for cut in prefixes(outputs, self.matryoshka)]).sum()

    def _loss(self, first: Tensor, second: Tensor, *negatives: Tensor) -> Tensor:
        return in_batch_loss(first, second, self.temperature, negatives)

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """The loss (a mean over batches), how often the partner is the nearest, how evenly the vectors fill the sphere,
        and with hard negatives how often the partner is nearer than the row's own; of one row alone nothing that takes
        another; where dropout makes the second view
        it is on, and draws the same at every evaluation."""
        device = next(self.model.parameters()).device
        with own_randomness(device, 0):
            self.model.train(not self.chooses)
            rows = [self.outputs(batch) for batch in held_out]
            self.model.eval()
        losses = [len(row[0]) * float(self._loss(*row)) for row in rows]
        first, second, *negatives = (torch.cat(side).float() for side in zip(*rows, strict=True))
        found: dict[str, float] = {}
        if len(first) > 1 or negatives:  # else there is nothing but its own partner, and that is right
            found["loss"] = sum(losses) / len(first)
        if len(first) > 1:
            found |= {"top_match": top_match(first, second), "uniformity": uniformity(first)}
        if negatives:
            right = torch.cosine_similarity(first, second)
            wrong = torch.stack([torch.cosine_similarity(first, other) for other in negatives]).amax(0)
            found["triplets"] = float((right > wrong).float().mean())
        return found
