"""What an encoder can do is asked of it: one whose matrices are 8-bit numbers stands behind the same forward."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.folders import pictures, tiny_vit
from torch import Tensor, nn
from torch.nn import functional as F

import classtoken as ct
from classtoken.encoder.protocol import AnyEncoder, has_open_weights, is_stepwise, is_trainable
from classtoken.errors import TraceError
from classtoken.maps.table import available
from classtoken.probe.accounting import native
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.run_on import run_on


class Rounded(nn.Module):
    """A linear map with 8-bit weights and a scale per row: what an int8 backend puts in the place of `nn.Linear`."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.scale = linear.weight.detach().abs().amax(1, keepdim=True) / 127
        self.whole = (linear.weight.detach() / self.scale).round().to(torch.int8)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.whole * self.scale, self.bias)


def rounded(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, Rounded(child))
        else:
            rounded(child)


@pytest.fixture
def eight_bit(tmp_path: Path) -> ct.Embedder:
    embedder = ct.load(tiny_vit(tmp_path / "model", head=True))
    rounded(embedder.encoder)
    return embedder


def test_an_encoder_of_ours_can_do_everything(tmp_path: Path) -> None:
    encoder: AnyEncoder = ct.load(tiny_vit(tmp_path / "model")).encoder
    assert (encoder.packable, encoder.stepwise, encoder.open_weights, encoder.trainable) == (True,) * 4
    assert encoder.gaps == ()


def test_with_8_bit_weights_it_still_runs_step_by_step_but_shows_and_trains_no_matrix(eight_bit: ct.Embedder) -> None:
    encoder = eight_bit.encoder
    assert encoder.packable
    assert is_stepwise(encoder)
    assert not has_open_weights(encoder)
    assert not is_trainable(encoder)
    assert encoder.gaps == ("heads",)


def test_with_8_bit_weights_vectors_are_near_the_originals(tmp_path: Path, eight_bit: ct.Embedder) -> None:
    first, second = ct.load(tmp_path / "model").embed(pictures()), eight_bit.embed(pictures())
    assert isinstance(first, np.ndarray)
    assert isinstance(second, np.ndarray)
    cosine = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    assert cosine.min() > 0.99
    assert not np.array_equal(first, second)


def test_with_8_bit_weights_what_needs_the_matrices_is_refused_by_name(eight_bit: ct.Embedder) -> None:
    subject, tokens = subject_of(eight_bit), eight_bit.tokens(pictures(1))
    with pytest.raises(TraceError, match="output weights"):
        native(subject)
    with pytest.raises(TraceError, match="heads"):
        eight_bit.trace(pictures(1), ["blocks.0.heads"])
    names = {method.name for method in available(subject, tokens)}
    assert "attention" in names
    assert not {"weighted_attention", "direct"} & names


def test_with_8_bit_weights_a_forward_begins_in_the_middle(eight_bit: ct.Embedder) -> None:
    subject, tokens = subject_of(eight_bit), eight_bit.tokens(pictures(1))
    with torch.no_grad():
        states = eight_bit.encoder(tokens, layers=(0,)).layers[0]
        resumed = subject.outcome(run_on(subject, states, tokens.roles_BL, 1, grid=tokens.grid))
        assert torch.allclose(resumed, subject(tokens), atol=1e-6)
