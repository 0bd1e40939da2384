"""Several class tokens: do they collapse into one, or specialise?

Multi-CLS BERT (Chang et al. 2023) found that they collapse unless diversity is forced; MCTformer (Xu et al. 2022) gives
each its class. Three measures, each with what to hold against it: cosine of states per layer, overlap of attention rows
per layer, and which labels each token's state tells apart, against a permutation of the labels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from classtoken.analysis.truth import average_precision
from classtoken.errors import OptionError
from classtoken.values import Role


def class_places(roles_BL: Tensor) -> Tensor:
    """Places (B, T) of the class tokens of every row. Raises `OptionError` with fewer than two."""
    found = roles_BL == Role.CLASS
    counts = found.sum(1)
    if int(counts.min()) < 2 or int(counts.min()) != int(counts.max()):
        raise OptionError(f"specialisation needs at least two class tokens an input; this one has {int(counts.min())}.")
    return found.nonzero()[:, 1].view(len(roles_BL), -1)


def pairwise_cosine(states_BTD: Tensor) -> Tensor:
    """Mean cosine over all pairs of class tokens, (B): 1 is collapse."""
    unit = torch.nn.functional.normalize(states_BTD, dim=-1)
    cosines = unit @ unit.mT
    T = states_BTD.shape[1]
    first, second = torch.triu_indices(T, T, 1)
    return cosines[:, first, second].mean(-1)


def map_overlap(weights_BHTL: Tensor) -> Tensor:
    """Mean over pairs and heads of sum_j min(a_j, b_j), (B): 1 when all look at the same, 0 at disjoint tokens."""
    T = weights_BHTL.shape[2]
    first, second = torch.triu_indices(T, T, 1)
    shared = torch.minimum(weights_BHTL[:, :, first], weights_BHTL[:, :, second]).sum(-1)
    return shared.mean((1, 2))


@dataclass(frozen=True)
class Specialisation:
    """Which labels each class token tells apart. ap_TC: average precision of a token's score for a label;
    best_C: the token that is best for a label; `spread`: mean over labels of best minus mean of the tokens;
    `p_value`: share of permutations in which exchanging tokens within inputs gives at least that spread."""

    ap_TC: np.ndarray
    best_C: np.ndarray
    spread: float
    p_value: float


def specialisation(
    scores_NTC: np.ndarray, labels_NC: np.ndarray, *, permutations: int = 200, seed: int = 0
) -> Specialisation:
    """From every token's score for every label over n inputs, (n, T, C), and the true labels (n, C).

    The null hypothesis is that class tokens are exchangeable: for every input the tokens are put in a random order.
    Labels that all or no inputs have are left out.
    """
    scores, labels = np.asarray(scores_NTC, dtype=float), np.asarray(labels_NC, dtype=bool)
    if scores.ndim != 3 or labels.shape != (scores.shape[0], scores.shape[2]) or scores.shape[1] < 2:
        raise OptionError(f"scores of shape {scores.shape} and labels of shape {labels.shape} do not belong together.")
    told = labels.any(0) & ~labels.all(0)
    if not told.any():
        raise OptionError("no label is there in some inputs and not in others; nothing can be told apart.")
    scores, labels = scores[:, :, told], labels[:, told]
    observed = _precisions(scores, labels)
    rng = np.random.default_rng(seed)
    at_least = 0
    rows = np.arange(len(scores))[:, None]
    for _ in range(permutations):
        order = np.argsort(rng.random(scores.shape[:2]), axis=1)
        at_least += _spread(_precisions(scores[rows, order], labels)) >= _spread(observed) - 1e-12
    return Specialisation(observed, observed.argmax(0), _spread(observed), (1 + at_least) / (1 + permutations))


def _precisions(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    T, C = scores.shape[1:]
    return np.array([[average_precision(scores[:, t, c], labels[:, c]) for c in range(C)] for t in range(T)])


def _spread(ap_TC: np.ndarray) -> float:
    return float((ap_TC.max(0) - ap_TC.mean(0)).mean())
