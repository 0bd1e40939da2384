"""The nearest neighbours of every row among the other rows."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.nearest.rows import ResidentRows
from classtoken.nearest.scan import QUERIES, search
from classtoken.values import Progress

Report = Callable[[Progress], object] | None


@dataclass(frozen=True)
class Neighbours:
    """The k most similar other rows of each row: `places` (N, k), -1 where there are fewer; `scores` (N, k)."""

    places: Tensor
    scores: Tensor


def neighbours(matrix_ND: Tensor, k: int, *, report: Report = None) -> Neighbours:
    """Exactly, by cosine; `matrix_ND` is at unit length, and rows of zeros have no neighbours and are nobody's."""
    rows, count, start = ResidentRows(matrix_ND), len(matrix_ND), time.monotonic()
    places = torch.full((count, k), -1)
    scores = torch.full((count, k), -torch.inf)
    for begin in range(0, count, QUERIES):
        end = min(begin + QUERIES, count)
        found = search(rows, matrix_ND[begin:end], k + 1)
        others = found.places != torch.arange(begin, end).unsqueeze(1)
        # Where a row is not among its own best (several are equal to it), the last one is left out instead.
        others[others.all(1), -1] = False
        width = found.places.shape[1] - 1
        places[begin:end, :width] = found.places[others].view(end - begin, width)
        scores[begin:end, :width] = found.scores[others].view(end - begin, width)
        if report is not None:
            report(Progress(end, count, seconds=time.monotonic() - start, what="finding neighbours"))
    empty = ~matrix_ND.any(1)
    places[empty], scores[empty] = -1, -torch.inf
    return Neighbours(places, scores)
