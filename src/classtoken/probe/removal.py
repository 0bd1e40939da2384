"""Tokens that are not there: exact deletion, with no grey patch or [MASK] in their place.

Hiding a token's key from every query in every layer is the same as a sequence without it (to rounding; tested), because
tokens meet in attention only. Positions of the others stay what they were. The readout does not see it either: its role
becomes PAD. So deletion needs no imputation, and no input that the model has never seen the like of but for its length.
"""

from dataclasses import replace

import torch
from torch import Tensor

from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import OptionError
from classtoken.probe.capture import take
from classtoken.probe.interventions import CutEdges, Mode
from classtoken.probe.run_on import run_on, stepwise
from classtoken.probe.subject import Subject, undisturbed
from classtoken.tensors import Tokens
from classtoken.values import Role


def remove(subject: Subject, tokens: Tokens, gone_BL: Tensor) -> Tensor:
    """Outcomes (B, C) of a batch without the tokens where `gone_BL` is True.

    Image encoders whose positions are added in the stem run on the shorter sequence itself where all rows lose equally
    many tokens, and take the removed ones for padding where not; others hide them through the trace. Raises
    `OptionError` when nothing is left to read or to be read out.
    """
    left = (tokens.roles_BL != Role.PAD) & ~gone_BL
    if not bool(left.any(1).all()):
        raise OptionError("every token of a row was removed; leave at least one.")
    roles = torch.where(gone_BL, torch.full_like(tokens.roles_BL, int(Role.PAD)), tokens.roles_BL)
    with torch.no_grad():
        if positions_stay(subject):
            counts = left.sum(1)
            if tokens.pixels is not None and tokens.pixels.dim() == 4 and int(counts.min()) == int(counts.max()):
                return _shorter(subject, tokens, left)
            return subject.outcome(subject.run(replace(tokens, roles_BL=roles)))
        edges = gone_BL[:, None, :] & ~torch.eye(gone_BL.shape[1], dtype=torch.bool, device=gone_BL.device)
        states = subject.run(tokens, CutEdges(Mode.RENORMALISE, None, None, edges_BLL=edges))
        return subject.outcome(replace(states, roles_BL=roles))


def _shorter(subject: Subject, tokens: Tokens, left_BL: Tensor) -> Tensor:
    """The blocks on the tokens that are left, each with the position that it had."""
    places = left_BL.nonzero()[:, 1].view(len(left_BL), -1)
    roles = tokens.roles_BL.gather(1, places)
    assert tokens.pixels is not None
    encoder = stepwise(subject)
    with undisturbed(encoder):
        pixels = tokens.pixels
        same = pixels.stride(0) == 0  # one picture, expanded by `repeat`: its patches are cut once
        embedded, _ = encoder.stem(pixels[:1] if same else pixels)
    states = take(embedded.expand(len(places), -1, -1), places, dim=1)
    return subject.outcome(run_on(subject, states, roles, 0))


def positions_stay(subject: Subject) -> bool:
    """True for images whose positions come from the stem alone: nobody's place changes when a token leaves."""
    encoder = subject.encoder
    if not is_stepwise(encoder) or encoder.layout.grid is None:
        return False
    position = encoder.shape.position
    plain = not position.rotary and not position.buckets and position.tables == "none"
    readout_reads_last = not getattr(subject.readout, "layers", ())
    return plain and not encoder.shape.block.windows and readout_reads_last
