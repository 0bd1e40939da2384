"""Maps against true masks: does relevance fall on the object? Arrays in, numbers out.

A map can be right about the picture and wrong about the model (or the other way round): a mask says where the object
is, not what the model used. Where the object decides the label by construction (scenes), the two agree.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from classtoken.errors import OptionError


@dataclass(frozen=True)
class Overlap:
    """One map against one mask. `pointing`: is the best patch on the object; `mass`: the share of positive relevance on
    it; `area`: the object's share of the picture; `iou`: of the best patches, as many as the object has, with it (of
    patches with equal scores the expected share is hit); `average_precision`: of the ranking of patches."""

    pointing: float
    mass: float
    area: float
    iou: float
    average_precision: float

    @property
    def mass_over_area(self) -> float:
        """How much denser relevance is on the object than anywhere: 1 is chance."""
        return self.mass / self.area


def patch_shares(mask_HW: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Share of every patch that the object covers, (P), for a mask of any size: pixels are split where patches meet."""
    mask = np.asarray(mask_HW, dtype=np.float64)
    if mask.ndim != 2 or not mask.size:
        raise OptionError(f"a mask has height and width; this one has shape {mask.shape}.")
    return np.asarray(_pool(mask.shape[0], grid[0]) @ mask @ _pool(mask.shape[1], grid[1]).T).ravel()


def _pool(pixels: int, cells: int) -> np.ndarray:
    """(cells, pixels): how much of a cell each pixel is; rows sum to 1."""
    edges = np.linspace(0, pixels, cells + 1)
    starts = np.arange(pixels)
    low = np.maximum(edges[:-1, None], starts[None])
    high = np.minimum(edges[1:, None], starts[None] + 1)
    return np.clip(high - low, 0, None) / np.diff(edges)[:, None]


def overlap(scores_P: np.ndarray, shares_P: np.ndarray, *, threshold: float = 0.5) -> Overlap:
    """Compare a map with a mask over the same patches.

    A patch is on the object when the object covers `threshold` of it (or, for a small object, where it covers most).

    Raises `OptionError` for an empty mask or one that covers everything: there is nothing to hit or to miss.
    """
    scores, shares = np.asarray(scores_P, dtype=np.float64), np.asarray(shares_P, dtype=np.float64)
    if scores.shape != shares.shape or scores.ndim != 1:
        raise OptionError(f"a map over {scores.shape} patches cannot be compared with a mask over {shares.shape}.")
    on = shares >= min(threshold, shares.max()) if shares.max() > 0 else np.zeros(len(shares), dtype=bool)
    if not on.any() or on.all():
        raise OptionError("the mask covers none or all of the picture; there is nothing to hit or to miss.")
    best = scores == scores.max()
    positive = np.clip(scores, 0, None)
    size = int(on.sum())
    hits = _expected_hits(scores, on, size)
    mass = float((positive * shares).sum() / positive.sum()) if positive.sum() > 0 else float(shares.mean())
    return Overlap(
        float(on[best].mean()),
        mass,
        float(shares.mean()),
        hits / (2 * size - hits),
        float(average_precision_score(on, scores)),
    )


def _expected_hits(scores: np.ndarray, on: np.ndarray, size: int) -> float:
    """How many of the `size` best patches are on the object, equal scores in random order."""
    last = np.sort(scores)[-size]
    sure, tied = scores > last, scores == last
    return float(on[sure].sum() + (size - sure.sum()) * on[tied].mean())
