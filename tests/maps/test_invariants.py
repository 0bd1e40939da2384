"""Maps: identities that hold exactly, in float64: on a ViT, a ViT with registers and distillation token, and a BERT.

Numbers are those of the table in docs/explain.md; the others are in tests/probe, tests/maps and tests/study.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.probe.subjects import Case, bert_linear_case, registers_case, texts, vit_case
from torch import nn

from classtoken.maps.faithfulness import area_under, curves, random_scores
from classtoken.maps.integrated import integrated, masked_text, mean_image
from classtoken.maps.relevance import attention, chefer, chefer_matrix, gradient_input
from classtoken.maps.rollout import roll, rollout, routes, with_residual
from classtoken.probe.accounting import attribute_logit
from classtoken.probe.traced import trace
from classtoken.results.explain import CurveDefinition
from classtoken.tensors import States, Tokens
from classtoken.values import Role

EXACT = 1e-12


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference over the largest value."""
    return float((a - b).abs().max() / b.abs().max())


def targets(case: Case) -> torch.Tensor:
    return torch.tensor([1, 3])


def test_10_rollout(case: Case) -> None:
    R = roll(trace(case.subject, case.tokens))
    assert (R.sum(-1) - 1).abs().max() < EXACT
    matrices = [w.mean(1) for w in trace(case.subject, case.tokens, ["weights"]).parts["weights"]]
    assert far(rollout(matrices), R) < EXACT
    L = R.shape[-1]
    eye = torch.eye(L, dtype=torch.float64)[None]
    assert torch.equal(rollout([eye] * 4), eye)
    uniform = torch.full((1, L, L), 1 / L, dtype=torch.float64)
    rest = 1 - 0.5**4
    assert far(rollout([uniform] * 4), 0.5**4 * eye + rest * uniform) < EXACT


def test_10_rollout_is_the_sum_over_paths(case: Case) -> None:
    matrices = [w.mean(1)[0, :5, :5] for w in trace(case.subject, case.tokens, ["weights"]).parts["weights"]][:3]
    matrices = [m / m.sum(-1, keepdim=True) for m in matrices]
    mixed = [with_residual(m) for m in matrices]
    by_paths = torch.zeros(5, 5, dtype=torch.float64)
    for path in itertools.product(range(5), repeat=4):
        share = mixed[2][path[0], path[1]] * mixed[1][path[1], path[2]] * mixed[0][path[2], path[3]]
        by_paths[path[0], path[3]] += share
    assert far(rollout([m[None] for m in matrices])[0], by_paths) < EXACT


def test_10_routes_are_a_partition_of_the_rollout(case: Case) -> None:
    start = case.places[:, 0]
    found = routes(trace(case.subject, case.tokens), start)
    R = roll(trace(case.subject, case.tokens))
    assert far(found.row(), R[torch.arange(2), start]) < EXACT
    for row in range(2):
        via, source, share = found.largest(row, 1)[0]
        assert via not in (source, int(start[row]))
        assert source != int(start[row])
        assert 0 < share < 1


def test_14_chefer(case: Case) -> None:
    found = trace(case.subject, case.tokens, gradients=True).gradients(targets(case))
    R = chefer_matrix(found)
    eye = torch.eye(R.shape[-1], dtype=torch.float64)
    assert (eye <= R).all()
    none = replace(found, gradients=tuple(torch.zeros_like(g) for g in found.gradients))
    assert torch.equal(chefer_matrix(none), eye.expand_as(R))
    assert (chefer(trace(case.subject, case.tokens, gradients=True), targets(case)) > 0).any()


def test_15_integrated_gradients_are_complete(case: Case) -> None:
    baseline = mean_image(case.tokens) if case.tokens.pixels is not None else masked_text(case.tokens, 4)
    found = integrated(trace(case.subject, case.tokens, gradients=True), targets(case), baseline)
    assert (found.error_B < 0.01).all()
    with torch.no_grad():
        rows = torch.arange(2)
        x, b = (case.subject(t)[rows, targets(case)] for t in (case.tokens, baseline))
    assert far(found.difference_B, x - b) < EXACT
    # Where nothing differs between input and baseline (special tokens), nothing is relevant.
    same = ~torch.isin(case.tokens.roles_BL, torch.tensor([int(Role.CONTENT)]))
    assert (found.relevance_BL[same] == 0).all()


@pytest.mark.parametrize("make", [vit_case, registers_case, bert_linear_case])
def test_16_gradient_times_input_leaves_out_the_biases(make: Callable[[], Case]) -> None:
    """sum(x * gradient) is the logit only without biases; through frozen norms, tokens + biases are it exactly."""
    case = make()
    split = attribute_logit(trace(case.subject, case.tokens), case.places, targets(case))
    with torch.no_grad():
        logit = case.subject(case.tokens)[torch.arange(2), targets(case)]
    assert far(split.total(), logit) < EXACT
    assert not torch.allclose(split.total() - split.biases_B, logit)
    assert not torch.allclose(
        gradient_input(trace(case.subject, case.tokens, gradients=True), targets(case)).sum(1), logit
    )


def test_17_insertion_is_deletion_of_the_reversed_order(case: Case) -> None:
    one = Tokens(
        case.tokens.roles_BL[:1],
        None if case.tokens.ids_BL is None else case.tokens.ids_BL[:1],
        None if case.tokens.pixels is None else case.tokens.pixels[:1],
        case.tokens.grid,
    )
    scores = random_scores(one, seed=4).double()
    n = int((one.roles_BL == Role.CONTENT).sum())
    definition = CurveDefinition(points=n + 1)
    traced = trace(case.subject, one)
    deletion = curves(traced, 2, {"map": -scores}, "deletion", definition)["map"]
    insertion = curves(traced, 2, {"map": scores}, "insertion", definition)["map"]
    assert insertion.area == pytest.approx(deletion.area, abs=1e-12)
    assert np.allclose(insertion.values, deletion.values[::-1], atol=1e-12)


def test_17_the_best_order_of_an_additive_toy_is_descending() -> None:
    parts = np.array([0.5, -0.2, 0.1, 0.9, 0.05, 0.3])
    areas = {}
    for order in itertools.permutations(range(6)):
        values = np.array([parts.sum() - parts[list(order[:k])].sum() for k in range(7)])
        areas[order] = area_under(np.linspace(0, 1, 7), values)
    best = min(areas, key=lambda order: areas[order])
    assert best == tuple(np.argsort(-parts))
    assert np.mean(list(areas.values())) == pytest.approx(parts.sum() / 2, abs=1e-12)


def test_17_curves_of_an_additive_model_fall_fastest_in_descending_order() -> None:
    """Blocks that add nothing and a sum over tokens: every one of 6! orders through the model itself."""
    case = bert_linear_case()
    with torch.no_grad():
        for i in range(case.encoder.depth):
            for linear in (case.encoder.block(i).attention.output, case.encoder.block(i).feedforward.down):
                linear.weight.zero_()
    head = case.subject.head
    assert head is not None

    def added(states: States) -> torch.Tensor:
        content = (states.roles_BL == Role.CONTENT).to(states.last_BLD.dtype)
        return torch.einsum("bl,blc->bc", content, head(states.last_BLD))

    both = frozenset({Role.CLASS, Role.CONTENT})  # so that every word may go
    subject = replace(case.subject, readout=added, head=nn.Identity(), terms=(both,), linear=None)
    one = texts((8,), seed=3)
    places = (one.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]
    with torch.no_grad():
        parts = head(subject.states(one).last_BLD)[0, places, 2].numpy()
    scores = {}
    for order in itertools.permutations(range(6)):
        scores[str(order)] = torch.zeros(8, dtype=torch.float64)
        scores[str(order)][places[list(order)]] = torch.arange(6, 0, -1, dtype=torch.float64)
    found = curves(trace(subject, one), 2, scores, "deletion", CurveDefinition(points=7, scale="outcome"))
    areas = {name: curve.area for name, curve in found.items()}
    best = min(areas, key=areas.__getitem__)
    assert best == str(tuple(int(i) for i in np.argsort(-parts)))
    assert np.mean(list(areas.values())) == pytest.approx(parts.sum() / 2, abs=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["shuffled", "fresh"])
def test_20_maps_change_with_the_weights(case: Case, how: str) -> None:
    other = case.subject.randomised(seed=1, how=how)
    for method in (
        lambda s: attention(trace(s, case.tokens)),
        lambda s: roll(trace(s, case.tokens))[:, 0],
        lambda s: chefer(trace(s, case.tokens, gradients=True), targets(case)),
        lambda s: gradient_input(trace(s, case.tokens, gradients=True), targets(case)),
    ):
        assert far(method(other), method(case.subject)) > 1e-3
    assert torch.equal(attention(trace(case.subject, case.tokens)), attention(trace(case.subject, case.tokens)))
