"""Mistakes of a much copied rollout code base, each repeated here on purpose: the check that ours passes, it fails.

The properties are stated once and tried on both: ours must hold them, the copy of the mistake must not.
"""

import math
from collections.abc import Callable

import pytest
import torch
from tests.analysis.subjects import Case, registers_case, vit_case
from torch import Tensor

from classtoken.errors import TraceError
from classtoken.maps.relevance import attention_gradients, chefer_matrix
from classtoken.maps.rollout import discard_lowest, fuse_heads, rollout
from classtoken.probe.capture import Captured, capture
from classtoken.probe.subject import Subject
from classtoken.study.description import attention_distance
from classtoken.tensors import Tokens
from classtoken.values import Role

Discard = Callable[[Tensor, float], Tensor]


def layer(case: Case) -> Tensor:
    return fuse_heads(capture(case.subject, case.tokens, ["weights"], layers=[1]).parts["weights"][0])


def rows_sum_to_one(discard: Discard, matrix_BLL: Tensor) -> bool:
    return bool((discard(matrix_BLL, 0.5).sum(-1) - 1).abs().max() < 1e-9)


def every_input_is_filtered(discard: Discard, matrix_BLL: Tensor) -> bool:
    removed = (discard(matrix_BLL, 0.5) == 0).sum((1, 2))
    return bool((removed > 0).all()) and bool(removed.min() == removed.max())


def columns_divided(matrix_BLL: Tensor, ratio: float) -> Tensor:
    """Defect 1: `a / a.sum(dim=-1)` without keepdim divides columns, and only works for one input."""
    kept = torch.cat([discard_all_but_normalising(m[None], ratio) for m in matrix_BLL])
    return torch.cat([m[None] / m[None].sum(dim=-1) for m in kept])


def discard_all_but_normalising(matrix_BLL: Tensor, ratio: float) -> Tensor:
    flat = matrix_BLL.clone().view(len(matrix_BLL), -1)
    count = int(flat.shape[-1] * ratio)
    _, lowest = flat.topk(count, -1, False)
    return flat.scatter(1, lowest, 0.0).view_as(matrix_BLL)


def first_input_only(matrix_BLL: Tensor, ratio: float) -> Tensor:
    """Defect 2: `flat[0, indices] = 0` filters the first input of the batch alone."""
    flat = matrix_BLL.clone().view(len(matrix_BLL), -1)
    _, lowest = flat.topk(int(flat.shape[-1] * ratio), -1, False)
    flat[0, lowest[0]] = 0
    kept = flat.view_as(matrix_BLL)
    return kept / kept.sum(-1, keepdim=True)


def test_rows_are_normalised_not_columns() -> None:
    matrix = layer(vit_case())
    assert rows_sum_to_one(discard_lowest, matrix)
    assert not rows_sum_to_one(columns_divided, matrix)


def test_every_input_of_a_batch_is_filtered() -> None:
    matrix = layer(vit_case())
    assert every_input_is_filtered(discard_lowest, matrix)
    assert not every_input_is_filtered(first_input_only, matrix)


def test_the_class_token_is_never_discarded() -> None:
    """The copied code protects the flat index 0 only, which is the entry [0, 0]."""
    matrix = layer(vit_case())
    keep = torch.zeros(matrix.shape[:2], dtype=torch.bool)
    keep[:, 0] = True
    ours = discard_lowest(matrix, 0.9, keep)
    assert (ours[:, :, 0] > 0).all()
    flat = matrix.clone().view(len(matrix), -1)
    _, lowest = flat.topk(int(flat.shape[-1] * 0.9), -1, False)
    lowest = torch.where(lowest == 0, lowest[:, :1], lowest)
    copied = flat.scatter(1, lowest, 0.0).view_as(matrix)
    assert not (copied[:, :, 0] > 0).all()


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
    """Defect 3: backward hooks fire last layer first, and were zipped with weights in forward order."""
    case = vit_case()
    found = attention_gradients(case.subject, case.tokens, torch.tensor([1, 1]))
    ours = list(zip(found.weights, found.gradients, strict=True))
    copied = list(zip(found.weights, reversed(found.gradients), strict=True))
    assert gradients_belong_to_their_layers(case, ours)
    assert not gradients_belong_to_their_layers(case, copied)
    assert not torch.allclose(
        chefer_matrix(found), chefer_matrix(type(found)(found.weights, found.gradients[::-1], found.outcome_B))
    )


class _Fused:
    """An encoder whose attention does not pass through the trace, as under a fused kernel."""

    gaps: tuple[str, ...] = ()

    def __init__(self, encoder: object):
        self.encoder = encoder

    depth, heads = 4, 3

    def __call__(self, tokens: Tokens, **options: object) -> object:
        return self.encoder(tokens)  # type: ignore[operator]


def test_nothing_captured_is_said_in_words() -> None:
    """Defect 4: an empty list under fused attention ended in an IndexError (or an empty picture)."""
    case = vit_case()
    fused = Subject(_Fused(case.encoder), case.subject.readout, case.subject.head)  # type: ignore[arg-type]
    with pytest.raises(TraceError, match="values were not captured"):
        capture(fused, case.tokens, ["weights"])
    with pytest.raises(TraceError, match="no layer was captured"):
        rollout([])
    copied: list[Tensor] = []
    with pytest.raises(IndexError):
        torch.eye(copied[0].size(-1))


def test_fusion_of_heads_can_be_chosen() -> None:
    """Defect 5: the documented argument for it did not exist."""
    weights = capture(vit_case().subject, vit_case().tokens, ["weights"], layers=[0]).parts["weights"][0]
    fused = [fuse_heads(weights, how) for how in ("mean", "max", "min")]  # type: ignore[arg-type]
    assert all((f.sum(-1) - 1).abs().max() < 1e-9 for f in fused)
    assert not torch.allclose(fused[0], fused[1])
    assert not torch.allclose(fused[1], fused[2])


def content_of(captured: Captured) -> Tensor:
    """The class token's weights on patches, by role."""
    return captured.parts["weights"][0][0, :, 0, captured.roles_BL[0] == Role.CONTENT]


def test_patches_are_found_by_role_not_by_place() -> None:
    """Defect 6: `[1:]` and int(sqrt(L - 1)) with registers, distillation tokens or a grid that is no square."""
    case = registers_case()
    captured = capture(case.subject, case.tokens, ["weights"], layers=[0])
    grid = case.tokens.grid
    assert grid == (3, 4)
    assert content_of(captured).shape[-1] == 12
    copied = captured.parts["weights"][0][0, :, 0, 1:]
    assert copied.shape[-1] == 15
    with pytest.raises(RuntimeError):
        copied.reshape(3, *[int(math.sqrt(copied.shape[-1]))] * 2)
    found = attention_distance(captured.parts["weights"][0], case.tokens.roles_BL, grid)
    assert found.shape == (2, 3)
