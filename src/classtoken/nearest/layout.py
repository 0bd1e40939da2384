"""Rows on a plane, neighbours near each other; and how far that can be trusted.

The way of UMAP (McInnes et al., arXiv 1802.03426): the graph of nearest neighbours with a weight on each edge, and
points that are pulled together along its edges and pushed away from points drawn at random. Written as steps over all
edges at once; it starts from the two main directions of the vectors, and a seed decides everything.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix
from torch import Tensor

from classtoken.nearest.graph import Neighbours
from classtoken.values import Progress

#: 1 / (1 + a d^2b) with these falls from 1 at a distance of 0.1, as UMAP fits them.
A, B = 1.577, 0.895
EPOCHS, LARGE, EPOCHS_OF_LARGE = 400, 10_000, 200
PUSHES = 5
"""points pushed away for each one pulled"""
STEP = 4.0
"""the longest step of a point along one edge"""
JUDGED = 1000
"""rows on which the layout is judged"""
NO_LESS = 0.01
"""by how much a projection must be trusted more to be drawn instead"""


@dataclass(frozen=True)
class Trust:
    """Trustworthiness (Venna & Kaski 2001), 0 to 1: whether neighbours on the plane are neighbours in truth; its 95 %
    interval over the rows that were looked at, and that of the two main directions alone."""

    value: float
    low: float
    high: float
    main_directions: float


def main_directions(matrix_ND: Tensor) -> np.ndarray:
    """(N, 2): the vectors along the two directions in which they differ most."""
    centred = matrix_ND - matrix_ND.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    flat = (centred @ directions[:, -2:].flip(1)).numpy() if centred.shape[1] > 1 else centred.numpy()
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))


def layout(
    matrix_ND: Tensor, near: Neighbours, *, seed: int = 0, report: Callable[[Progress], object] | None = None
) -> np.ndarray:
    """(N, 2) float32: a place on the plane for each row."""
    start = main_directions(matrix_ND)
    largest = np.abs(start).max() or 1.0
    random = torch.Generator().manual_seed(seed)
    places = torch.from_numpy((start / largest * 10).astype(np.float32))
    places += 1e-3 * torch.randn(places.shape, generator=random)
    heads, tails, weights = (torch.from_numpy(part) for part in _edges(near))
    if not len(heads):
        return places.numpy()
    epochs, begun = EPOCHS if len(places) <= LARGE else EPOCHS_OF_LARGE, time.monotonic()
    for epoch in range(epochs):
        drawn = torch.rand(len(weights), generator=random) < weights
        _step(places, heads[drawn], tails[drawn], 1 - epoch / epochs, random)
        if report is not None:
            report(Progress(epoch + 1, epochs, seconds=time.monotonic() - begun, what="laying out"))
    return places.numpy()


def trust(matrix_ND: Tensor, places: np.ndarray, *, k: int = 15, seed: int = 0) -> Trust | None:
    """How far the layout can be trusted, on rows drawn at random; None for fewer rows than that says anything about."""
    judged = _judged(matrix_ND, places, k, seed)
    return None if judged is None else _trust(*judged, len(places))


def most_trusted(
    matrix_ND: Tensor, places: np.ndarray, *, k: int = 15, seed: int = 0
) -> tuple[np.ndarray, Trust | None]:
    """The layout, or the two main directions where they are trusted more: by a hundredth, and, where not all rows were
    looked at, by more than chance (a paired difference, at 95 %); and how far that can be trusted.

    Of a few dozen rows each one is a neighbour of most others: nothing is left to be pushed away from, and where groups
    land is an accident of the seed.
    """
    judged = _judged(matrix_ND, places, k, seed)
    if judged is None:
        return places, None
    each, plain = judged
    more = plain - each
    chance = 1.96 * more.std(ddof=1) / len(more) ** 0.5 if len(more) < len(places) else 0.0
    if more.mean() <= max(NO_LESS, chance):
        return places, _trust(each, plain, len(places))
    return main_directions(matrix_ND).astype(np.float32), _trust(plain, plain, len(places))


def _judged(matrix_ND: Tensor, places: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The trust of each row that is looked at, in the layout and in the two main directions."""
    count = len(places)
    k = min(k, (count - 1) // 2)
    if k < 1 or 2 * count - 3 * k - 1 <= 0:
        return None
    rows = np.random.default_rng(seed).permutation(count)[:JUDGED]
    each = _trust_by_row(matrix_ND, torch.from_numpy(places.astype(np.float32)), rows, k)
    plain = _trust_by_row(matrix_ND, torch.from_numpy(main_directions(matrix_ND).astype(np.float32)), rows, k)
    return each, plain


def _trust(each: np.ndarray, plain: np.ndarray, count: int) -> Trust:
    margin = 1.96 * float(each.std(ddof=1)) / len(each) ** 0.5 if 1 < len(each) < count else 0.0
    value = float(each.mean())
    return Trust(value, max(0.0, value - margin), min(1.0, value + margin), float(plain.mean()))


def _trust_by_row(matrix_ND: Tensor, places: Tensor, rows: np.ndarray, k: int) -> np.ndarray:
    """1 - 2 / (k (2N - 3k - 1)) * sum over the k neighbours on the plane of (rank in truth - k), per row; its mean is
    the measure."""
    count, found = len(places), []
    for part in np.array_split(rows, max(1, len(rows) // 128)):
        at = torch.from_numpy(part)
        own = torch.arange(len(part))
        truth = matrix_ND[at] @ matrix_ND.T
        truth[own, at] = torch.inf
        order = truth.argsort(dim=1, descending=True)
        ranks = torch.empty_like(order).scatter_(1, order, torch.arange(count).expand(len(part), -1))
        flat = torch.cdist(places[at], places)
        flat[own, at] = torch.inf
        nearest = flat.topk(k, largest=False).indices
        found.append((ranks.gather(1, nearest) - k).clamp_min(0).sum(1).numpy())
    return 1 - np.concatenate(found) * 2 / (k * (2 * count - 3 * k - 1))


def _edges(near: Neighbours) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends and weights of the graph's edges, each once in either direction; the heaviest weigh 1."""
    scores, places = near.scores.numpy().astype(np.float64), near.places.numpy()
    there = places >= 0
    distances = np.where(there, 1 - scores, np.inf)
    nearest = np.where(there.any(1), distances.min(1), 0)[:, None]
    beyond = np.where(there, np.maximum(distances - nearest, 0), np.inf)
    weights = np.exp(-beyond / _widths(beyond)[:, None])
    heads, count = np.nonzero(there), len(places)
    graph = coo_matrix((weights[heads], (heads[0], places[heads])), shape=(count, count)).tocsr()
    back = graph.T.tocsr()
    both = (graph + back - graph.multiply(back)).tocoo()
    heaviest = both.data.max() if both.nnz else 1.0
    strong = both.data > heaviest / EPOCHS  # the others would hardly ever be drawn
    ends = both.row[strong].astype(np.int64), both.col[strong].astype(np.int64)
    return *ends, (both.data[strong] / heaviest).astype(np.float32)


def _widths(beyond: np.ndarray) -> np.ndarray:
    """Per row the width at which its weights sum to log2(k), by bisection."""
    wanted = np.log2(max(beyond.shape[1], 2))
    low, high = np.full(len(beyond), 1e-6), np.full(len(beyond), 1e3)
    for _ in range(48):
        middle = (low + high) / 2
        heavy = np.exp(-beyond / middle[:, None]).sum(1) > wanted
        low, high = np.where(heavy, low, middle), np.where(heavy, middle, high)
    return (low + high) / 2


def _step(places: Tensor, heads: Tensor, tails: Tensor, rate: float, random: torch.Generator) -> None:
    """Pull the ends of these edges together, push some other points away."""
    between = places[heads] - places[tails]
    squares = (between * between).sum(1, keepdim=True)
    powers = squares.clamp_min(1e-12) ** B
    pull = (-2 * A * B * powers / squares.clamp_min(1e-12) / (1 + A * powers) * between).clamp(-STEP, STEP)
    moved = torch.zeros_like(places)
    moved.index_add_(0, heads, pull)
    moved.index_add_(0, tails, -pull)
    for _ in range(PUSHES):
        others = torch.randint(len(places), heads.shape, generator=random)
        between = places[heads] - places[others]
        squares = (between * between).sum(1, keepdim=True)
        push = (2 * B / ((0.001 + squares) * (1 + A * squares.clamp_min(1e-12) ** B)) * between).clamp(-STEP, STEP)
        moved.index_add_(0, heads, push)
    # Several edges pull at one point at once: no step is longer than one edge's.
    places += rate * moved.clamp(-STEP, STEP)
