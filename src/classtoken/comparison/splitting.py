"""Which records are learned from and which are judged: a test part that was given, or every record once, in folds."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from classtoken.comparison.task import Split
from classtoken.errors import OptionError
from classtoken.results.base import counted

Ints = NDArray[np.intp]


def in_folds(targets: NDArray, clusters: Ints | None, folds: int, seed: int) -> Split:
    """Every record is judged once, by what was learned from the other folds. Classes have the same share of each fold,
    as far as a rare one fills them, and clusters stay whole. Raises `OptionError` where there are too few records, or
    clusters, for two folds."""
    n = len(targets)
    several = targets.ndim == 2
    most = n if several else int(np.bincount(targets).max())
    count = min(folds, max(most, 2))
    if clusters is not None:
        count = min(count, len(np.unique(clusters)))
    if count < 2 or n < 4:
        within = "" if clusters is None else f" in {counted(len(np.unique(clusters)), 'cluster')}"
        raise OptionError(
            f"{n} labelled records{within} cannot be split into records to learn from and records to judge; give more, "
            "or a test part as `test`."
        )
    kinds = (KFold, StratifiedKFold) if clusters is None else (GroupKFold, StratifiedGroupKFold)
    cut = kinds[not several](count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's word on rare classes, which are left out before
        parts = [(np.sort(a), np.sort(b)) for a, b in cut.split(np.zeros((n, 1)), targets, clusters)]
    return Split(tuple((a, b) for a, b in parts if len(a) and len(b)))


def cluster_numbers(names: Sequence[str | None]) -> Ints | None:
    """A number for each record's cluster, a record without one being one of its own; None where none has any."""
    if all(name is None for name in names):
        return None
    known: dict[object, int] = {}
    return np.array([known.setdefault((i, None) if n is None else n, len(known)) for i, n in enumerate(names)])
