"""Tokens that are not there: exact deletion, with no grey patch or [MASK] in their place.

Hiding a token's key from every query in every layer is the same as a sequence without it (to rounding; tested), because
tokens meet in attention only. Positions of the others stay what they were. The readout does not see it either: its role
becomes PAD. So deletion needs no imputation, and no input that the model has never seen the like of but for its length.
"""

from dataclasses import replace

import torch
from torch import Tensor

from classtoken.analysis.interventions import CutEdges, Mode
from classtoken.analysis.subject import Subject
from classtoken.encoder.encoder import Encoder
from classtoken.errors import OptionError
from classtoken.tensors import Tokens
from classtoken.values import Role


def remove(subject: Subject, tokens: Tokens, gone_BL: Tensor) -> Tensor:
    """Outcomes (B, C) of a batch without the tokens where `gone_BL` is True.

    Fused for image encoders whose positions are added in the stem (the tokens become padding there); through the trace
    elsewhere. Raises `OptionError` when nothing is left to read or to be read out.
    """
    left = (tokens.roles_BL != Role.PAD) & ~gone_BL
    if not bool(left.any(1).all()):
        raise OptionError("every token of a row was removed; leave at least one.")
    roles = torch.where(gone_BL, torch.full_like(tokens.roles_BL, int(Role.PAD)), tokens.roles_BL)
    with torch.no_grad():
        if positions_stay(subject):
            return subject.outcome(subject.run(replace(tokens, roles_BL=roles)))
        edges = gone_BL[:, None, :] & ~torch.eye(gone_BL.shape[1], dtype=torch.bool, device=gone_BL.device)
        states = subject.run(tokens, CutEdges(Mode.RENORMALISE, None, None, edges_BLL=edges))
        return subject.outcome(replace(states, roles_BL=roles))


def positions_stay(subject: Subject) -> bool:
    """True when calling a token padding changes nobody's position: images with positions from the stem alone."""
    encoder = subject.encoder
    return isinstance(encoder, Encoder) and encoder.layout.grid is not None and not encoder.shape.position.rotary


def repeat(tokens: Tokens, row: int, times: int) -> Tokens:
    """One input of a batch, `times` over: to be run with as many different tokens taken away."""

    def again(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[row : row + 1].expand(times, *value.shape[1:])

    roles = tokens.roles_BL[row : row + 1].expand(times, -1)
    grids = None if tokens.grids is None else (tokens.grids[row],) * times
    return Tokens(roles, again(tokens.ids_BL), again(tokens.pixels), tokens.grid, grids)


def removable(roles_BL: Tensor) -> Tensor:
    """True for tokens that stand for a piece of the input: patches and word pieces, (B, L)."""
    return roles_BL == Role.CONTENT
