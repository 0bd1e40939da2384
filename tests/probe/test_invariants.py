"""Identities that hold exactly, in float64: on a ViT, a ViT with registers and distillation token, and a BERT.

Numbers are those of the table in docs/explain.md; the others are in tests/probe, tests/maps and tests/study.
"""

import pytest
import torch
from tests.probe.subjects import CLASSES, Case, bert_linear_case, kept_values, removing

from classtoken.errors import TraceError
from classtoken.maps.faithfulness import random_scores
from classtoken.maps.relevance import attention, chefer, gradient_attention
from classtoken.maps.rollout import roll
from classtoken.probe.accounting import attribute_logit, ledger, token_contributions
from classtoken.probe.capture import Chain, Keep, Leaf, take
from classtoken.probe.interventions import CutEdges, Mode, PatchStates, before_layer, cut_tokens
from classtoken.probe.lens import lens
from classtoken.probe.traced import repeat, trace
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
    for weights in kept_values(case.subject, case.tokens, [f"blocks.{i}.weights" for i in range(4)], cut).values():
        assert (weights.sum(-1) - 1).abs().max() < EXACT
        assert (weights[:, :, 0, 4] == 0).all()
    padded = Tokens(case.tokens.roles_BL.clone(), case.tokens.ids_BL, case.tokens.pixels, case.tokens.grid)
    padded.roles_BL[0, -2:] = int(Role.PAD)
    for weights in trace(case.subject, padded, ["weights"]).parts["weights"]:
        seen = weights[0, :, :-2]
        assert (seen[..., -2:] == 0).all()
        assert (seen.sum(-1) - 1).abs().max() < EXACT


def test_2_capture_changes_nothing(case: Case) -> None:
    """The written-out attention gives the fused kernel's outcomes."""
    parts = ["scores", "weights", "values", "heads", "attention", "feedforward", "states", "embeddings"]
    with torch.no_grad():
        fused = case.subject(case.tokens)
    assert far(trace(case.subject, case.tokens, parts).outcome_BC, fused) < EXACT


def test_3_and_4_the_ledger_balances(case: Case) -> None:
    """State = embedding + what every head took from every token + feed-forward + biases, pre-norm and post-norm."""
    account = ledger(trace(case.subject, case.tokens), case.places)
    assert account.error() < EXACT
    names = [f"blocks.{i}.{part}" for i in range(4) for part in ("weights", "values", "attention", "heads")]
    kept = kept_values(case.subject, case.tokens, names)
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
        seen = lens(trace(case.subject, case.tokens))
        last = kept_values(case.subject, case.tokens, [before_layer(4, 4)])[before_layer(4, 4)]
        as_final = States(case.encoder.final_norm(last), case.tokens.roles_BL)
    assert far(seen[:, -1], outcome) < EXACT
    assert far(case.subject.outcome(as_final).detach(), outcome) < EXACT
    if case.subject.linear is None:
        with pytest.raises(TraceError, match="not linear"):
            attribute_logit(trace(case.subject, case.tokens), case.places, targets(case))
        return
    split = attribute_logit(trace(case.subject, case.tokens), case.places, targets(case))
    assert far(split.total(), outcome.gather(1, targets(case)[:, None])[:, 0]) < EXACT


def test_5_the_logit_splits_through_frozen_norms_of_a_bert() -> None:
    case = bert_linear_case()
    split = attribute_logit(trace(case.subject, case.tokens), case.places, torch.tensor([1, 3]))
    with torch.no_grad():
        outcome = case.subject(case.tokens).gather(1, torch.tensor([[1], [3]]))[:, 0]
    assert far(split.total(), outcome) < EXACT
    assert far(split.logit_B, outcome) < EXACT


@pytest.mark.parametrize("layer", range(5))
def test_6_patching_nothing_is_nothing_and_patching_all_is_the_donor(case: Case, layer: int) -> None:
    name = before_layer(layer, 4)
    with torch.no_grad():
        clean, donor = case.subject(case.tokens), case.subject(case.others)
        own = kept_values(case.subject, case.tokens, [name])[name]
        theirs = kept_values(case.subject, case.others, [name])[name]
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
    removed = removing(case.subject, case.tokens, gone)
    with torch.no_grad():
        hidden = case.subject(case.tokens, cut_tokens(gone, "renormalise"))
    assert far(hidden, removed) < EXACT
    absent = torch.cat([_shortened(case, row, ~gone[row]) for row in range(2)])
    assert far(removed, absent) < EXACT
    assert not torch.allclose(removed, case.subject(case.tokens).detach())


def _shortened(case: Case, row: int, kept: torch.Tensor) -> torch.Tensor:
    """The outcome of a sequence that holds only the kept tokens, their positions being what they were."""
    encoder, tokens = case.encoder, case.tokens
    states = kept_values(case.subject, tokens, ["embeddings"])["embeddings"][row : row + 1, kept]
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
    states = kept_values(case.subject, case.tokens, ["embeddings"])["embeddings"]
    mixed = states.clone()
    mixed[:, content] = states[:, content[torch.randperm(len(content))]]
    with torch.no_grad():
        outcome = case.subject(case.tokens, PatchStates(name="embeddings", value_BLD=mixed))
        assert far(outcome, case.subject(case.tokens)) < EXACT


def slopes(case: Case, targets_B: torch.Tensor, layer: int) -> torch.Tensor:
    """The outcome's gradient with respect to the states after a block."""
    leaf = Leaf(f"blocks.{layer}.states")
    with torch.enable_grad():
        picked = case.subject(case.tokens, leaf).gather(1, targets_B[:, None]).sum()
        assert leaf.value is not None
        return torch.autograd.grad(picked, leaf.value)[0]


def test_9_the_last_blocks_patches_are_read_by_nobody(case: Case) -> None:
    gradient = slopes(case, targets(case), 3)
    read = case.tokens.roles_BL == Role.CLASS
    assert (gradient[~read] == 0).all()
    assert (gradient[read] != 0).any()
    assert (slopes(case, targets(case), 2)[~read] != 0).any()


def test_13_weight_times_gradient_is_a_slope(case: Case) -> None:
    """-A dA is the slope of fading an edge out; taking it away whole is something else."""
    found = trace(case.subject, case.tokens, gradients=True).gradients(targets(case))
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
    assert abs(float(-(found.weights[layer] * found.gradients[layer])[0, head, query, key]) - slope) < 1e-11
    assert abs((faded(1.0) - faded(0.0)) - slope) > 1e-7


class _Function:
    """A trace out of a function."""

    def __init__(self, change: object, name: str):
        self.change, self.name = change, name

    def wants(self, name: str) -> bool:
        return name == self.name

    def __call__(self, name: str, value: torch.Tensor) -> torch.Tensor:
        return self.change(name, value)  # type: ignore[operator]


def test_19_everything_is_as_before(case: Case) -> None:
    """Hooks, random state, gradients, train and eval flags."""
    encoder = case.encoder
    encoder.train()
    encoder.block(1).eval()
    encoder.block(2).dropout.p = 0.5
    flags = {name: module.training for name, module in encoder.named_modules()}
    state, grad = torch.random.get_rng_state(), torch.is_grad_enabled()
    first = attention(trace(case.subject, case.tokens))
    gradient_attention(trace(case.subject, case.tokens, gradients=True), targets(case))
    chefer(trace(case.subject, case.tokens, gradients=True), targets(case))
    roll(trace(case.subject, case.tokens))
    random_scores(case.tokens)
    with pytest.raises(RuntimeError, match="broken"):
        case.subject(case.tokens, _Function(_broken, "blocks.2.states"))
    assert torch.equal(attention(trace(case.subject, case.tokens)), first)  # no dropout while it is explained
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.is_grad_enabled() == grad
    assert {name: module.training for name, module in encoder.named_modules()} == flags
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in encoder.modules())
    assert all(not module._backward_hooks for module in encoder.modules())


def _broken(name: str, value: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("broken on purpose")


def test_traces_in_a_chain_come_in_order(case: Case) -> None:
    cut = cut_tokens(case.tokens.roles_BL == Role.CONTENT, Mode.ZERO, layers=[1])
    name = "blocks.1.weights"
    before, after = (kept_values(case.subject, case.tokens, [name], edit)[name] for edit in (None, cut))
    assert not torch.equal(before, after)
    keep = Keep({name: lambda value: value})
    with torch.no_grad():
        case.subject(case.tokens, Chain(keep, cut))  # what is kept first has not been changed yet
    assert torch.equal(keep.kept[name], before)
    assert case.subject(case.tokens).shape[1] == CLASSES


def test_a_trace_with_gradients_is_the_same_forward(case: Case) -> None:
    plain, graph = trace(case.subject, case.tokens), trace(case.subject, case.tokens, gradients=True)
    assert torch.equal(plain.outcome_BC, graph.outcome_BC)
    for part, kept in plain.parts.items():
        assert all(torch.equal(a, b) for a, b in zip(kept, graph.parts[part], strict=True))
        assert not any(value.requires_grad for value in graph.parts[part])
    found = graph.gradients(targets(case))
    assert found is graph.gradients(targets(case))
    with pytest.raises(TraceError, match="without gradients"):
        plain.gradients(targets(case))


@pytest.mark.parametrize("layer", range(5))
def test_running_on_is_running_whole(case: Case, layer: int) -> None:
    """A change in a layer, run on from the states that enter it, and from the beginning."""
    one = repeat(case.tokens, 0, 1)
    traced = trace(case.subject, one)
    with torch.no_grad():
        same = traced.with_states(traced.entering(layer), layer)
        assert far(same, traced.outcome_BC) < EXACT
        if layer < 4:
            cut = cut_tokens(one.roles_BL == Role.CONTENT, Mode.ZERO, layers=[layer])
            assert far(traced.after(cut, rows=3, first=layer), case.subject(one, cut).expand(3, -1)) < EXACT
