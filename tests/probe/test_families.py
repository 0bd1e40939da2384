"""Capture equals fused inference on every native family, in float32, and changes nothing about the model."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from tests.encoder.cases import CASES
from tests.encoder.parity import Case, load, set_up

from classtoken.maps.rollout import roll
from classtoken.probe.subject import Subject
from classtoken.probe.traced import trace
from classtoken.tensors import States

LIMIT = 5e-6
#: One case a family is enough here; every case is in the parity test.
FIRST = list({case.family: case for case in reversed(CASES)}.values())


def pooled(states: States) -> torch.Tensor:
    """The mean of the tokens that are not padding: a vector that every layout has."""
    mask = (states.roles_BL != 0).to(states.last_BLD.dtype)
    return torch.einsum("bl,bld->bd", mask / mask.sum(1, keepdim=True), states.last_BLD)


@pytest.mark.slow
@pytest.mark.parametrize("case", FIRST, ids=lambda case: case.family)
def test_captured_is_fused(case: Case, tmp_path: Path) -> None:
    bench = set_up(case, tmp_path)
    encoder, tokens = load(bench)[0].encoder, bench.inputs.tokens
    subject = Subject(encoder, pooled)
    with torch.no_grad():
        fused = encoder(tokens)
    parts = ["scores", "weights", "values", "heads", "attention", "feedforward", "states"]
    captured = trace(subject, tokens, parts)
    mask = tokens.mask_BL
    error = (captured.states.last_BLD - fused.last_BLD)[mask].abs().max() / fused.last_BLD[mask].abs().max()
    assert float(error) <= LIMIT
    assert all(len(captured.parts[part]) == encoder.depth for part in parts)
    for weights in captured.parts["weights"]:
        assert weights.shape[1] == encoder.heads
        assert float((weights.sum(-1) - 1).abs().max()) < 1e-5
    assert float((roll(trace(subject, tokens)).sum(-1) - 1).abs().max()) < 1e-5


def test_there_are_ten_families_or_more() -> None:
    assert len(Counter(case.family for case in FIRST)) >= 10
