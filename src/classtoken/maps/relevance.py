"""Relevance of input tokens by attention and by gradients: each returns (B, L), padding 0.

Signed methods (gradient x input, integrated gradients, occlusion, direct) say how much a token speaks for the target;
unsigned ones (attention, rollout, Chefer's rule) how much of it arrives. LRP is left to an adapter: its method is
patented (README of the LXT package).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from classtoken.errors import OptionError, TraceError
from classtoken.maps.rollout import read_rows
from classtoken.probe.accounting import native, norm_weighted
from classtoken.probe.capture import Chain, Keep, Leaf, capture, refuse_gaps
from classtoken.probe.subject import Subject
from classtoken.tensors import Tokens


def check_targets(targets_B: Tensor, classes: int) -> None:
    """Raise `OptionError` for a class that the model does not have."""
    wrong = targets_B[(targets_B < 0) | (targets_B >= classes)]
    if len(wrong):
        raise OptionError(f"class {int(wrong[0])} does not exist: this model has classes 0 to {classes - 1}.")


def attention(subject: Subject, tokens: Tokens, *, layer: int = -1) -> Tensor:
    """Raw attention of one layer, heads averaged, as the readout's tokens see it (B, L)."""
    weights = capture(subject, tokens, ["weights"], layers=[layer]).parts["weights"][0]
    return read_rows(weights.mean(1), subject.reader(tokens.roles_BL))


def weighted_attention(subject: Subject, tokens: Tokens, *, layer: int = -1) -> Tensor:
    """Attention times the length of what it moves, ||sum_h a W_O v||, of one layer (B, L) (Kobayashi et al. 2020)."""
    encoder = native(subject)
    captured = capture(subject, tokens, ["weights", "values"], layers=[layer])
    weights, values = captured.parts["weights"][0], captured.parts["values"][0]
    reader = subject.reader(tokens.roles_BL)
    with torch.no_grad():
        if bool((reader.amax(1) == 1).all()):  # one token is read: its row alone
            place = reader.argmax(1)[:, None, None, None].expand(-1, weights.shape[1], 1, weights.shape[-1])
            return norm_weighted(encoder, captured.layers[0], weights.gather(2, place), values)[:, 0]
        return read_rows(norm_weighted(encoder, captured.layers[0], weights, values), reader)


@dataclass(frozen=True)
class Gradients:
    """Attention weights and the gradients of the target's outcome with respect to them, both first layer first."""

    weights: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    outcome_B: Tensor


def attention_gradients(
    subject: Subject, tokens: Tokens, targets_B: Tensor, *, layers: Sequence[int] | None = None
) -> Gradients:
    """d outcome[target] / d weights of each layer, paired by name and so in the order of the layers."""
    refuse_gaps(subject, ["weights"])
    chosen = range(subject.depth) if layers is None else [layer % subject.depth for layer in layers]
    names = [f"blocks.{i}.weights" for i in chosen]
    keep = Keep({name: lambda value: value for name in names}, gradients=True)
    with torch.enable_grad():
        outcome_BC = subject(tokens, Chain(_leaf(subject), keep))
        check_targets(targets_B, outcome_BC.shape[1])
        picked = outcome_BC.gather(1, targets_B[:, None])[:, 0]
        weights = [keep.kept[name] for name in names if name in keep.kept]
        if len(weights) != len(names):
            raise TraceError(f"attention of {len(weights)} of {len(names)} layers was captured; gradients need all.")
        found = torch.autograd.grad(picked.sum(), weights, allow_unused=True)
    gradients = tuple(torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True))
    return Gradients(tuple(w.detach() for w in weights), gradients, picked.detach())


def gradient_attention(subject: Subject, tokens: Tokens, targets_B: Tensor, *, layer: int = -1) -> Tensor:
    """relu(gradient * weight) of one layer, heads averaged, as the readout's tokens see it (B, L)."""
    found = attention_gradients(subject, tokens, targets_B, layers=[layer])
    kept = (found.gradients[0] * found.weights[0]).clamp_min(0).mean(1)
    return read_rows(kept, subject.reader(tokens.roles_BL))


def chefer_matrix(found: Gradients) -> Tensor:
    """R = I; R <- R + mean over heads of relu(gradient * weight) @ R, (B, L, L) (Chefer et al. 2021, ICCV)."""
    first = found.weights[0]
    R = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device).expand(len(first), -1, -1)
    for weights, gradients in zip(found.weights, found.gradients, strict=True):
        R = R + (gradients * weights).clamp_min(0).mean(1) @ R
    return R


def chefer(subject: Subject, tokens: Tokens, targets_B: Tensor) -> Tensor:
    """Gradient-weighted attention through all layers (B, L), without the readout token's own start."""
    R = chefer_matrix(attention_gradients(subject, tokens, targets_B))
    eye = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)
    return read_rows(R - eye, subject.reader(tokens.roles_BL))


def edge_scores(found: Gradients) -> tuple[Tensor, ...]:
    """-weight * gradient per layer: the slope of the outcome as an edge is faded out, exact to first order."""
    return tuple(-w * g for w, g in zip(found.weights, found.gradients, strict=True))


def embedding_gradients(subject: Subject, tokens: Tokens, targets_B: Tensor) -> tuple[Tensor, Tensor]:
    """States that enter block 0 and the outcome's gradient with respect to them, (B, L, D) each."""
    leaf = Leaf()
    with torch.enable_grad():
        outcome_BC = subject(tokens, leaf)
        check_targets(targets_B, outcome_BC.shape[1])
        picked = outcome_BC.gather(1, targets_B[:, None]).sum()
        assert leaf.value is not None
        (gradient,) = torch.autograd.grad(picked, leaf.value)
    return leaf.value.detach(), gradient


def gradient_input(subject: Subject, tokens: Tokens, targets_B: Tensor) -> Tensor:
    """sum over D of gradient * state at the embeddings, signed (B, L)."""
    states, gradient = embedding_gradients(subject, tokens, targets_B)
    return (states * gradient).sum(-1)


def saliency(subject: Subject, tokens: Tokens, targets_B: Tensor) -> Tensor:
    """Length of the gradient at the embeddings (B, L) (Simonyan et al. 2014)."""
    return embedding_gradients(subject, tokens, targets_B)[1].norm(dim=-1)


def state_gradients(subject: Subject, tokens: Tokens, targets_B: Tensor, layer: int) -> Tensor:
    """The outcome's gradient with respect to the states after a block, (B, L, D).

    After the last block it is 0 for every token that the readout does not read: with a class token, all patches.
    """
    leaf = Leaf(f"blocks.{layer % subject.depth}.states")
    with torch.enable_grad():
        picked = subject(tokens, leaf).gather(1, targets_B[:, None]).sum()
        if leaf.value is None:
            raise TraceError(f"this model gave no states after block {layer}.")
        (gradient,) = torch.autograd.grad(picked, leaf.value)
    return gradient


def _leaf(subject: Subject) -> Leaf | None:
    """A leaf at the embeddings, so that there is a graph whatever the parameters say; where they can be given."""
    return None if "embeddings" in subject.encoder.gaps else Leaf()
