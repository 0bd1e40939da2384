"""Tokens that are not there: exact deletion, with no grey patch or [MASK] in their place.

Hiding a token's key from every query in every layer is the same as a sequence without it (to rounding; tested), because
tokens meet in attention only. Positions of the others stay what they were. The readout does not see it either: its role
becomes PAD. So deletion needs no imputation, and no input that the model has never seen the like of but for its length.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import OptionError
from classtoken.probe.capture import take
from classtoken.probe.interventions import CutEdges, Mode
from classtoken.probe.run_on import run_on
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, repeat
from classtoken.values import Role


@torch.no_grad()
def remove(traced: Traced, gone_BL: Tensor, *, row: int = 0) -> Tensor:
    """Outcomes (sets, C) of one input of a traced batch without the tokens where a row of `gone_BL` is True.

    Where positions are added in the stem the blocks run on the shorter sequence itself, from the states that were
    traced; elsewhere the tokens are hidden through the trace. Raises `OptionError` when nothing is left to read or to
    be read out.
    """
    subject, roles_L = traced.subject.row(row), traced.roles_BL[row]
    left = (roles_L != Role.PAD) & ~gone_BL
    if not bool(left.any(1).all()):
        raise OptionError("every token of a row was removed; leave at least one.")
    roles_BL = torch.where(gone_BL, torch.full_like(roles_L, int(Role.PAD)), roles_L)
    if traced.can_run_on and positions_stay(subject):
        x_BLD, counts = traced.entering(0)[row : row + 1].expand(len(gone_BL), -1, -1), left.sum(1)
        if int(counts.min()) == int(counts.max()):
            places = left.nonzero()[:, 1].view(len(left), -1)
            x_BLD, roles_BL = take(x_BLD, places, dim=1), roles_BL.gather(1, places)
        return subject.outcome(run_on(subject, x_BLD, roles_BL, 0))
    edges = gone_BL[:, None, :] & ~torch.eye(gone_BL.shape[1], dtype=torch.bool, device=gone_BL.device)
    tokens = repeat(traced.tokens, row, len(gone_BL))
    states = subject.run(tokens, CutEdges(Mode.RENORMALISE, None, None, edges_BLL=edges))
    return subject.outcome(replace(states, roles_BL=roles_BL))


def masks(sets: Sequence[Collection[int]], roles_BL: Tensor) -> Tensor:
    """Sets of tokens as rows of True, (sets, L)."""
    found = torch.zeros(len(sets), roles_BL.shape[1], dtype=torch.bool, device=roles_BL.device)
    for row, places in enumerate(sets):
        found[row, list(places)] = True
    return found


def positions_stay(subject: Subject) -> bool:
    """Whether positions come from the stem alone, so that no token's position changes when another one leaves."""
    encoder = subject.encoder
    if not is_stepwise(encoder):
        return False
    position = encoder.shape.position
    plain = not position.rotary and not position.buckets and position.tables == "none"
    return plain and not encoder.shape.block.windows
