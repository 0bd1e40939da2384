"""Relevance of input tokens by attention and by gradients, read from a trace: each returns (B, L), padding 0.

Signed methods (gradient x input, integrated gradients, occlusion, direct) say how much a token speaks for the target;
unsigned ones (attention, rollout, Chefer's rule) how much of it arrives. LRP is left to an adapter: its method is
patented (README of the LXT package).
"""

import torch
from torch import Tensor

from classtoken.errors import TraceError
from classtoken.maps.rollout import read_rows
from classtoken.probe.accounting import native, norm_weighted
from classtoken.probe.traced import Gradients, Traced


def attention(traced: Traced, *, layer: int = -1) -> Tensor:
    """Raw attention of one layer, heads averaged, as the readout's tokens see it (B, L)."""
    return read_rows(traced.part("weights")[layer].mean(1), traced.reader_BL)


@torch.no_grad()
def weighted_attention(traced: Traced, *, layer: int = -1) -> Tensor:
    """Attention times the length of what it moves, ||sum_h a W_O v||, of one layer (B, L) (Kobayashi et al. 2020)."""
    encoder, number = native(traced.subject), layer % traced.depth
    weights, values, reader = traced.part("weights")[layer], traced.part("values")[layer], traced.reader_BL
    if traced.one_reader:  # one token is read: its row alone
        place = reader.argmax(1)[:, None, None, None].expand(-1, weights.shape[1], 1, weights.shape[-1])
        return norm_weighted(encoder, number, weights.gather(2, place), values)[:, 0]
    return read_rows(norm_weighted(encoder, number, weights, values), reader)


def gradient_attention(traced: Traced, targets_B: Tensor, *, layer: int = -1) -> Tensor:
    """relu(gradient * weight) of one layer, heads averaged, as the readout's tokens see it (B, L)."""
    found = traced.gradients(targets_B)
    kept = (found.gradients[layer] * found.weights[layer]).clamp_min(0).mean(1)
    return read_rows(kept, traced.reader_BL)


def chefer_matrix(found: Gradients) -> Tensor:
    """R = I; R <- R + mean over heads of relu(gradient * weight) @ R, (B, L, L) (Chefer et al. 2021, ICCV)."""
    first = found.weights[0]
    R = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device).expand(len(first), -1, -1)
    for weights, gradients in zip(found.weights, found.gradients, strict=True):
        R = R + (gradients * weights).clamp_min(0).mean(1) @ R
    return R


def chefer(traced: Traced, targets_B: Tensor) -> Tensor:
    """Gradient-weighted attention through all layers (B, L), without the readout token's own start."""
    R = chefer_matrix(traced.gradients(targets_B))
    eye = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)
    return read_rows(R - eye, traced.reader_BL)


def gradient_input(traced: Traced, targets_B: Tensor) -> Tensor:
    """sum over D of gradient * state at the embeddings, signed (B, L)."""
    gradient = traced.gradients(targets_B).embeddings_BLD
    if gradient is None:
        raise TraceError("gradient x input needs the states that enter block 0, which this model does not show.")
    return (traced.entering(0) * gradient).sum(-1)
