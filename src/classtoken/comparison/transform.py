"""What may be done to stored or pooled vectors before they are judged: shortening, whitening."""

import numpy as np
from numpy.typing import NDArray

from classtoken.errors import OptionError

Floats = NDArray[np.float64]
RIDGE = 0.01
"""added to every variance, as a share of their mean"""


def shortened(vectors: NDArray, size: int) -> NDArray:
    """The first `size` numbers (Matryoshka). Raises `OptionError` where there are not so many."""
    if size >= vectors.shape[1]:
        raise OptionError(f"a vector of {vectors.shape[1]} numbers cannot be shortened to {size}; give fewer as `dim`.")
    return vectors[:, :size]


def unit_rows(vectors: NDArray) -> Floats:
    """Rows of length 1; a row of zeros stays one (its cosine with everything is 0)."""
    x = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms > 0, norms, 1)


def whitened(vectors: NDArray, learned: NDArray) -> Floats:
    """(x - mean) times the inverse root of the covariance, both of the rows `learned` (Su et al. 2021); to every
    variance 1 % of their mean is added, so that directions without variance are not blown up."""
    x = np.asarray(vectors, dtype=np.float64)
    known = x[learned]
    centred = known - known.mean(0)
    variances, axes = np.linalg.eigh(centred.T @ centred / max(1, len(known) - 1))
    variances = np.maximum(variances, 0)
    scale = 1 / np.sqrt(variances + RIDGE * max(float(variances.mean()), 1e-12))
    return ((x - known.mean(0)) @ axes) * scale
