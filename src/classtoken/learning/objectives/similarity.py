"""Learning how alike two texts are, from pairs with a score: the order of the cosines is to be that of the scores."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor

from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.model import Network
from classtoken.learning.objectives.base import Objective
from classtoken.learning.objectives.contrast import prefixes


def cosent_loss(first_BD: Tensor, second_BD: Tensor, scores_B: Tensor, temperature: float) -> Tensor:
    """log(1 + sum exp((cos_i - cos_j) / t)) over pairs with score_i < score_j (Su 2022, CoSENT; sentence-transformers'
    CoSENTLoss at scale 1 / t)."""
    cosines_B = torch.cosine_similarity(first_BD.float(), second_BD.float()) / temperature
    apart = (cosines_B[:, None] - cosines_B[None, :])[scores_B[:, None] < scores_B[None, :]]
    return torch.logsumexp(torch.cat((apart.new_zeros(1), apart)), 0)


class ScoredPairs(Objective):
    """Views are the two texts; targets (B,) are the scores, on any scale. `matryoshka`: see `SentenceContrast`."""

    metrics = ("spearman", "loss")

    def __init__(self, model: Network, temperature: float = 0.05, *, matryoshka: Sequence[int] = ()):
        super().__init__()
        self.model, self.temperature, self.matryoshka = model, temperature, tuple(matryoshka)

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Vectors of both texts."""
        first, second = batch.views
        return self.model.vectors(first), self.model.vectors(second)

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """`cosent_loss`, summed over the lengths."""
        assert batch.targets is not None
        cuts, scores = prefixes(outputs, self.matryoshka), batch.targets
        every = [cosent_loss(first, second, scores, self.temperature) for first, second in cuts]
        return torch.stack(every).sum()

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """Rank correlation (Spearman) of cosines and scores, and the loss, a mean over batches; a correlation of
        nothing but equal numbers is 0. Nothing of one pair alone: it is compared with no other."""
        cosine_parts, score_parts, losses = [], [], 0.0
        for batch in held_out:
            first, second = self.outputs(batch)
            assert batch.targets is not None
            losses += len(batch) * float(cosent_loss(first, second, batch.targets, self.temperature))
            cosine_parts.append(F.cosine_similarity(first.float(), second.float()))
            score_parts.append(batch.targets)
        cosines, scores = torch.cat(cosine_parts), torch.cat(score_parts)
        if len(cosines) < 2:
            return {}
        varied = cosines.std() > 0 and scores.std() > 0
        found = spearmanr(cosines.cpu().numpy(), scores.cpu().numpy()).statistic if varied else 0.0
        return {"spearman": float(found), "loss": losses / len(cosines)}
