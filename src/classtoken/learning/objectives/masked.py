"""MaskedTokens tokens: hidden word pieces are guessed from the others (Devlin et al. 2019)."""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from classtoken.learning.data.batches import TrainingBatch
from classtoken.learning.loop.seeds import VIEWS, generator_of
from classtoken.learning.objectives.base import Objective
from classtoken.tensors import Tokens
from classtoken.values import Role

UNTOUCHED = -100
"""the target of tokens that are not to be guessed"""


def hide(
    tokens: Tokens, part: float, mask_id: int, vocabulary: int, generator: Generator, *, special: int = 5
) -> tuple[Tokens, Tensor]:
    """`part` of the CONTENT tokens is chosen; of those 80 % become [MASK], 10 % another piece, 10 % stay.

    Returns the batch and the targets: the piece that stood there, `UNTOUCHED` elsewhere. Pieces below `special` are not
    drawn as replacements.
    """
    ids = tokens.ids_BL
    assert ids is not None
    drawn, how = (torch.rand(ids.shape, generator=generator).to(ids.device) for _ in range(2))
    other = torch.randint(special, vocabulary, ids.shape, generator=generator).to(ids.device)
    chosen = (drawn < part) & (tokens.roles_BL == Role.CONTENT)
    changed = torch.where(chosen & (how < 0.8), torch.full_like(ids, mask_id), ids)
    changed = torch.where(chosen & (how >= 0.8) & (how < 0.9), other, changed)
    return replace(tokens, ids_BL=changed), torch.where(chosen, ids, torch.full_like(ids, UNTOUCHED))


class MaskedTokens(Objective):
    """Cross-entropy of the hidden pieces; the output layer is the embedding table itself, after dense, GELU, norm."""

    metrics = ("guessed", "loss")

    def __init__(
        self, encoder: nn.Module, size: int, vocabulary: int, mask_id: int, *, part: float = 0.15, seed: int = 0
    ):
        super().__init__()
        self.encoder, self.part, self.mask_id, self.vocabulary, self.seed = encoder, part, mask_id, vocabulary, seed
        self.dense, self.norm = nn.Linear(size, size), nn.LayerNorm(size)
        nn.init.normal_(self.dense.weight, std=0.02, generator=torch.Generator().manual_seed(seed))
        nn.init.zeros_(self.dense.bias)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def logits(self, tokens: Tokens, where_BL: Tensor) -> Tensor:
        """Scores (M, V) of every piece for the M tokens of `where_BL`."""
        states = self.encoder(tokens).last_BLD[where_BL]
        table = self.encoder.get_submodule("stem").get_submodule("token").get_parameter("weight")
        return F.linear(self.norm(F.gelu(self.dense(states))), table, self.bias)

    def draw(self, batch: TrainingBatch) -> TrainingBatch:
        """The batch with pieces hidden, which are its targets; the draw follows torch's seed of the step."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        hidden, targets = hide(batch.views[0], self.part, self.mask_id, self.vocabulary, generator)
        return replace(batch, views=(hidden,), targets=targets)

    def outputs(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """Scores of every piece for the hidden ones."""
        assert batch.targets is not None
        return (self.logits(batch.views[0], batch.targets != UNTOUCHED),)

    def loss_of(self, outputs: tuple[Tensor, ...], batch: TrainingBatch) -> Tensor:
        """Mean over the hidden pieces of the batch."""
        assert batch.targets is not None
        hidden = batch.targets[batch.targets != UNTOUCHED]
        return F.cross_entropy(outputs[0].float(), hidden) if len(hidden) else self.bias.sum() * 0.0

    def score(self, held_out: Iterator[TrainingBatch]) -> dict[str, float]:
        """Loss, and the part of the hidden pieces that is guessed; every evaluation hides the same ones."""
        found, loss, count = 0.0, 0.0, 0
        for i, batch in enumerate(held_out):
            hidden, targets = hide(
                batch.views[0], self.part, self.mask_id, self.vocabulary, generator_of(self.seed, VIEWS, i)
            )
            where = targets != UNTOUCHED
            if bool(where.any()):
                scores = self.logits(hidden, where).float()
                found += float((scores.argmax(-1) == targets[where]).sum())
                loss += float(F.cross_entropy(scores, targets[where], reduction="sum"))
                count += int(where.sum())
        return {"guessed": found / max(1, count), "loss": loss / max(1, count)}
