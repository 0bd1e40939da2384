"""Exact search: every row is scored against every query, block by block, and the best k of each are kept.

Most of a block's scores are looked at once and never again. Its rows lie in groups of `GROUP`; the best k rows of a
block are in the k groups with the greatest maxima, so only those are looked through, and only for queries whose k-th
best so far is below the greatest of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.nearest.rows import Lengths, RowBlock, Rows, Similarity, unit

GROUP = 32
SCORES = 1 << 20
"""scores of one block: few enough to stay near the processor"""
FEWEST, MOST = 2048, 131072
"""rows of one block"""
QUERIES = 256
"""queries that are scored together"""


@dataclass(frozen=True)
class Found:
    """The best rows of each query, the best first: `places` (Q, k) and `scores` (Q, k); -1 and -inf where there are
    fewer than k. `without` counts rows that have no score (not finite, or of no length)."""

    places: Tensor
    scores: Tensor
    without: int = 0


class BestSoFar:
    """The best k so far of each query."""

    def __init__(self, queries: int, k: int):
        self.k = k
        self.scores = torch.full((queries, k), -torch.inf)
        self.places = torch.full((queries, k), -1, dtype=torch.int64)

    def add(self, places_B: Tensor, scores_BQ: Tensor) -> None:
        """Take what is better out of a block whose rows have these scores."""
        whole = len(scores_BQ) // GROUP * GROUP
        if whole <= 2 * GROUP * self.k:  # looking for groups would be no less work
            live = torch.arange(scores_BQ.shape[1])
            self._merge(live, places_B.expand(len(live), -1), scores_BQ.T)
            return
        groups_GRQ = scores_BQ[:whole].view(whole // GROUP, GROUP, -1)
        maxima_GQ = groups_GRQ.amax(1)
        live = (maxima_GQ.amax(0) > self.scores[:, -1]).nonzero()[:, 0]
        if len(live):
            order_GL = maxima_GQ[:, live].sort(dim=0, descending=True, stable=True).indices
            chosen_kL = order_GL[: self.k].sort(dim=0).values
            inside_kLR = groups_GRQ[chosen_kL, :, live]
            rows_kLR = chosen_kL.unsqueeze(-1) * GROUP + torch.arange(GROUP)
            self._merge(live, places_B[rows_kLR.transpose(0, 1).flatten(1)], inside_kLR.transpose(0, 1).flatten(1))
        if whole < len(scores_BQ):
            every = torch.arange(scores_BQ.shape[1])
            self._merge(every, places_B[whole:].expand(len(every), -1), scores_BQ[whole:].T)

    def _merge(self, queries_L: Tensor, places_LC: Tensor, scores_LC: Tensor) -> None:
        scores = torch.cat([self.scores[queries_L], scores_LC], dim=1)
        places = torch.cat([self.places[queries_L], places_LC], dim=1)
        # Stable, as above: of equal rows those that come first stay, whatever the blocks.
        self.scores[queries_L], order = (part[:, : self.k] for part in scores.sort(dim=1, descending=True, stable=True))
        self.places[queries_L] = places.gather(1, order)


def search(rows: Rows, queries_QD: Tensor, k: int, *, similarity: Similarity = "cosine") -> Found:
    """The k rows most similar to each query, exactly.

    similarity: `cosine`, x.q / (|x| |q|), or `dot`, x.q; both in 32-bit numbers. One pass over the rows for every
    `QUERIES` queries. Memory: a block of rows and its scores.
    """
    queries_QD = unit(queries_QD.float()) if similarity == "cosine" else queries_QD.float()
    parts = [_searched(rows, part, min(k, max(rows.count, 1)), similarity) for part in queries_QD.split(QUERIES)]
    places, scores = torch.cat([p.places for p in parts]), torch.cat([p.scores for p in parts])
    return Found(torch.where(torch.isneginf(scores), -1, places), scores, parts[0].without)


def block_rows(queries: int) -> int:
    """Rows of a block against so many queries, a multiple of `GROUP`."""
    return max(FEWEST, min(MOST, SCORES // max(queries, 1))) // GROUP * GROUP


def _scores(block: RowBlock, lengths: Lengths, queries_DQ: Tensor) -> Tensor:
    """Scores (B, Q) of a block of rows, -inf for rows that have none."""
    scores_BQ = block.vectors @ queries_DQ
    if lengths.inverse is not None:
        scores_BQ *= lengths.inverse.unsqueeze(1)
    if lengths.without is not None:
        scores_BQ[lengths.without] = -torch.inf
    return scores_BQ


def _searched(rows: Rows, queries_QD: Tensor, k: int, similarity: Similarity) -> Found:
    best, without = BestSoFar(len(queries_QD), k), 0
    for block in rows.blocks(block_rows(len(queries_QD)), similarity):
        lengths = block.lengths or Lengths.of(block.vectors, similarity)
        best.add(block.places, _scores(block, lengths, queries_QD.T))
        without += lengths.missing
    return Found(best.places, best.scores, without)
