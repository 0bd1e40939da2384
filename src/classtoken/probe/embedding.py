"""How the first state of each token comes about: its own vector, plus its position, then the stem's norm."""

from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.encoder.groups import order_of
from classtoken.encoder.stem import ImageEmbedding, TextEmbedding
from classtoken.probe.accounting import native
from classtoken.probe.traced import Traced
from classtoken.values import Role


@dataclass(frozen=True)
class EmbeddingSum:
    """before_LE + position_LE is exactly what enters the stem's norm (block 0, where the stem has none).

    position_LE is None where positions enter elsewhere, and where the stem projects to D behind its norm (ALBERT);
    before_LE is then what enters block 0.
    """

    before_LE: Tensor
    position_LE: Tensor | None


@torch.no_grad()
def embedding_sum(traced: Traced) -> EmbeddingSum:
    """The sum of one traced input. Raises `TraceError` for a foreign encoder, whose stem cannot be taken apart."""
    stem, tokens, entering_LD = native(traced.subject).stem, traced.tokens, traced.entering(0)[0]
    if isinstance(stem, TextEmbedding):
        assert tokens.ids_BL is not None
        order_BL = order_of(tokens.mask_BL)
        summed_LE, position_LE = stem.summed(tokens.ids_BL, order_BL)[0], stem.positions_of(order_BL)
        position_LE = None if position_LE is None else position_LE[0]
    else:
        assert isinstance(stem, ImageEmbedding)
        assert tokens.pixels is not None
        summed_LE = stem.summed(tokens.pixels, tokens.grids)[0][0]
        position_LE = stem.positions_of(tokens.roles_BL[0], tokens.grid)
    if position_LE is None or summed_LE.shape[-1] != entering_LD.shape[-1]:
        return EmbeddingSum(entering_LD, None)
    before_LE = summed_LE - position_LE
    if isinstance(stem, ImageEmbedding) and stem.class_token is not None:
        before_LE[tokens.roles_BL[0] == Role.CLASS] = stem.class_token.flatten(0, -2)
    return EmbeddingSum(before_LE, position_LE)
