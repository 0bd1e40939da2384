"""Rows that are unlike all others, and labels that their neighbours contradict."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classtoken.nearest.graph import Neighbours
from classtoken.nearest.keeping import Equals

TEMPERATURE = 0.07
"""of the votes of neighbours, exp(similarity / temperature), as in the k-NN evaluation of DINO (arXiv 2104.14294)"""
SPREAD = 1.4826
"""median absolute deviation -> standard deviation, of normal numbers"""


@dataclass(frozen=True)
class Odd:
    """A row, its mean similarity to its neighbours, and how many deviations that lies below the median's."""

    row: int
    similarity: float
    deviations: float


@dataclass(frozen=True)
class Contradicted:
    """A row whose neighbours have another label: the votes (0 to 1) for its own and for theirs."""

    row: int
    label: str
    suggested: str
    own: float
    votes: float


def odd_rows(near: Neighbours) -> list[Odd]:
    """Every row with neighbours, the oddest first: the lowest mean similarity to its k neighbours."""
    scores = near.scores.numpy()
    there = np.isfinite(scores)
    rows = np.flatnonzero(there.any(1))
    if not len(rows):
        return []
    means = np.where(there, scores, 0).sum(1)[rows] / there.sum(1)[rows]
    middle = np.median(means)
    spread = SPREAD * np.median(np.abs(means - middle)) or 1.0
    order = np.argsort(means, kind="stable")
    return [Odd(int(rows[i]), float(means[i]), float((middle - means[i]) / spread)) for i in order]


def contradicted_labels(near: Neighbours, labels: list[str | None]) -> list[Contradicted]:
    """Rows with a label that their neighbours' votes contradict, the most contradicted first.

    A row's votes for a label are the shares of its k neighbours, weighed by similarity. By confident learning
    (Northcutt et al., arXiv 1911.00068) a label is suggested where its votes reach what rows that have it get for it on
    average, and exceed those for the row's own.
    """
    names = sorted({label for label in labels if label is not None})
    votes = vote_shares(near, labels, names)
    at = {name: i for i, name in enumerate(names)}
    own = np.array([-1 if label is None else at[label] for label in labels])
    known = (own >= 0) & (votes.sum(1) > 0)
    if not known.any() or len(names) < 2:
        return []
    usual = np.array([votes[known & (own == c), c].mean() if (known & (own == c)).any() else 1.0 for c in at.values()])
    reached = np.where(votes >= usual, votes, -1)
    best = reached.argmax(1)
    rows = np.flatnonzero(known & (reached.max(1) > 0) & (best != own))
    found = [
        Contradicted(int(r), names[own[r]], names[best[r]], float(votes[r, own[r]]), float(votes[r, best[r]]))
        for r in rows
        if votes[r, best[r]] > votes[r, own[r]]
    ]
    return sorted(found, key=lambda one: (one.own - one.votes, one.row))


def disputed_groups(same: Equals, labels: Sequence[str | None]) -> dict[int, list[int]]:
    """First row -> all rows, of groups of equal rows that have more than one label: of those one is wrong."""
    groups = same.groups()
    return {first: rows for first, rows in groups.items() if len({labels[row] for row in rows} - {None}) > 1}


def vote_shares(near: Neighbours, labels: list[str | None], names: list[str]) -> np.ndarray:
    """(N, labels): the weighed share of a row's labelled neighbours that have each label."""
    at = {name: i for i, name in enumerate(names)}
    codes = np.array([-1 if label is None else at[label] for label in labels])
    places, scores = near.places.numpy(), near.scores.numpy()
    theirs = np.where(places >= 0, codes[places], -1)
    counted = theirs >= 0
    best = np.max(np.where(counted, scores, -np.inf), axis=1, keepdims=True, initial=-np.inf)
    weights = np.where(
        counted, np.exp((np.where(counted, scores, 0) - np.where(np.isfinite(best), best, 0)) / TEMPERATURE), 0
    )
    votes = np.zeros((len(labels), len(names)))
    rows = np.broadcast_to(np.arange(len(labels))[:, None], theirs.shape)
    np.add.at(votes, (rows[counted], theirs[counted]), weights[counted])
    total = votes.sum(1, keepdims=True)
    return np.divide(votes, total, out=np.zeros_like(votes), where=total > 0)
