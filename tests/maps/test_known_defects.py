"""Mistakes of a much copied rollout code base, each repeated here on purpose: the check that ours passes, it fails.

The properties are stated once and tried on both: ours must hold them, the copy of the mistake must not.
"""

import math
from dataclasses import replace

import pytest
import torch
from tests.probe.subjects import Case, registers_case, vit_case
from torch import Tensor

from classtoken.errors import TraceError
from classtoken.maps.relevance import chefer_matrix
from classtoken.maps.rollout import rollout
from classtoken.probe.subject import Subject
from classtoken.probe.traced import Traced, trace
from classtoken.study.description import attention_distance
from classtoken.tensors import Tokens
from classtoken.values import Role


def gradients_belong_to_their_layers(case: Case, pairs: list[tuple[Tensor, Tensor]]) -> bool:
    """The gradient paired with a layer's weights predicts what fading an edge of that layer does."""
    found = True
    for i, (weights, gradients) in enumerate(pairs):
        h = 1e-4
        direction = torch.zeros_like(weights)
        direction[0, 0, 0] = weights[0, 0, 0]
        with torch.no_grad():
            outcomes = [
                float(case.subject(case.tokens, _Add(f"blocks.{i}.weights", s * h * direction))[0, 1]) for s in (1, -1)
            ]
        slope = (outcomes[0] - outcomes[1]) / (2 * h)
        found &= math.isclose(float((gradients * direction).sum()), slope, rel_tol=1e-5, abs_tol=1e-9)
    return found


class _Add:
    def __init__(self, name: str, difference: Tensor):
        self.name, self.difference = name, difference

    def wants(self, name: str) -> bool:
        return name == self.name

    def __call__(self, name: str, value: Tensor) -> Tensor:
        return value + self.difference if name == self.name else value


def test_gradients_are_paired_with_their_own_layer() -> None:
    """Defect: backward hooks fire last layer first, and were zipped with weights in forward order."""
    case = vit_case()
    found = trace(case.subject, case.tokens, gradients=True).gradients(torch.tensor([1, 1]))
    ours = list(zip(found.weights, found.gradients, strict=True))
    copied = list(zip(found.weights, reversed(found.gradients), strict=True))
    assert gradients_belong_to_their_layers(case, ours)
    assert not gradients_belong_to_their_layers(case, copied)
    assert not torch.allclose(chefer_matrix(found), chefer_matrix(replace(found, gradients=found.gradients[::-1])))


class _Fused:
    """An encoder whose attention does not pass through the trace, as under a fused kernel."""

    gaps: tuple[str, ...] = ()

    def __init__(self, encoder: object):
        self.encoder = encoder

    depth, heads = 4, 3

    def __call__(self, tokens: Tokens, **options: object) -> object:
        return self.encoder(tokens)  # type: ignore[operator]


def test_nothing_captured_is_said_in_words() -> None:
    """Defect: an empty list under fused attention ended in an IndexError (or an empty picture)."""
    case = vit_case()
    fused = Subject(_Fused(case.encoder), case.subject.readout, case.subject.head)  # type: ignore[arg-type]
    with pytest.raises(TraceError, match="values were not captured"):
        trace(fused, case.tokens, ["weights"])
    with pytest.raises(TraceError, match="no layer was captured"):
        rollout([])
    copied: list[Tensor] = []
    with pytest.raises(IndexError):
        torch.eye(copied[0].size(-1))


def content_of(captured: Traced) -> Tensor:
    """The class token's weights on patches, by role."""
    return captured.parts["weights"][0][0, :, 0, captured.roles_BL[0] == Role.CONTENT]


def test_patches_are_found_by_role_not_by_place() -> None:
    """Defect: `[1:]` and int(sqrt(L - 1)) with registers, distillation tokens or a grid that is no square."""
    case = registers_case()
    captured = trace(case.subject, case.tokens, ["weights"])
    grid = case.tokens.grid
    assert grid == (3, 4)
    assert content_of(captured).shape[-1] == 12
    copied = captured.parts["weights"][0][0, :, 0, 1:]
    assert copied.shape[-1] == 15
    with pytest.raises(RuntimeError):
        copied.reshape(3, *[int(math.sqrt(copied.shape[-1]))] * 2)
    found = attention_distance(captured.parts["weights"][0], case.tokens.roles_BL, grid)
    assert found.shape == (2, 3)
