"""Scores that are needed while learning; `measure` has the whole set with their uncertainty."""

import torch
from torch import Tensor


def average_precision(scores_N: Tensor, relevant_N: Tensor) -> float:
    """Mean precision at the rank of each relevant row, rows sorted by falling score; ties share their last rank.

    AP = sum_n (R_n - R_{n-1}) P_n over the distinct scores, as scikit-learn's average_precision_score.
    """
    order = scores_N.argsort(descending=True, stable=True)
    sorted_scores, hits = scores_N[order], relevant_N[order].double()
    last = torch.ones(len(order), dtype=torch.bool, device=order.device)
    last[:-1] = sorted_scores[1:] != sorted_scores[:-1]
    found = hits.cumsum(0)[last]
    precision = found / (last.nonzero()[:, 0] + 1)
    gained = torch.diff(found, prepend=found.new_zeros(1))
    return float((gained * precision).sum() / hits.sum())
