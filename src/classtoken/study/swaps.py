"""States of another input put in before a layer, and the model run on: the one implementation of a swap."""

from collections.abc import Sequence

import torch
from torch import Tensor

from classtoken.probe.traced import Traced
from classtoken.results.explain import SwapStep
from classtoken.values import Role


def swap_states(
    traced: Traced, places_BL: Tensor, donor: Sequence[Tensor], layers: Sequence[int] | None = None
) -> Tensor:
    """Outcomes (B, layers, C) when the states before a layer are the donor's where `places_BL` is True.

    donor: states of as many tokens as `places_BL` names in every row, (tokens, D) or (B, D) for one a row, in the order
    of `layers` (all, the depth itself among them, if left out): `donor[i]` is put in before `layers[i]`.
    """
    chosen = range(traced.depth + 1) if layers is None else layers
    found = []
    for layer, theirs in zip(chosen, donor, strict=True):
        x_BLD = traced.entering(layer).clone()
        x_BLD[places_BL] = theirs.to(x_BLD)
        found.append(traced.with_states(x_BLD, layer))
    return torch.stack(found, 1)


def swaps(traced: Traced, donor: Traced, target: int, label_of: Sequence[str]) -> tuple[SwapStep, ...]:
    """The target when states of another input stand before layer l, for all tokens of one role: of every role that both
    inputs have equally many tokens of. Nothing where the model shows no states."""
    if not traced.shows_states:
        return ()
    subject, found = traced.subject, []
    for role in Role:
        here, there = ((t.roles_BL == role) for t in (traced, donor))
        if role == Role.PAD or not bool(here.any()) or int(here.sum()) != int(there.sum()):
            continue
        theirs = [donor.entering(layer)[there] for layer in range(traced.depth + 1)]
        answers = subject.answers(swap_states(traced, here, theirs)[0])
        for layer, row in enumerate(answers):
            best = int(row.argmax())
            name = label_of[best] if best < len(label_of) else str(best)
            found.append(SwapStep(layer, role.name, float(row[target]), name, float(row[best])))
    return tuple(found)
