"""Groups of rows that lie together, what each is about, and its typical and odd members."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import Tensor

FEWEST, MOST, ROWS = 2, 24, 20
"""clusters, and the square of their number for so many rows each"""
MEMBERS = 6
"""typical and odd members that are named"""
WORD = re.compile(r"[^\W\d_]{3,}")
WORDS = 3


@dataclass(frozen=True)
class Cluster:
    """Rows that lie together: a name, how many, and rows that are typical (nearest to the middle) and odd."""

    name: str
    size: int
    typical: tuple[int, ...]
    odd: tuple[int, ...]


def clusters(matrix_ND: Tensor, *, seed: int = 0) -> np.ndarray:
    """(N,) which cluster a row is in: k-means on the vectors at unit length, about sqrt(N / 20) of them."""
    count = len(matrix_ND)
    wanted = min(max(FEWEST, round((count / ROWS) ** 0.5)), MOST, len(torch.unique(matrix_ND[: MOST * MOST], dim=0)))
    if wanted < FEWEST:
        return np.zeros(count, np.int64)
    found = KMeans(wanted, n_init=2, random_state=seed).fit_predict(matrix_ND.numpy())
    order = np.argsort(-np.bincount(found), kind="stable")  # the largest first
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[found]


def described(
    matrix_ND: Tensor, members: np.ndarray, labels: Sequence[str | None], texts: Sequence[str | None]
) -> list[Cluster]:
    """Every cluster with its name: the words that are frequent in it and rare elsewhere, else its commonest label."""
    names = _word_names(members, texts) or _label_names(members, labels)
    found = []
    for number in range(int(members.max()) + 1):
        rows = np.flatnonzero(members == number)
        middle = matrix_ND[torch.from_numpy(rows)].mean(0)
        order = rows[np.argsort(-(matrix_ND[torch.from_numpy(rows)] @ middle).numpy(), kind="stable")]
        name = names[number] if names else f"cluster {number + 1}"
        odd = order[::-1][: min(MEMBERS, len(order) // 2)]
        found.append(Cluster(name, len(rows), tuple(order[:MEMBERS].tolist()), tuple(odd.tolist())))
    return found


def _word_names(members: np.ndarray, texts: Sequence[str | None]) -> list[str]:
    """Per cluster the words that set it apart: a share p of its rows has them and a share q of all others, and
    p log(p / q) is greatest. Words that say nothing by themselves ("the", "from") are left out, and those that every
    other row has, too."""
    if not any(texts):
        return []
    words = [set(WORD.findall((text or "").lower())) for text in texts]
    everywhere = Counter(word for row in words for word in row)
    found = []
    for number in range(int(members.max()) + 1):
        inside = [words[row] for row in np.flatnonzero(members == number).tolist()]
        there = Counter(word for row in inside for word in row)
        others = len(texts) - len(inside)
        weight = {
            word: n / len(inside) * log(n / len(inside) * (others + 1) / (everywhere[word] - n + 1))
            for word, n in there.items()
            if word not in ENGLISH_STOP_WORDS and everywhere[word] <= len(texts) / 2
        }
        best = [word for word in sorted(weight, key=lambda word: (-weight[word], word)) if weight[word] > 0][:WORDS]
        found.append(", ".join(best) or f"cluster {number + 1}")
    return found


def _label_names(members: np.ndarray, labels: Sequence[str | None]) -> list[str]:
    """Per cluster the label that most of its rows have; where that is less than half of them, the two most frequent."""
    if not any(labels):
        return []
    found = []
    for number in range(int(members.max()) + 1):
        there = Counter(labels[row] or "none" for row in np.flatnonzero(members == number).tolist())
        total = sum(there.values())
        first, *others = (f"{name} ({count / total:.0%})" for name, count in there.most_common(2))
        mixed = 2 * there.most_common(1)[0][1] < total
        found.append(f"mixed: {', '.join([first, *others])}" if mixed else first)
    return found
