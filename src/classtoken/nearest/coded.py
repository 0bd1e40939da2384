"""Exact search that reads a quarter of the bytes: a copy of the rows in 8-bit numbers says which rows can be among the
best, and only those are scored in 32 bits.

    u       a row (for cosines at unit length), m the mean of all rows
    c       its code: round((u - m) / s), a step s_j for each column j, whole numbers of -127 to 127
    w       a query's code: round(s q / t), a step t for the query
    t c.w   what is computed, in whole numbers and so exactly, of (u - m).q
    e       how far u.q - m.q can be from it: |u - m - s c| |q|, at most, + |s c| |q - t w / s|, at most

A row whose bound from above, m.q + t c.w + e, is below the k-th best score that is known exactly is none of the k best.
So the answers are those of `scan.search`, whatever the data; data in which too many rows are as alike as that (all of
them equal, say) are searched there.

Rows lie in groups of `GROUP`, of which only the greatest score is kept until all are known.
"""

import math
import time
from functools import cache

import torch
from torch import Tensor

from classtoken.nearest import scan
from classtoken.nearest.rows import ResidentRows, Similarity, lengths_of, unit

GROUP = 32
LEVELS = 127
SCORES = 1 << 19
"""scores of one block: few enough to stay near the processor"""
FEWEST, MOST = 2048, 131072
"""rows of one block"""
BUILT = 1 << 16
"""rows that are coded together"""
CANDIDATES = 1 / 4
"""share of all rows whose groups may hold one of the best of a query; beyond it, all are scored in 32 bits"""
LOWEST = -(2**31)
"""below every score in whole numbers"""
ROUNDING = 1e-6
"""of what is summed in 32 bits, relative to the lengths of row and query"""


class CodedRows:
    """Rows in memory and their codes, a quarter as large, for one similarity. Building takes a few passes."""

    def __init__(self, rows: ResidentRows, similarity: Similarity = "cosine"):
        self.rows, self.similarity = rows, similarity
        self.count, self.size = rows.count, rows.size
        self.lengths = rows.lengths(similarity)
        self.mean, low, high = self._extent()
        self.step = torch.maximum(high - self.mean, self.mean - low).clamp_min(1e-30) / LEVELS
        groups = -(-self.count // GROUP)
        self.codes = torch.zeros(groups * GROUP, self.size, dtype=torch.int8)  # what fills the last group is no row
        self.lost = self.longest = 0.0
        for begin in range(0, self.count, BUILT):
            rest = self._units(begin, begin + BUILT).sub_(self.mean)
            code = (rest / self.step).round_()
            self.codes[begin : begin + len(code)] = code
            code *= self.step
            self.longest = max(self.longest, float(lengths_of(code).max()))
            self.lost = max(self.lost, float(lengths_of(rest.sub_(code)).max()))

    def _units(self, begin: int, end: int) -> Tensor:
        """Rows as they are scored; those that have no score are zeros."""
        found = self.rows.matrix[begin:end].clone()
        if self.lengths.inverse is not None:
            found *= self.lengths.inverse[begin:end].unsqueeze(1)
        if self.lengths.without is not None:
            found[self.lengths.without[begin:end]] = 0
        return found

    def _extent(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, smallest and greatest number of each column."""
        total = torch.zeros(self.size, dtype=torch.float64)
        low, high = torch.full((self.size,), torch.inf), torch.full((self.size,), -torch.inf)
        for begin in range(0, self.count, BUILT):
            part = self._units(begin, begin + BUILT)
            total += part.sum(0, dtype=torch.float64)
            low, high = torch.minimum(low, part.amin(0)), torch.maximum(high, part.amax(0))
        return (total / self.count).float(), low, high

    def search(self, queries_QD: Tensor, k: int) -> scan.Found:
        """The k rows most similar to each query, as `scan.search` finds them."""
        asked_QD = unit(queries_QD.float()) if self.similarity == "cosine" else queries_QD.float()
        k = min(k, self.count)
        parts = [self._searched(part, k) for part in asked_QD.split(scan.QUERIES)]
        places, scores = torch.cat([p for p, _ in parts]), torch.cat([s for _, s in parts])
        return scan.Found(torch.where(torch.isneginf(scores), -1, places), scores, self.lengths.missing)

    def _searched(self, queries_QD: Tensor, k: int) -> tuple[Tensor, Tensor]:
        weighted = queries_QD * self.step
        steps_Q = weighted.abs().amax(1).clamp_min(1e-30) / LEVELS
        codes_QD = (weighted / steps_Q.unsqueeze(1)).round()
        meant_QD = codes_QD * (steps_Q.unsqueeze(1) / self.step)
        lengths_Q = lengths_of(queries_QD)
        error_Q = self.lost * lengths_Q + self.longest * lengths_of(queries_QD - meant_QD)
        error_Q += ROUNDING * self.size**0.5 * lengths_Q * (self.longest + float(lengths_of(self.mean.unsqueeze(0))))
        asked_DQ = codes_QD.to(torch.int8).T
        maxima_QG = self._maxima(asked_DQ)
        first_Qk = maxima_QG.topk(min(k, maxima_QG.shape[1]), dim=1).indices
        middle_Q = queries_QD @ self.mean
        places = torch.full((len(queries_QD), k), -1)
        scores = torch.full((len(queries_QD), k), -torch.inf)
        left = []
        for at, query in enumerate(queries_QD):
            likely, whole = self._of_groups(first_Qk[at], asked_DQ[:, at : at + 1])
            known = self._exact(likely[whole.topk(min(k, len(whole))).indices], query)
            least = float(known.min()) if len(known) == k else -torch.inf
            lowest = (least - float(error_Q[at]) - float(middle_Q[at])) / float(steps_Q[at])
            bound = math.floor(max(lowest, LOWEST)) if lowest == lowest else LOWEST
            groups = (maxima_QG[at] >= bound).nonzero()[:, 0]
            if bound == LOWEST or len(groups) * GROUP > max(self.count * CANDIDATES, GROUP * k):
                left.append(at)
                continue
            near, whole = self._of_groups(groups, asked_DQ[:, at : at + 1])
            near = near[whole >= bound]
            found, order = self._exact(near, query).sort(descending=True, stable=True)
            places[at], scores[at] = near[order[:k]], found[:k]
        if left:
            plain = scan.search(self.rows, queries_QD[left], k, similarity=self.similarity)
            places[left], scores[left] = plain.places, plain.scores
        return places, scores

    def _maxima(self, asked_DQ: Tensor) -> Tensor:
        """The greatest score in each group, (Q, groups), in whole numbers."""
        groups, queries = len(self.codes) // GROUP, asked_DQ.shape[1]
        found_GQ = torch.empty(groups, queries, dtype=torch.int32)
        together = max(FEWEST, min(MOST, SCORES // queries)) // GROUP
        for begin in range(0, groups, together):
            part = torch._int_mm(self.codes[begin * GROUP : (begin + together) * GROUP], asked_DQ)
            torch.amax(part.view(-1, GROUP, queries), 1, out=found_GQ[begin : begin + together])
        return found_GQ.T.contiguous()

    def _of_groups(self, groups: Tensor, asked_D1: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of these groups, and their scores in whole numbers."""
        places = (groups.unsqueeze(1) * GROUP + torch.arange(GROUP)).flatten()
        whole = torch._int_mm(self.codes.view(-1, GROUP, self.size)[groups].flatten(0, 1), asked_D1)[:, 0]
        real = places < self.count
        return places[real], whole[real]

    def _exact(self, places: Tensor, query_D: Tensor) -> Tensor:
        """Scores of these rows."""
        scores = self.rows.matrix[places] @ query_D
        if self.lengths.inverse is not None:
            scores *= self.lengths.inverse[places]
        if self.lengths.without is not None:
            scores[self.lengths.without[places]] = -torch.inf
        return scores


@cache
def quick() -> bool:
    """Whether this processor multiplies 8-bit numbers quicker than 32-bit ones, and rightly."""
    random = torch.Generator().manual_seed(0)
    rows, query = (torch.randint(-LEVELS, LEVELS + 1, (n, 384), generator=random).to(torch.int8) for n in (16384, 8))
    plain_rows, plain_query = rows.float(), query.float()
    try:
        right = torch.equal(torch._int_mm(rows, query.T), (plain_rows.double() @ plain_query.double().T).int())
    except (RuntimeError, AttributeError):  # another build of torch
        return False

    def seconds(left: Tensor, right: Tensor) -> float:
        took = []
        for _ in range(5):
            start = time.perf_counter()
            torch._int_mm(left, right) if left.dtype == torch.int8 else left @ right
            took.append(time.perf_counter() - start)
        return min(took)

    return right and seconds(rows, query.T) < seconds(plain_rows, plain_query.T)
