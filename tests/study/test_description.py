"""Descriptions, artefacts, interventions and maps on inputs whose answer is known in advance."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.probe.subjects import Case, images, kept_values, registers_case, removing, texts, vit, vit_case

from classtoken.errors import OptionError, TraceError
from classtoken.maps.faithfulness import curves, edge_scores, rank_correlation, saco_coefficient
from classtoken.maps.integrated import IntegratedGradients, integrated
from classtoken.maps.occlusion import occlusion
from classtoken.maps.truth import overlap, patch_shares
from classtoken.probe.capture import row_places
from classtoken.probe.interventions import (
    CutHeads,
    Mode,
    as_mode,
    cut_heads,
    cut_layers,
    cut_tokens,
    hide_later,
)
from classtoken.probe.subject import check_tokens
from classtoken.probe.traced import repeat, trace
from classtoken.results.explain import CurveDefinition
from classtoken.study.artefacts import outliers, sinks
from classtoken.study.description import (
    attention_distance,
    class_distance,
    effective_tokens,
    entropy,
    head_agreement,
    mass_by_role,
    patch_distances,
    relative_entropy,
    self_mass,
)
from classtoken.study.unseen import coverage, unseen
from classtoken.tensors import States, Tokens
from classtoken.values import Role


def test_18_entropy_is_bounded(case: Case) -> None:
    L = case.tokens.roles_BL.shape[1]
    for weights in trace(case.subject, case.tokens, ["weights"]).parts["weights"]:
        values = entropy(weights)
        assert (values >= 0).all()
        assert (values <= math.log(L) + 1e-12).all()
        assert (relative_entropy(weights, case.tokens.mask_BL) <= 1 + 1e-12).all()
        assert (effective_tokens(weights) >= 1 - 1e-12).all()
    uniform = torch.full((1, 1, 1, L), 1 / L, dtype=torch.float64)
    assert float(entropy(uniform)) == pytest.approx(math.log(L), abs=1e-12)
    assert float(effective_tokens(uniform)) == pytest.approx(L, abs=1e-9)
    one = torch.zeros(1, 1, 1, L, dtype=torch.float64)
    one[..., 3] = 1
    assert float(entropy(one)) == 0.0


def test_uniform_attention_has_the_closed_form_distance() -> None:
    tokens = images(vit(registers=2))
    L = tokens.roles_BL.shape[1]
    uniform = torch.full((2, 3, L, L), 1 / L, dtype=torch.float64)
    found = attention_distance(uniform, tokens.roles_BL, tokens.grid, 4.0)
    rows, columns = np.divmod(np.arange(12), 4)
    pairs = np.hypot(rows[:, None] - rows, columns[:, None] - columns) * 4
    assert torch.allclose(found, torch.full((2, 3), pairs.mean(), dtype=torch.float64))
    itself = torch.eye(L, dtype=torch.float64).expand(2, 3, L, L)
    assert (attention_distance(itself, tokens.roles_BL, tokens.grid) == 0).all()
    assert patch_distances((3, 4), 4.0)[0, 11] == pytest.approx(4 * math.hypot(2, 3))


def test_spread_of_the_class_token() -> None:
    tokens = images(vit())
    row = torch.zeros(2, 1, 1, 13, dtype=torch.float64)
    row[..., 5] = 0.2
    row[..., 0] = 0.8  # the class token's own weight has no place
    assert class_distance(row, tokens.roles_BL, tokens.grid).abs().max() < 1e-7
    row[..., 6] = 0.2
    assert torch.allclose(class_distance(row, tokens.roles_BL, tokens.grid), torch.tensor(0.5, dtype=torch.float64))


def test_masses_by_role_sum_to_one_and_self_is_found() -> None:
    case = registers_case()
    traced = trace(case.subject, case.tokens)
    weights = traced.rows("weights", case.places)[1]
    masses = mass_by_role(weights, case.tokens.roles_BL)
    assert set(masses) == {Role.CLASS, Role.DISTILLATION, Role.REGISTER, Role.CONTENT}
    assert torch.allclose(sum(masses.values()), torch.ones_like(weights[..., 0]))
    assert torch.equal(self_mass(weights, case.places), masses[Role.CLASS])


def test_agreement_of_heads() -> None:
    same = torch.rand(1, 1, 2, 9, dtype=torch.float64).expand(1, 3, 2, 9)
    same = same / same.sum(-1, keepdim=True)
    assert torch.allclose(head_agreement(same), torch.ones(1, 2, dtype=torch.float64))
    apart = torch.eye(3, dtype=torch.float64)[None, :, None]
    assert head_agreement(apart).abs().max() < 1e-12


def test_outliers_are_relative_to_the_model() -> None:
    tokens = images(vit())
    states = torch.ones(2, 13, 8)
    states += 0.05 * torch.randn(2, 13, 8)
    states[:, 0] *= 100  # the class token is none, however long
    states[0, 4] *= 10
    found = outliers(states, tokens.roles_BL)
    assert found.mask_BL.nonzero().tolist() == [[0, 4]]
    assert found.share_B.tolist() == pytest.approx([1 / 12, 0])
    assert float(found.ratio_B[0]) == pytest.approx(10, rel=0.1)
    assert torch.equal(outliers(states * 1000, tokens.roles_BL).mask_BL, found.mask_BL)


def test_sinks_are_empty_or_broadcast() -> None:
    tokens = images(vit())
    weights = torch.full((2, 2, 13, 13), 0.5 / 12)
    weights[:, 0, :, 3] = 0.5
    weights[:, 1, :, 7] = 0.5
    values = torch.ones(2, 2, 13, 4)
    values[:, 0, 3] = 0.01
    found = sinks(weights, values, tokens.roles_BL)
    assert found.mask_BHL.nonzero().tolist() == [[0, 0, 3], [0, 1, 7], [1, 0, 3], [1, 1, 7]]
    assert found.empty_BHL.nonzero().tolist() == [[0, 0, 3], [1, 0, 3]]


def test_the_median_of_an_even_count_lies_between_the_two_in_the_middle() -> None:
    """Against numpy: norms of four and of five words, in one batch; lengths of values."""
    norms = torch.tensor([[9.0, 1.0, 2.0, 4.0, 30.0, 9.0], [9.0, 1.0, 2.0, 4.0, 5.0, 40.0]])
    roles = torch.full((2, 6), int(Role.CONTENT))
    roles[:, 0], roles[0, 5] = int(Role.CLASS), int(Role.PAD)
    found = outliers(norms[..., None], roles)
    for row, inside in enumerate(([1.0, 2.0, 4.0, 30.0], [1.0, 2.0, 4.0, 5.0, 40.0])):
        middle = np.median(inside)
        spread = 1.4826 * np.median(np.abs(np.array(inside) - middle))
        threshold = max(middle + 6 * spread, 2 * middle)
        assert float(found.threshold_B[row]) == pytest.approx(threshold)
        assert float(found.ratio_B[row]) == pytest.approx(inside[-1] / middle)
    values = torch.tensor([1.0, 2.0, 4.0, 9.0])[None, None, :, None]
    even = torch.full((1, 1, 4, 4), 0.25)
    assert sinks(even, values, roles[:1, 1:5]).relative_value_BHL[0, 0].tolist() == pytest.approx(
        [1 / 3, 2 / 3, 4 / 3, 3]
    )


def test_modes_of_a_knock_out_differ_and_must_be_named() -> None:
    case = vit_case()
    tokens = torch.zeros_like(case.tokens.roles_BL, dtype=torch.bool)
    tokens[:, 4] = True
    donor = kept_values(case.subject, case.others, [f"blocks.{i}.weights" for i in range(4)])
    outcomes = [case.subject(case.tokens, cut_tokens(tokens, mode, donor=donor)).detach() for mode in Mode]
    for i, a in enumerate(outcomes):
        assert all(not torch.allclose(a, b) for b in outcomes[i + 1 :])
    with pytest.raises(OptionError, match="modes are renormalise, zero, mean, resample"):
        as_mode("gently")
    with pytest.raises(OptionError, match="needs a donor's value"):
        case.subject(case.tokens, cut_tokens(tokens, "mean"))
    with pytest.raises(OptionError, match="cannot be cut by 'renormalise'"):
        cut_heads([0], 1, "renormalise")
    with pytest.raises(TypeError):
        cut_layers([0])  # type: ignore[call-arg]


def test_cutting_all_heads_of_a_layer_leaves_the_bias() -> None:
    case = vit_case()
    parts = kept_values(case.subject, case.tokens, ["blocks.1.attention"], cut_heads([0, 1, 2], 1, "zero"))
    bias = case.encoder.block(1).attention.output.bias
    assert torch.allclose(parts["blocks.1.attention"], bias.expand_as(parts["blocks.1.attention"]))
    with pytest.raises(OptionError, match="no head 5"):
        case.subject(case.tokens, CutHeads(Mode.ZERO, frozenset({1}), None, heads=frozenset({5})))


def test_cutting_every_layer_leaves_the_embedding() -> None:
    case = vit_case()
    with torch.no_grad():
        cut = case.subject(case.tokens, cut_layers(range(4), "zero"))
        embedded = kept_values(case.subject, case.tokens, ["embeddings"])["embeddings"][:, 0]
        assert case.subject.head is not None
        assert torch.allclose(cut, case.subject.head(case.encoder.final_norm(embedded)))


def test_a_leading_class_token_behind_a_causal_mask_holds_nothing() -> None:
    case = vit_case()
    hidden = hide_later(case.tokens)
    with torch.no_grad():
        assert torch.equal(case.subject(case.tokens, hidden), case.subject(case.others, hidden))
        assert not torch.equal(case.subject(case.tokens), case.subject(case.others))


def test_cutting_everything_is_refused() -> None:
    case = vit_case()
    edges = torch.ones(1, 13, 13, dtype=torch.bool)
    edit = cut_tokens(torch.ones(2, 13, dtype=torch.bool), "renormalise")
    assert torch.isfinite(case.subject(case.tokens, edit)).all()  # each still reads itself
    with pytest.raises(OptionError, match="leave it at least one"):
        case.subject(case.tokens, type(edit)(Mode.RENORMALISE, None, None, edges_BLL=edges))


def test_occlusion_is_removal_one_by_one(case: Case) -> None:
    targets = torch.tensor([0, 2])
    found = occlusion(trace(case.subject, case.tokens), targets)
    content = (case.tokens.roles_BL[1] == Role.CONTENT).nonzero()[:, 0]
    gone = torch.zeros(1, case.tokens.roles_BL.shape[1], dtype=torch.bool)
    gone[0, content[3]] = True
    with torch.no_grad():
        lost = case.subject(case.tokens)[1, 2] - removing(case.subject, repeat(case.tokens, 1, 1), gone)[0, 2]
    assert float(found[1, content[3]]) == pytest.approx(float(lost), abs=1e-12)
    assert (found[case.tokens.roles_BL != Role.CONTENT] == 0).all()
    with pytest.raises(OptionError, match="class 9 does not exist: this model has classes 0 to 4"):
        occlusion(trace(case.subject, case.tokens), torch.tensor([9, 0]))


def test_the_outlines_of_a_curve() -> None:
    case = vit_case()
    one = repeat(case.tokens, 0, 1)
    definition = CurveDefinition(points=5, scale="outcome")
    found = curves(trace(case.subject, one), 1, {"same": torch.zeros(13)}, "deletion", definition)["same"]
    with torch.no_grad():
        assert found.values[0] == pytest.approx(float(case.subject(one)[0, 1]), abs=1e-12)
    assert found.fractions == (0.0, 0.25, 0.5, 0.75, 1.0)
    with pytest.raises(OptionError, match="one input at a time"):
        curves(trace(case.subject, case.tokens), 1, {"same": torch.zeros(13)}, "deletion", definition)


def test_a_curve_stands_at_the_shares_that_were_really_taken() -> None:
    """More points than tokens are one a token; where the readout reads the tokens themselves, one must stay."""

    def mean(states: States) -> torch.Tensor:
        content = (states.roles_BL == Role.CONTENT)[..., None]
        return (states.last_BLD * content).sum(1) / content.sum(1)

    case = vit_case()
    reading = replace(case.subject, readout=mean, terms=(frozenset({Role.CONTENT}),), linear=None)
    for subject, most in ((case.subject, 12), (reading, 11)):
        traced = trace(subject, repeat(case.tokens, 0, 1))
        found = curves(traced, 1, {"same": torch.zeros(13)}, "deletion", CurveDefinition(points=50))["same"]
        assert found.fractions == pytest.approx([k / 12 for k in range(most + 1)])
        assert len(found.values) == most + 1


def test_saco() -> None:
    assert saco_coefficient(np.array([3.0, 2.0, 1.0]), np.array([0.3, 0.2, 0.1])) == 1
    assert saco_coefficient(np.array([3.0, 2.0, 1.0]), np.array([0.1, 0.2, 0.3])) == -1
    assert saco_coefficient(np.ones(3), np.array([0.1, 0.2, 0.3])) == 0
    assert saco_coefficient(np.array([3.0, 2.0, 1.0]), np.full(3, 0.2)) == 0  # nothing matters
    assert saco_coefficient(np.array([3.0, 2.0, 1.0]), np.array([1e-8, 0.0, 2e-8])) == 0
    # One wrong pair of three, of gap 1 in a total of 4.
    assert saco_coefficient(np.array([3.0, 2.0, 1.0]), np.array([0.2, 0.3, 0.1])) == pytest.approx(0.5)


def test_edges_are_found_where_they_are() -> None:
    tokens = images(vit(), rows=1)
    pixels = torch.zeros(1, 3, 12, 16, dtype=torch.float64)
    pixels[..., 4:8, 9:11] = 1
    found = edge_scores(Tokens(tokens.roles_BL, pixels=pixels, grid=tokens.grid), 4)
    assert int(found[0].argmax()) == 1 + 1 * 4 + 2
    with pytest.raises(OptionError, match="needs images"):
        edge_scores(texts(), 4)


def test_integrated_gradients_from_zero_states_do_not_add_up() -> None:
    """The trap: a pre-norm model is nearly singular at the start of the path from zero."""
    case = vit_case()
    zero = torch.zeros_like(kept_values(case.subject, case.tokens, ["embeddings"])["embeddings"])
    targets = torch.tensor([1, 3])
    with pytest.raises(OptionError, match="do not add up"):
        integrated(trace(case.subject, case.tokens, gradients=True), targets, zero, limit=1e-6)


def test_integrated_gradients_go_on_while_a_token_still_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum that is complete says nothing of its parts: two tokens' errors may cancel."""
    parts = {16: [1.0, 0.0], 32: [0.6, 0.4], 64: [0.5, 0.5]}

    class Settling:
        def __init__(self, *given: object) -> None: ...

        def integral(self, steps: int) -> IntegratedGradients:
            relevance = torch.tensor([parts.get(steps, [0.5, 0.5])])
            return IntegratedGradients(relevance, torch.ones(1), torch.zeros(1), steps)

    monkeypatch.setattr("classtoken.maps.integrated._Path", Settling)
    case = vit_case()
    found = integrated(trace(case.subject, case.tokens), torch.tensor([0]), case.tokens)
    assert found.steps == 128
    assert found.relevance_BL.tolist() == [[0.5, 0.5]]


def test_masks_on_patches() -> None:
    mask = np.zeros((6, 8))
    mask[:3, :4] = 1
    assert patch_shares(mask, (2, 2)).tolist() == [1, 0, 0, 0]
    assert patch_shares(mask, (3, 4)).sum() / 12 == pytest.approx(mask.mean())
    found = overlap(np.array([0.7, 0.1, 0.1, 0.1]), patch_shares(mask, (2, 2)))
    assert (found.pointing, found.mass, found.area, found.iou) == pytest.approx((1, 0.7, 0.25, 1))
    assert found.mass_over_area == pytest.approx(2.8)
    even = overlap(np.ones(4), patch_shares(mask, (2, 2)))
    assert even.pointing == 0.25
    corner = overlap(np.ones(4), patch_shares(mask[::-1, ::-1], (2, 2)))
    assert even.iou == corner.iou == pytest.approx(0.25 / 1.75)  # a map that says nothing has no best place
    assert even.mass_over_area == pytest.approx(1)
    assert even.average_precision == pytest.approx(0.25)
    with pytest.raises(OptionError, match="nothing to hit"):
        overlap(np.ones(4), np.zeros(4))


def test_what_was_not_seen() -> None:
    roles = torch.tensor([int(Role.CLASS)] + [int(Role.CONTENT)] * 8)
    direct = torch.tensor([0.5, 0.2, 0.1, 0.08, 0.05, 0.03, 0.02, 0.015, 0.005])
    lost = torch.tensor([0.0, 0.0, 0.5, 0.01, 0.02, 0.03, 0.04, 0.05, 0.9])
    found = unseen(direct, lost, roles, outcome=2.0)
    assert found.least == (8, 7)
    assert found.attended_unused == (1,)
    assert found.unattended_used == (8,)
    assert found.mass_of_least == pytest.approx(0.02)


def test_where_it_never_looks() -> None:
    direct = torch.ones(20, 9)
    direct[:, 4] = 0.01
    found = coverage(direct, "all", (3, 3))
    assert found.never == (4,)
    assert sum(found.mean) == pytest.approx(1, abs=1e-5)


def test_rank_correlation() -> None:
    a = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(a, a * 10) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, torch.ones(4)) == 0


@pytest.mark.parametrize(
    ("lengths", "message"), [((9, 1), "row 1 is one token"), ((0, 4), "row 0 holds nothing but padding")]
)
def test_inputs_with_nothing_to_attend_to(lengths: tuple[int, int], message: str) -> None:
    roles = torch.full((2, max(lengths)), int(Role.PAD))
    for row, n in enumerate(lengths):
        roles[row, :n] = int(Role.CONTENT)
    with pytest.raises(OptionError, match=message):
        check_tokens(Tokens(roles, ids_BL=torch.zeros_like(roles)))


def test_parts_and_roles_that_are_not_there() -> None:
    traced = trace(vit_case().subject, vit_case().tokens, ("weights",))
    with pytest.raises(TraceError, match="no token of the roles END"):
        row_places(traced.roles_BL, {Role.END})
    with pytest.raises(TraceError, match="'values' was not kept"):
        traced.part("values")
    with pytest.raises(TraceError, match="no states before layer 9: this model has layers 0 to 3"):
        traced.entering(9)
    rows = traced.rows("weights", row_places(traced.roles_BL, {Role.CLASS}))
    assert len(rows) == 4
    assert rows[-1].shape == (2, 3, 1, 13)
