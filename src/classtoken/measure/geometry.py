"""How vectors lie: cosines, similarity of representations, rank, anisotropy; how attention maps overlap.

Rows are vectors: N of size D. Everything is computed in float64.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classtoken.errors import OptionError

Floats = NDArray[np.float64]


def unit(vectors: ArrayLike) -> Floats:
    """Vectors of length 1 in the same directions. Raises `OptionError` for a vector of zeros, which has none."""
    x = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    if not (norms > 0).all():
        raise OptionError(f"{int((norms == 0).sum())} vectors are all zeros and have no direction; leave them out.")
    return x / norms


def cosine_matrix(first: ArrayLike, second: ArrayLike | None = None) -> Floats:
    """cos(a_i, b_j) for every pair of rows; of `first` with itself where there is no `second`. (..., N, M)."""
    a = unit(first)
    b = a if second is None else unit(second)
    return np.clip(a @ np.swapaxes(b, -1, -2), -1, 1)


def cosines(first: ArrayLike, second: ArrayLike) -> Floats:
    """cos(a_i, b_i), row by row: (N,); 0 where a row is all zeros."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray((a * b).sum(-1) / np.where(lengths > 0, lengths, np.inf))


def linear_cka(first: ArrayLike, second: ArrayLike, *, unbiased: bool = False) -> float:
    """Linear centred kernel alignment of two representations of the same N inputs (Kornblith et al. 2019): 1 when one
    is a rotation, a shift or a multiple of the other. Their sizes may differ.

    |Y'X|^2 / (|X'X| |Y'Y|) of centred X, Y. Biased upwards where N is not much larger than D: two unrelated ones reach
    0.9 at N = D. `unbiased` takes the HSIC estimator of Song et al. 2007, whose mean is 0 then; it needs N >= 4.
    """
    x, y = _matrix(first), _matrix(second)
    if len(x) != len(y):
        raise OptionError(f"both sides must hold the same inputs, and there are {len(x)} and {len(y)}.")
    x, y = x - x.mean(0), y - y.mean(0)
    if not (x.any() and y.any()):
        raise OptionError("all vectors of a side are equal; there is nothing to align.")
    if unbiased:
        if len(x) < 4:
            raise OptionError(f"the unbiased estimate needs 4 inputs or more, and there are {len(x)}.")
        x, y = x / abs(x).max(), y / abs(y).max()  # fourth powers of very small or large numbers are no numbers
        k, m = x @ x.T, y @ y.T
        own = _hsic(k, k), _hsic(m, m)
        if min(own) <= 1e-12:
            raise OptionError("nearly all vectors of a side are equal; the unbiased estimate says nothing of them.")
        return float(_hsic(k, m) / np.sqrt(own[0] * own[1]))
    cross = np.linalg.norm(y.T @ x) ** 2
    return float(cross / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def _hsic(first: Floats, second: Floats) -> float:
    """Song et al.'s unbiased HSIC of two kernel matrices."""
    n = len(first)
    k, m = first - np.diag(np.diag(first)), second - np.diag(np.diag(second))
    crossed = (k.sum(0) * m.sum(0)).sum()
    total = (k * m).sum() + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * crossed / (n - 2)
    return float(total / (n * (n - 3)))


def effective_rank(vectors: ArrayLike) -> float:
    """exp of the entropy of the centred vectors' singular values as shares (Roy, Vetterli 2007): 1 (a line) to D."""
    x = _matrix(vectors)
    values = np.linalg.svd(x - x.mean(0), compute_uv=False)
    if values[0] <= 1e-12 * float(abs(x).max()):
        raise OptionError("all vectors are equal; they span nothing.")
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def anisotropy(vectors: ArrayLike) -> float:
    """The mean cosine of different vectors (Ethayarajh 2019): near 0 when they point everywhere, 1 when alike."""
    x = unit(_matrix(vectors))
    n = len(x)
    return float((np.linalg.norm(x.sum(0)) ** 2 - n) / (n * (n - 1)))


def alignment(first: ArrayLike, second: ArrayLike) -> float:
    """The mean squared distance of partners on the sphere (Wang, Isola 2020); lower is better, 0 to 4."""
    return float((np.square(unit(first) - unit(second))).sum(-1).mean())


def uniformity(vectors: ArrayLike, *, block: int = 2048) -> float:
    """log of the mean of exp(-2 |u - v|^2) over different vectors on the sphere (Wang, Isola 2020); lower is better."""
    x = unit(_matrix(vectors))
    n = len(x)
    total = sum(float(np.exp(-2 * np.maximum(0, 2 - 2 * (x[i : i + block] @ x.T))).sum()) for i in range(0, n, block))
    return float(np.log((total - n) / (n * (n - 1))))


def js_divergence(first: ArrayLike, second: ArrayLike) -> Floats:
    """Jensen-Shannon divergence in nats of distributions along the last axis (attention maps): 0 when equal, ln 2 when
    they never meet. Each is divided by its sum. Raises `OptionError` for negative numbers and sums of 0."""
    p, q = _shares(first), _shares(second)
    middle = (p + q) / 2
    return np.maximum(0, (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2)


def overlap(first: ArrayLike, second: ArrayLike) -> Floats:
    """The mass that two distributions along the last axis share: sum of min(p, q), from 0 to 1."""
    return np.minimum(_shares(first), _shares(second)).sum(-1)


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    inside = p > 0
    return np.where(inside, p * np.log(np.where(inside, p, 1) / np.where(inside, q, 1)), 0).sum(-1)


def _shares(maps: ArrayLike) -> Floats:
    p = np.asarray(maps, dtype=np.float64)
    total = p.sum(-1, keepdims=True)
    if (p < 0).any() or not (total > 0).all():
        raise OptionError("a map must hold numbers of 0 or more, and some above 0.")
    return p / total


def _matrix(vectors: ArrayLike) -> Floats:
    x = np.asarray(vectors, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise OptionError(f"2 vectors or more are needed as the rows of a matrix, and the shape is {x.shape}.")
    if not np.isfinite(x).all():
        raise OptionError(
            f"{int((~np.isfinite(x).all(1)).sum())} of {len(x)} vectors hold numbers that are not finite."
        )
    return x
