"""What a trained classifier keeps to say that a record looks like none of its labels (`readout.typical`)."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from torch import Tensor

from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.loop.seeds import WEIGHTS, generator_of
from classtoken.readout.typical import Typical

LEARNED, HELD_OUT = 10_000, 4_000
"""records that are read at most"""
FEWEST = 40
"""held-out records below which nothing is said: of 19 the lowest answer is 0.05, and one record decides"""
LONGEST = 1024
"""numbers of a vector: the spread of longer ones would be larger than many an encoder"""


def fit_typical(
    rows: TrainingSet, vectors_of: Callable[[Tensor], Tensor], held_out: Tensor, seed: int
) -> Typical | None:
    """Means and spread of records that were learned from, distances of records that were not.

    vectors_of: row numbers -> the vectors that the head reads, (n, V). held_out: rows that neither the weights nor the
    choice among them have seen; one of each unit counts, since a p value is one among independent records: with copies,
    or records of one group, counted each, too many new ones come out low. None for several labels a record, for fewer
    than `FEWEST` such held-out records, and for vectors longer than `LONGEST`.
    """
    held_out = _one_of_each(held_out, rows.groups, seed)
    if rows.several or len(held_out) < FEWEST:
        return None
    learned = _some(rows.learned[rows.targets[rows.learned].cpu() >= 0], LEARNED, seed)
    vectors_NV, targets_N = vectors_of(learned).double().cpu().numpy(), rows.targets[learned].cpu().numpy()
    if vectors_NV.shape[1] > LONGEST:
        return None
    known = [label for label, count in zip(*np.unique(targets_N, return_counts=True), strict=True) if count > 1]
    if not known:
        return None
    means_CV = np.stack([vectors_NV[targets_N == label].mean(0) for label in known])
    spread = [vectors_NV[targets_N == label] - mean for label, mean in zip(known, means_CV, strict=True)]
    precision_VV = LedoitWolf(assume_centered=True).fit(np.concatenate(spread)).precision_
    whitening_VV = np.linalg.cholesky(precision_VV + 1e-12 * np.trace(precision_VV) * np.eye(len(precision_VV)))
    fitted = Typical(torch.from_numpy(means_CV @ whitening_VV), torch.from_numpy(whitening_VV), torch.empty(0))
    distances_N = fitted.distances(vectors_of(_some(held_out, HELD_OUT, seed)).cpu())
    return Typical(fitted.centres_CV, fitted.whitening_VV, distances_N)


def _one_of_each(rows: Tensor, units: NDArray[np.intp] | None, seed: int) -> Tensor:
    """One row of every unit, drawn."""
    if units is None:
        return rows
    drawn = rows[torch.randperm(len(rows), generator=generator_of(seed, WEIGHTS, 4))]
    return drawn[torch.from_numpy(np.unique(units[drawn.numpy()], return_index=True)[1])].sort().values


def _some(rows: Tensor, most: int, seed: int) -> Tensor:
    if len(rows) <= most:
        return rows
    order = torch.randperm(len(rows), generator=generator_of(seed, WEIGHTS, 3))
    return rows[order[:most].sort().values]
