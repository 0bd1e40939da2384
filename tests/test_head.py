"""Heads: by their formulas, by their first weights, saved under names and built again from plain values."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from classtoken.errors import OptionError
from classtoken.head import (
    HEADS,
    CosineHead,
    DistilledHead,
    Head,
    LinearHead,
    MlpHead,
    PerTokenHead,
    make_head,
    probabilities,
)

NAMES = {
    "linear": {"output.weight", "output.bias"},
    "cosine": {"weight", "log_scale"},
    "mlp": {"dense.weight", "dense.bias", "output.weight", "output.bias"},
    "per_token": {"weight", "bias"},
    "distilled": {"output.weight", "output.bias", "distillation.weight", "distillation.bias"},
}


def shaken(head: Head) -> Head:
    with torch.no_grad():
        for weight in head.parameters():
            weight.add_(torch.randn_like(weight))
    return head


def test_every_head_has_its_names() -> None:
    assert set(HEADS) == set(NAMES)
    assert {kind: set(make_head(kind, 12, 3).state_dict()) for kind in HEADS} == NAMES


@pytest.mark.parametrize("kind", NAMES)
def test_saved_and_built_again(kind: str, tmp_path: Path) -> None:
    head, vectors = shaken(make_head(kind, 12, 3, seed=5)), torch.randn(4, 12)
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    again = make_head(**json.loads(json.dumps(head.arguments)))
    again.load_state_dict(load_file(tmp_path / "head.safetensors"))
    assert torch.equal(again(vectors), head(vectors))
    assert head(vectors).shape == (4, 3)


@pytest.mark.parametrize("kind", NAMES)
def test_the_seed_alone_decides_the_first_weights(kind: str) -> None:
    torch.manual_seed(1)
    one = make_head(kind, 12, 3, seed=4).state_dict()
    torch.manual_seed(2)
    same, other = make_head(kind, 12, 3, seed=4).state_dict(), make_head(kind, 12, 3, seed=5).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_first_weights_are_small_and_first_answers_near_uniform() -> None:
    for kind, name in (("linear", "output"), ("mlp", "output"), ("distilled", "distillation")):
        head = make_head(kind, 512, 100)
        linear = getattr(head, name)
        assert linear.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert linear.weight.mean().abs().item() < 3e-4
        assert not linear.bias.any()
        assert probabilities(head(torch.randn(20, 512)), multilabel=False).max() < 0.05
    mlp = make_head("mlp", 512, 100)
    assert isinstance(mlp, MlpHead)
    assert mlp.dense.weight.abs().max().item() == pytest.approx((6 / (512 + 1024)) ** 0.5, rel=1e-3)


def test_linear_by_its_formula() -> None:
    head, vectors = shaken(LinearHead(5, 3)), torch.randn(4, 5)
    weights = head.state_dict()
    torch.testing.assert_close(head(vectors), vectors @ weights["output.weight"].T + weights["output.bias"])


def test_cosine_is_blind_to_length_and_starts_at_its_scale() -> None:
    head, vectors = CosineHead(6, 3), torch.randn(4, 6)
    expected = torch.nn.functional.cosine_similarity(vectors[:, None], head.weight[None], dim=-1) / 0.07
    torch.testing.assert_close(head(vectors), expected)
    torch.testing.assert_close(head(vectors * 1000), expected)
    assert head(torch.zeros(1, 6)).tolist() == [[0, 0, 0]]
    head(vectors).sum().backward()
    assert head.log_scale.grad is not None
    assert head.log_scale.grad.item() == pytest.approx(expected.sum().item(), rel=1e-4)
    assert CosineHead(6, 3, scale=2.0).log_scale.exp().item() == pytest.approx(2)


def test_mlp_by_its_formula() -> None:
    head, vectors = shaken(MlpHead(5, 3, hidden=7)), torch.randn(4, 5)
    w = head.state_dict()
    inner = torch.nn.functional.gelu(vectors @ w["dense.weight"].T + w["dense.bias"])
    torch.testing.assert_close(head(vectors), inner @ w["output.weight"].T + w["output.bias"])
    assert MlpHead(5, 3).hidden == 10


def test_per_token_reads_each_class_from_its_own_token() -> None:
    head, states = shaken(PerTokenHead(12, 3)), torch.randn(2, 3, 4)
    logits = head(states.flatten(1))
    for c in range(3):
        torch.testing.assert_close(logits[:, c], states[:, c] @ head.weight[c] + head.bias[c])
        other = states.clone()
        other[:, c] += 1
        changed = (head(other.flatten(1)) != logits).any(0)
        assert changed.tolist() == [k == c for k in range(3)]
    with torch.no_grad():
        head.weight.fill_(1 / 4)
        head.bias.zero_()
    torch.testing.assert_close(head(states.flatten(1)), states.mean(-1))


def test_distilled_is_the_mean_of_two_and_gives_them_apart() -> None:
    head, vectors = shaken(DistilledHead(8, 3)), torch.randn(4, 8)
    own, taught = head.both(vectors)
    torch.testing.assert_close(own, head.output(vectors[:, :4]))
    torch.testing.assert_close(taught, head.distillation(vectors[:, 4:]))
    torch.testing.assert_close(head(vectors), (own + taught) / 2)
    assert not torch.equal(DistilledHead(8, 3).output.weight, DistilledHead(8, 3).distillation.weight)


def test_distilled_is_the_reference_of_deit() -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.DeiTConfig(**sizes, image_size=8, patch_size=4, num_labels=3)
    model = transformers.DeiTForImageClassificationWithTeacher(config).eval()
    head = DistilledHead(32, 3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
        head.output.load_state_dict(model.cls_classifier.state_dict())
        head.distillation.load_state_dict(model.distillation_classifier.state_dict())
        pixels = torch.randn(2, 3, 8, 8)
        states = model.deit(pixels).last_hidden_state
        torch.testing.assert_close(head(states[:, :2].flatten(1)), model(pixels).logits)


def test_probabilities_of_one_label_and_of_several() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    exact = logits.double()
    torch.testing.assert_close(probabilities(logits, multilabel=False), exact.softmax(-1))
    torch.testing.assert_close(probabilities(logits, multilabel=True), 1 / (1 + (-exact).exp()))
    torch.testing.assert_close(probabilities(logits, multilabel=False, temperature=2.0), (exact / 2).softmax(-1))
    torch.testing.assert_close(probabilities(logits[:, :1], multilabel=False), exact[:, :1].sigmoid())


@pytest.mark.parametrize(
    ("kind", "size", "classes", "hidden", "said"),
    [
        ("lineer", 4, 2, 0, "no head 'lineer'; write linear, cosine, mlp, per_token, distilled"),
        ("linear", 4, 0, 0, "1 class or more, not 4 and 0"),
        ("linear", 0, 2, 0, "not 0 and 2"),
        ("linear", 4, 2, 8, "hidden is 8; leave it out, or take mlp"),
        ("mlp", 4, 2, -1, "not -1"),
        ("per_token", 10, 3, 0, "10 numbers are not 3 states"),
        ("distilled", 5, 3, 0, "not 5 numbers; pool cls\\+dist"),
    ],
)
def test_what_cannot_be_made(kind: str, size: int, classes: int, hidden: int, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        make_head(kind, size, classes, hidden=hidden)


def test_a_scale_below_zero_is_refused() -> None:
    with pytest.raises(OptionError, match="above 0, not -1"):
        CosineHead(4, 2, scale=-1.0)


@pytest.mark.parametrize("kind", NAMES)
def test_labels_start_from_how_often_they_are_there(kind: str) -> None:
    head, shares = make_head(kind, 12, 3), torch.tensor([0.03, 0.5, 0.9])
    head.expect(shares)
    given = probabilities(head(torch.zeros(1, 12)), multilabel=True)[0]
    expected = torch.full((3,), 0.5) if kind == "cosine" else shares  # a cosine has no biases
    assert given.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
