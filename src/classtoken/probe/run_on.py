"""The rest of a forward from the states that enter a layer: what comes before is not done again."""

from torch import Tensor

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.groups import padded_group
from classtoken.encoder.protocol import is_stepwise
from classtoken.errors import TraceError
from classtoken.probe.subject import Subject, undisturbed
from classtoken.tensors import States, Trace, names_of_trace
from classtoken.values import Role


def stepwise(subject: Subject) -> Encoder:
    """The subject's encoder, whose blocks can be run one at a time. Raises `TraceError` where they cannot."""
    encoder = subject.encoder
    if not is_stepwise(encoder):
        raise TraceError(
            "a forward cannot begin in the middle of this encoder: its blocks are not run one by one (a foreign "
            "module). Load a family that is read natively."
        )
    return encoder


def run_on(
    subject: Subject,
    x_BLD: Tensor,
    roles_BL: Tensor,
    layer: int,
    trace: Trace | None = None,
    grid: tuple[int, int] | None = None,
) -> States:
    """Final states from those that enter `layer` (the depth itself: that leave the last one), exactly.

    Where the readout reads the class token alone, and no change is made inside the last block, that computes no other
    token's row.
    """
    encoder = stepwise(subject)
    group = padded_group(roles_BL)
    end = encoder.depth - 1
    changed = trace is not None and any(trace.wants(name) for name in names_of_trace(encoder.depth)[-8:-1])
    alone = subject.reads == {Role.CLASS} and not changed and layer <= end
    rows_BR = (roles_BL == Role.CLASS).nonzero()[:, 1].view(len(roles_BL), -1) if alone else None
    with undisturbed(encoder):
        for i in range(layer, encoder.depth):
            view = encoder.view(i, group, grid, x_BLD, rows_BR if i == end else None)
            x_BLD = encoder.block(i)(x_BLD, [view], trace, f"blocks.{i}")
        last = encoder.final_norm(x_BLD)
    if rows_BR is not None:
        roles_BL = roles_BL.gather(1, rows_BR)
    return States(last, roles_BL, grid, {encoder.depth - 1: x_BLD, -1: x_BLD}, encoder.final_norm)
