"""Identities that hold exactly, in float64: on a ViT, a ViT with registers and distillation token, and a BERT.

Numbers are those of the table in docs/explain.md; 11 and 12 (flow) are in test_flow.py.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.analysis.subjects import CLASSES, Case, bert_linear_case, registers_case, texts, vit_case
from torch import nn

from classtoken.errors import TraceError
from classtoken.maps.faithfulness import CurveDefinition, area_under, curves, opposite, random_scores
from classtoken.maps.integrated import integrated, masked_text, mean_image
from classtoken.maps.relevance import (
    attention,
    attention_gradients,
    chefer,
    chefer_matrix,
    edge_scores,
    gradient_attention,
    gradient_input,
    state_gradients,
)
from classtoken.maps.rollout import Roller, roll, rollout, routes, with_residual
from classtoken.probe import capture as capturing
from classtoken.probe.accounting import attribute_logit, ledger, token_contributions
from classtoken.probe.capture import Chain, capture, take
from classtoken.probe.interventions import (
    CutEdges,
    Mode,
    PatchStates,
    before_layer,
    cut_tokens,
    record,
)
from classtoken.probe.lens import lens
from classtoken.probe.removal import remove
from classtoken.study.description import effective_tokens, entropy, relative_entropy
from classtoken.tensors import States, Tokens
from classtoken.values import Role

EXACT = 1e-12


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference over the largest value."""
    return float((a - b).abs().max() / b.abs().max())


def targets(case: Case) -> torch.Tensor:
    return torch.tensor([1, 3])


def test_1_rows_sum_to_one_and_hidden_entries_are_zero(case: Case) -> None:
    edges = torch.zeros(1, *[case.tokens.roles_BL.shape[1]] * 2, dtype=torch.bool)
    edges[0, 0, 4] = True
    cut = CutEdges(Mode.RENORMALISE, None, None, edges_BLL=edges)
    for weights in capture(case.subject, case.tokens, ["weights"], edits=cut).parts["weights"]:
        assert (weights.sum(-1) - 1).abs().max() < EXACT
        assert (weights[:, :, 0, 4] == 0).all()
    padded = Tokens(case.tokens.roles_BL.clone(), case.tokens.ids_BL, case.tokens.pixels, case.tokens.grid)
    padded.roles_BL[0, -2:] = int(Role.PAD)
    for weights in capture(case.subject, padded, ["weights"]).parts["weights"]:
        seen = weights[0, :, :-2]
        assert (seen[..., -2:] == 0).all()
        assert (seen.sum(-1) - 1).abs().max() < EXACT


def test_2_capture_changes_nothing(case: Case) -> None:
    """The written-out attention gives the fused kernel's outcomes."""
    parts = ["scores", "weights", "values", "heads", "attention", "feedforward", "states", "embeddings"]
    with torch.no_grad():
        fused = case.subject(case.tokens)
    assert far(capture(case.subject, case.tokens, parts).outcome_BC, fused) < EXACT


def test_3_and_4_the_ledger_balances(case: Case) -> None:
    """State = embedding + what every head took from every token + feed-forward + biases, pre-norm and post-norm."""
    account = ledger(case.subject, case.tokens, case.places)
    assert account.error() < EXACT
    names = [f"blocks.{i}.{part}" for i in range(4) for part in ("weights", "values", "attention", "heads")]
    kept = record(case.subject, case.tokens, names)
    with torch.no_grad():
        for layer in range(4):
            weights = take(kept[f"blocks.{layer}.weights"], case.places, dim=2)
            parts = token_contributions(case.encoder, layer, weights, kept[f"blocks.{layer}.values"])
            block = case.encoder.block(layer)
            bias = block.attention.output.bias
            bias = bias if block.attention_scale is None else bias * block.attention_scale.weight
            attended = take(kept[f"blocks.{layer}.attention"], case.places, dim=1)[:, 0]
            assert far(parts[:, :, 0].sum((1, 2)) + bias, attended) < EXACT
            per_head = take(kept[f"blocks.{layer}.heads"], case.places, dim=2)[:, :, 0]
            assert far(parts[:, :, 0].sum(2), per_head) < EXACT


def test_5_the_lens_ends_at_the_outcome_and_the_logit_splits(case: Case) -> None:
    with torch.no_grad():
        outcome = case.subject(case.tokens)
        seen = lens(case.subject, case.tokens)
        last = record(case.subject, case.tokens, [before_layer(4, 4)])[before_layer(4, 4)]
        as_final = States(case.encoder.final_norm(last), case.tokens.roles_BL)
    assert far(seen.outcome_BNC[:, -1], outcome) < EXACT
    assert far(case.subject.outcome(as_final).detach(), outcome) < EXACT
    if case.subject.linear is None:
        with pytest.raises(TraceError, match="not linear"):
            attribute_logit(case.subject, case.tokens, case.places, targets(case))
        return
    split = attribute_logit(case.subject, case.tokens, case.places, targets(case))
    assert far(split.total(), outcome.gather(1, targets(case)[:, None])[:, 0]) < EXACT


def test_5_the_logit_splits_through_frozen_norms_of_a_bert() -> None:
    case = bert_linear_case()
    split = attribute_logit(case.subject, case.tokens, case.places, torch.tensor([1, 3]))
    with torch.no_grad():
        outcome = case.subject(case.tokens).gather(1, torch.tensor([[1], [3]]))[:, 0]
    assert far(split.total(), outcome) < EXACT
    assert far(split.logit_B, outcome) < EXACT


@pytest.mark.parametrize("layer", range(5))
def test_6_patching_nothing_is_nothing_and_patching_all_is_the_donor(case: Case, layer: int) -> None:
    name = before_layer(layer, 4)
    with torch.no_grad():
        clean, donor = case.subject(case.tokens), case.subject(case.others)
        own = record(case.subject, case.tokens, [name])[name]
        theirs = record(case.subject, case.others, [name])[name]
        assert torch.equal(case.subject(case.tokens, PatchStates(name=name, value_BLD=own)), clean)
        assert torch.equal(case.subject(case.tokens, PatchStates(name=name, value_BLD=theirs)), donor)
        places = case.tokens.roles_BL == Role.CLASS
        swapped = case.subject(case.tokens, PatchStates(name=name, value_BLD=theirs, places_BL=places))
    if layer == 0:
        assert torch.equal(swapped, clean)  # the class token before layer 0 is the same for every input
    elif layer == 4:
        assert torch.equal(swapped, donor)  # and after the last it is all that is read
    else:
        assert not torch.allclose(swapped, clean)
        assert not torch.allclose(swapped, donor)


def test_7_removal_is_a_shorter_sequence(case: Case) -> None:
    """Removed, hidden from all queries in all layers, and truly absent: one outcome."""
    gone = torch.zeros_like(case.tokens.roles_BL, dtype=torch.bool)
    content = (case.tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]
    gone[0, content[[0, 3]]] = True
    gone[1, content[[2, 4]]] = True
    removed = remove(case.subject, case.tokens, gone)
    with torch.no_grad():
        hidden = case.subject(case.tokens, cut_tokens(gone, "renormalise"))
    assert far(hidden, removed) < EXACT
    absent = torch.cat([_shortened(case, row, ~gone[row]) for row in range(2)])
    assert far(removed, absent) < EXACT
    assert not torch.allclose(removed, case.subject(case.tokens).detach())


def _shortened(case: Case, row: int, kept: torch.Tensor) -> torch.Tensor:
    """The outcome of a sequence that holds only the kept tokens, their positions being what they were."""
    encoder, tokens = case.encoder, case.tokens
    states = record(case.subject, tokens, ["embeddings"])["embeddings"][row : row + 1, kept]
    roles = tokens.roles_BL[row : row + 1, kept]
    from classtoken.encoder.attention import View
    from classtoken.encoder.groups import padded_group

    view = View(padded_group(roles), None, None, None)
    with torch.no_grad():
        for i in range(encoder.depth):
            states = encoder.block(i)(states, [view])
        return case.subject.outcome(States(encoder.final_norm(states), roles))


def test_8_the_order_of_patches_is_in_their_positions_alone(case: Case) -> None:
    content = (case.tokens.roles_BL[0] == Role.CONTENT).nonzero()[:, 0]
    states = record(case.subject, case.tokens, ["embeddings"])["embeddings"]
    mixed = states.clone()
    mixed[:, content] = states[:, content[torch.randperm(len(content))]]
    with torch.no_grad():
        outcome = case.subject(case.tokens, PatchStates(name="embeddings", value_BLD=mixed))
        assert far(outcome, case.subject(case.tokens)) < EXACT


def test_9_the_last_blocks_patches_are_read_by_nobody(case: Case) -> None:
    gradient = state_gradients(case.subject, case.tokens, targets(case), -1)
    read = case.tokens.roles_BL == Role.CLASS
    assert (gradient[~read] == 0).all()
    assert (gradient[read] != 0).any()
    assert (state_gradients(case.subject, case.tokens, targets(case), -2)[~read] != 0).any()


def test_10_rollout(case: Case) -> None:
    R = roll(case.subject, case.tokens)
    assert (R.sum(-1) - 1).abs().max() < EXACT
    matrices = [w.mean(1) for w in capture(case.subject, case.tokens, ["weights"]).parts["weights"]]
    assert far(rollout(matrices), R) < EXACT
    L = R.shape[-1]
    eye = torch.eye(L, dtype=torch.float64)[None]
    assert torch.equal(rollout([eye] * 4), eye)
    uniform = torch.full((1, L, L), 1 / L, dtype=torch.float64)
    rest = 1 - 0.5**4
    assert far(rollout([uniform] * 4), 0.5**4 * eye + rest * uniform) < EXACT


def test_10_rollout_is_the_sum_over_paths(case: Case) -> None:
    matrices = [w.mean(1)[0, :5, :5] for w in capture(case.subject, case.tokens, ["weights"]).parts["weights"]][:3]
    matrices = [m / m.sum(-1, keepdim=True) for m in matrices]
    mixed = [with_residual(m) for m in matrices]
    by_paths = torch.zeros(5, 5, dtype=torch.float64)
    for path in itertools.product(range(5), repeat=4):
        share = mixed[2][path[0], path[1]] * mixed[1][path[1], path[2]] * mixed[0][path[2], path[3]]
        by_paths[path[0], path[3]] += share
    assert far(rollout([m[None] for m in matrices])[0], by_paths) < EXACT


def test_10_routes_are_a_partition_of_the_rollout(case: Case) -> None:
    start = case.places[:, 0]
    found = routes(case.subject, case.tokens, start)
    R = roll(case.subject, case.tokens)
    assert far(found.row(), R[torch.arange(2), start]) < EXACT
    for row in range(2):
        via, source, share = found.largest(row, 1)[0]
        assert via not in (source, int(start[row]))
        assert source != int(start[row])
        assert 0 < share < 1


def test_13_edge_scores_are_slopes(case: Case) -> None:
    """-A dA is the slope of fading an edge out; taking it away whole is something else."""
    found = attention_gradients(case.subject, case.tokens, targets(case))
    layer, head, query, key = 2, 1, 0, 4

    def faded(t: float) -> float:
        def change(name: str, value: torch.Tensor) -> torch.Tensor:
            if name != f"blocks.{layer}.weights":
                return value
            value = value.clone()
            value[0, head, query, key] *= 1 - t
            return value

        edit = _Function(change, f"blocks.{layer}.weights")
        with torch.no_grad():
            return float(case.subject(case.tokens, edit)[0, 1])

    # A central difference of order four: its own error is far below that of float64 at this step.
    h = 1e-3
    slope = (8 * (faded(h) - faded(-h)) - (faded(2 * h) - faded(-2 * h))) / (12 * h)
    assert abs(float(edge_scores(found)[layer][0, head, query, key]) - slope) < 1e-11
    assert abs((faded(1.0) - faded(0.0)) - slope) > 1e-7


class _Function:
    """A trace out of a function."""

    def __init__(self, change: object, name: str):
        self.change, self.name = change, name

    def wants(self, name: str) -> bool:
        return name == self.name

    def __call__(self, name: str, value: torch.Tensor) -> torch.Tensor:
        return self.change(name, value)  # type: ignore[operator]


def test_14_chefer(case: Case) -> None:
    found = attention_gradients(case.subject, case.tokens, targets(case))
    R = chefer_matrix(found)
    eye = torch.eye(R.shape[-1], dtype=torch.float64)
    assert (eye <= R).all()
    none = replace(found, gradients=tuple(torch.zeros_like(g) for g in found.gradients))
    assert torch.equal(chefer_matrix(none), eye.expand_as(R))
    assert (chefer(case.subject, case.tokens, targets(case)) > 0).any()


def test_15_integrated_gradients_are_complete(case: Case) -> None:
    baseline = mean_image(case.tokens) if case.tokens.pixels is not None else masked_text(case.tokens, 4)
    found = integrated(case.subject, case.tokens, targets(case), baseline)
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
    split = attribute_logit(case.subject, case.tokens, case.places, targets(case))
    with torch.no_grad():
        logit = case.subject(case.tokens)[torch.arange(2), targets(case)]
    assert far(split.total(), logit) < EXACT
    assert not torch.allclose(split.total() - split.biases_B, logit)
    assert not torch.allclose(gradient_input(case.subject, case.tokens, targets(case)).sum(1), logit)


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
    deletion = curves(case.subject, one, 2, {"map": -scores}, definition)["map"]
    insertion = curves(case.subject, one, 2, {"map": scores}, opposite(definition))["map"]
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
    found = curves(subject, one, 2, scores, CurveDefinition(points=7, scale="outcome"))
    areas = {name: curve.area for name, curve in found.items()}
    best = min(areas, key=areas.__getitem__)
    assert best == str(tuple(int(i) for i in np.argsort(-parts)))
    assert np.mean(list(areas.values())) == pytest.approx(parts.sum() / 2, abs=1e-10)


def test_18_entropy_is_bounded(case: Case) -> None:
    L = case.tokens.roles_BL.shape[1]
    for weights in capture(case.subject, case.tokens, ["weights"]).parts["weights"]:
        values = entropy(weights)
        assert (values >= 0).all()
        assert (values <= math.log(L) + EXACT).all()
        assert (relative_entropy(weights, case.tokens.mask_BL) <= 1 + EXACT).all()
        assert (effective_tokens(weights) >= 1 - EXACT).all()
    uniform = torch.full((1, 1, 1, L), 1 / L, dtype=torch.float64)
    assert float(entropy(uniform)) == pytest.approx(math.log(L), abs=EXACT)
    assert float(effective_tokens(uniform)) == pytest.approx(L, abs=1e-9)
    one = torch.zeros(1, 1, 1, L, dtype=torch.float64)
    one[..., 3] = 1
    assert float(entropy(one)) == 0.0


def test_19_everything_is_as_before(case: Case) -> None:
    """Hooks, random state, gradients, train and eval flags."""
    encoder = case.encoder
    encoder.train()
    encoder.block(1).eval()
    encoder.block(2).dropout.p = 0.5
    flags = {name: module.training for name, module in encoder.named_modules()}
    state, grad = torch.random.get_rng_state(), torch.is_grad_enabled()
    first = attention(case.subject, case.tokens)
    gradient_attention(case.subject, case.tokens, targets(case))
    chefer(case.subject, case.tokens, targets(case))
    roll(case.subject, case.tokens)
    random_scores(case.tokens)
    with pytest.raises(RuntimeError, match="broken"):
        case.subject(case.tokens, _Function(_broken, "blocks.2.states"))
    assert torch.equal(attention(case.subject, case.tokens), first)  # no dropout while it is explained
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.is_grad_enabled() == grad
    assert {name: module.training for name, module in encoder.named_modules()} == flags
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in encoder.modules())
    assert all(not module._backward_hooks for module in encoder.modules())


def _broken(name: str, value: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("how", ["shuffled", "fresh"])
def test_20_maps_change_with_the_weights(case: Case, how: str) -> None:
    other = case.subject.randomised(seed=1, how=how)
    for method in (
        lambda s: attention(s, case.tokens),
        lambda s: roll(s, case.tokens)[:, 0],
        lambda s: chefer(s, case.tokens, targets(case)),
        lambda s: gradient_input(s, case.tokens, targets(case)),
    ):
        assert far(method(other), method(case.subject)) > 1e-3
    assert torch.equal(attention(case.subject, case.tokens), attention(case.subject, case.tokens))


def test_traces_in_a_chain_come_in_order(case: Case) -> None:
    roller = Roller()
    cut = cut_tokens(case.tokens.roles_BL == Role.CONTENT, Mode.ZERO, layers=[1])
    with torch.no_grad():
        case.subject(case.tokens, Chain(cut, roller))
    assert roller.matrix_BLL is not None
    assert far(roller.matrix_BLL, roll(case.subject, case.tokens)) > 1e-3
    assert capturing.wanted_layers([-1, 0], 4) == (0, 3)
    assert case.subject(case.tokens).shape[1] == CLASSES
