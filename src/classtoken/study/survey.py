"""Many inputs: each traced once, and what every part of a study says of it gathered as arrays with a row per input."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from classtoken.encoder.protocol import is_stepwise
from classtoken.probe.capture import row_places
from classtoken.probe.lens import lens
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, trace
from classtoken.study.artefacts import outliers
from classtoken.study.description import attention_distance, class_distance, describe_row
from classtoken.study.inputs import StudiedInputs, patch_side
from classtoken.study.swaps import swap_states
from classtoken.values import Progress, Role

PARTS = ("weights", "states", "embeddings")
Report = Callable[[Progress], object]


@dataclass
class SurveyValues:
    """Arrays over inputs by name: (n, N), (n, N, H), (n, P) or (n, T, ...)."""

    arrays: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, name: str, values: Tensor) -> None:
        """A batch's values."""
        self.arrays.setdefault(name, []).append(values.detach().double().cpu().numpy())

    def __getitem__(self, name: str) -> np.ndarray:
        return np.concatenate(self.arrays[name])

    def __contains__(self, name: str) -> bool:
        return name in self.arrays


def survey(subject: Subject, inputs: StudiedInputs, report: Report | None = None) -> SurveyValues:
    """Every input traced once: the class token's rows, distances, artefacts, lens, answers, and swaps between the
    inputs of a batch."""
    found, done, begun = SurveyValues(), 0, time.monotonic()
    for tokens in inputs.batches:
        gather(trace(subject, tokens, PARTS), found)
        done += len(tokens)
        if report is not None:
            report(Progress(done, len(inputs.records), seconds=time.monotonic() - begun, what="inputs described"))
    return found


@torch.no_grad()
def gather(traced: Traced, found: SurveyValues) -> None:
    """What one traced batch says."""
    classes = traced.roles_BL == Role.CLASS
    if bool(classes.any(1).all()):
        _rows(traced, row_places(traced.roles_BL, {Role.CLASS}), found)
    if traced.grid is not None:
        side, roles, grid = patch_side(traced.tokens), traced.roles_BL, traced.grid
        distances = [attention_distance(weights, roles, grid, side) for weights in traced.part("weights")]
        found.add("attention_distance", torch.stack(distances, 1))
    if traced.shows_states:
        _states(traced, found)
        _swaps(traced, found)


def _rows(traced: Traced, places_BR: Tensor, found: SurveyValues) -> None:
    roles, grid, rows = traced.roles_BL, traced.grid, traced.rows("weights", places_BR)
    row = describe_row(rows, roles, places_BR)
    found.add("relative_entropy", row.relative_BNH)
    found.add("effective_tokens", row.effective_BNH)
    found.add("on_itself", row.itself_BNH)
    found.add("head_agreement", row.agreement_BN)
    for role, mass in row.masses.items():
        found.add(f"mass_{role.name.lower()}", mass)
    if grid is not None:
        side = patch_side(traced.tokens)
        found.add("spread", torch.stack([class_distance(w, roles, grid, side).mean(2) for w in rows], 1))
        content = (roles == Role.CONTENT).nonzero()[:, 1].view(len(roles), -1)
        found.add("direct", torch.stack(rows, 1).mean((1, 2, 3)).gather(1, content))
        found.add("direct_last", rows[-1].mean((1, 2)).gather(1, content))
    if places_BR.shape[1] > 1:
        found.add("class_maps", rows[-1].mean(1))


def _states(traced: Traced, found: SurveyValues) -> None:
    roles, subject = traced.roles_BL, traced.subject
    states = [traced.entering(layer) for layer in range(traced.depth + 1)]
    found.add("outlier_share", torch.stack([outliers(x, roles).share_B for x in states[1:]], 1))
    classes = roles == Role.CLASS
    if int(classes.sum(1).min()) > 1:
        held = [x[classes].view(len(traced), -1, x.shape[-1]) for x in states]
        found.add("class_states", torch.stack(held, 1))
    if subject.head is not None and is_stepwise(subject.encoder):
        found.add("lens_answers", decided(subject, lens(traced)))


def decided(subject: Subject, outcome: Tensor) -> Tensor:
    """What the model says, (..., 1): the best class; with several labels an input (..., C): which of them apply."""
    return (outcome > 0).long() if subject.multilabel else outcome.argmax(-1, keepdim=True)


def _swaps(traced: Traced, found: SurveyValues) -> None:
    """Answers when the class token before layer l is that of the next input in the batch (inputs of one layout)."""
    subject, roles = traced.subject, traced.roles_BL
    classes = roles == Role.CLASS
    if len(traced) < 2 or subject.head is None or not bool(classes.any()) or bool((roles != roles[:1]).any()):
        return
    clean = decided(subject, traced.outcome_BC)
    theirs = [traced.entering(layer).roll(1, 0)[classes] for layer in range(traced.depth + 1)]
    found.add("clean", clean)
    found.add("donor", clean.roll(1, 0))
    found.add("answers", decided(subject, swap_states(traced, classes, theirs)))
