"""Learned poolings: equal to their references with the same weights, to their formulas, and to the published sizes."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from classtoken.errors import ContractError, OptionError, SpecError
from classtoken.pooling import make
from classtoken.pooling.attentive import Map, Multihead, Queries, Weighted
from classtoken.pooling.base import Pooling, PoolingInput
from classtoken.values import IMAGE_POOLED, TEXT_POOLED, Role

LEARNED = ["map(2)", "queries(4)", "multihead(3)", "weighted"]


def patches(rows: int, count: int) -> Tensor:
    return torch.full((rows, count), int(Role.CONTENT))


def shaken(module: Pooling) -> Pooling:
    """No weight left at its first value: biases of zero and norms of one hide mistakes."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return module


def size(pooling: Pooling) -> int:
    return sum(weight.numel() for weight in pooling.parameters())


@pytest.mark.parametrize(("dim", "expected"), [(384, 1_774_080), (768, 7_087_104), (1024, 12_595_200)])
def test_map_has_the_published_size(dim: int, expected: int) -> None:
    assert size(make("map", dim)) == expected == 12 * dim**2 + 12 * dim


@pytest.mark.parametrize(("dim", "expected"), [(384, 159_744), (768, 614_400), (1024, 1_081_344)])
def test_queries_have_the_published_size(dim: int, expected: int) -> None:
    assert size(make("queries(32)", dim)) == expected == dim**2 + 32 * dim


@pytest.mark.parametrize(("dim", "expected"), [(384, 148_225), (768, 591_361), (1024, 1_050_625)])
def test_one_head_of_multihead_has_the_size_of_a_two_layer_attention(dim: int, expected: int) -> None:
    assert size(make("multihead(1)", dim)) == expected == dim**2 + 2 * dim + 1
    assert size(make("multihead(5)", dim)) == dim**2 + dim + 5 * (dim + 1)


def test_the_small_ones() -> None:
    assert size(make("weighted", 384, positions=196)) == 196
    assert size(make("gem(learned)", 384)) == 1
    assert [size(make(name, 384)) for name in ("cls", "mean", "max", "gem")] == [0, 0, 0, 0]


def from_siglip(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' names for the head of SigLIP -> ours."""
    ours = {"probe": weights["probe"][0]}
    for kind in ("weight", "bias"):
        parts = weights[f"attention.in_proj_{kind}"].chunk(3)
        ours |= {f"{part}.{kind}": value for part, value in zip(("query", "key", "value"), parts, strict=True)}
        ours[f"output.{kind}"] = weights[f"attention.out_proj.{kind}"]
        ours[f"norm.{kind}"] = weights[f"layernorm.{kind}"]
        ours[f"up.{kind}"], ours[f"down.{kind}"] = weights[f"mlp.fc1.{kind}"], weights[f"mlp.fc2.{kind}"]
    return ours


@pytest.mark.parametrize("activation", ["gelu", "gelu_pytorch_tanh", "quick_gelu"])
def test_map_is_the_head_of_siglip(activation: str) -> None:
    siglip = pytest.importorskip("transformers.models.siglip.modeling_siglip")
    sizes = {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 40}
    theirs = siglip.SiglipMultiheadAttentionPoolingHead(
        SimpleNamespace(**sizes, hidden_act=activation, layer_norm_eps=1e-6)
    ).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.copy_(torch.randn_like(weight) * 0.4)
    ours = Map(24, 3, inner=40, activation=activation.replace("pytorch_", ""))
    ours.load_state_dict(from_siglip(theirs.state_dict()))
    states, roles = torch.randn(5, 9, 24), patches(5, 9)
    with torch.no_grad():
        expected = theirs(states)
        assert (ours(states, roles, over=IMAGE_POOLED) - expected).abs().max() < 1e-6 * expected.abs().max()
        ours, theirs, states = ours.double(), theirs.double(), states.double()
        torch.testing.assert_close(ours(states, roles, over=IMAGE_POOLED), theirs(states), rtol=1e-12, atol=1e-12)


def test_the_weights_of_map_are_those_of_torch() -> None:
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    ours = Map(12, 3)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.copy_(torch.randn_like(weight))
        for name, rows in zip(("query", "key", "value"), range(3), strict=True):
            getattr(ours, name).weight.copy_(theirs.in_proj_weight[rows * 12 : rows * 12 + 12])
            getattr(ours, name).bias.copy_(theirs.in_proj_bias[rows * 12 : rows * 12 + 12])
    states, roles = torch.randn(2, 7, 12), patches(2, 7)
    roles[1, 5:] = int(Role.PAD)
    probe = ours.probe.expand(2, 1, 12)
    _, expected = theirs(probe, states, states, key_padding_mask=roles == Role.PAD, average_attn_weights=False)
    torch.testing.assert_close(ours.weights(PoolingInput(states, roles, IMAGE_POOLED)), expected[:, :, 0])
    queries, keys = ours.query(ours.probe).view(3, 4), ours.key(states).unflatten(-1, (3, 4))
    torch.testing.assert_close(ours.scores(states), torch.einsum("hk,blhk->bhl", queries, keys) / 2)


def test_queries_by_their_formula_row_by_row() -> None:
    pooling = shaken(Queries(12, 3))
    states, roles = torch.randn(2, 6, 12), patches(2, 6)
    roles[0, :2] = int(Role.PAD)
    vectors = pooling(states, roles, over=IMAGE_POOLED)
    for b, rows in enumerate((states[0, 2:], states[1])):
        slices = []
        for j in range(3):
            share = torch.stack([pooling.queries[j] @ x for x in rows]).div(math.sqrt(12)).softmax(0)
            values = torch.stack([(pooling.value.weight @ x)[4 * j : 4 * j + 4] for x in rows])
            slices.append((share[:, None] * values).sum(0))
        torch.testing.assert_close(vectors[b], torch.cat(slices))


def test_multihead_by_its_formula_row_by_row() -> None:
    pooling = shaken(Multihead(6, 3))
    states, roles = torch.randn(2, 5, 6), patches(2, 5)
    roles[1, 3:] = int(Role.PAD)
    vectors = pooling(states, roles, over=IMAGE_POOLED)
    assert vectors.shape == (2, 18) == (2, pooling.width)
    for b, rows in enumerate((states[0], states[1, :3])):
        hidden = torch.tanh(rows @ pooling.inner.weight.T + pooling.inner.bias)
        scores = hidden @ pooling.score.weight.T + pooling.score.bias
        torch.testing.assert_close(vectors[b], (scores.softmax(0).T @ rows).flatten())


def test_weighted_by_its_formula_and_whatever_the_padding() -> None:
    pooling = shaken(Weighted(2, 4))
    assert isinstance(pooling, Weighted)
    states = torch.randn(2, 5, 2)
    roles = torch.tensor([[0, 0, 1, 5, 6], [1, 5, 5, 6, 0]])
    vectors = pooling(states, roles, over=TEXT_POOLED)
    torch.testing.assert_close(vectors[0], pooling.logits[:3].softmax(0) @ states[0, 2:])
    torch.testing.assert_close(vectors[1], pooling.logits.softmax(0) @ states[1, :4])


def test_weighted_for_an_image_of_another_size() -> None:
    """A smooth map keeps its shape on another grid, class token in front or not."""
    pooling = Weighted(1, 1 + 4 * 6, grid=(4, 6))
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 4), torch.linspace(-1, 1, 6), indexing="ij")
    with torch.no_grad():
        pooling.logits.copy_(torch.cat((torch.tensor([2.5]), (rows + 2 * columns).flatten())))
    finer = pooling.resized((8, 12))
    assert finer[0] == 2.5
    assert torch.corrcoef(torch.stack((finer[1:].view(8, 12)[:, 0], torch.arange(8.0))))[0, 1] > 0.98
    coarse = nn.functional.avg_pool2d(finer[1:].view(1, 1, 8, 12), 2)[0, 0]
    torch.testing.assert_close(coarse[1:-1, 1:-1], pooling.logits[1:].view(4, 6)[1:-1, 1:-1])
    torch.testing.assert_close(coarse, pooling.logits[1:].view(4, 6), rtol=0, atol=0.2)
    roles = torch.cat((torch.tensor([[int(Role.CLASS)]]), patches(1, 96)), 1)
    weights = pooling.weights(PoolingInput(torch.randn(1, 97, 1), roles, TEXT_POOLED, (8, 12)))
    torch.testing.assert_close(weights[0], finer.softmax(0))
    assert pooling.resized(None) is not finer
    torch.testing.assert_close(pooling.resized((4, 6)), pooling.logits)


def test_weighted_refuses_an_image_whose_grid_is_not_told() -> None:
    pooling = Weighted(1, 6, grid=(2, 3))
    with pytest.raises(ContractError, match="exactly 6 tokens a row, and a row has 4"):
        pooling(torch.randn(1, 4, 1), patches(1, 4), over=IMAGE_POOLED)
    with pytest.raises(ContractError, match="at most 3 tokens a row, and a row has 4"):
        Weighted(1, 3)(torch.randn(1, 4, 1), patches(1, 4), over=IMAGE_POOLED)


@pytest.mark.parametrize("name", LEARNED)
def test_a_seed_is_a_start(name: str) -> None:
    one, same, other = (make(name, 8, positions=5, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", LEARNED)
def test_making_one_leaves_the_global_random_state_alone(name: str) -> None:
    """Parameters that torch fills at birth are overwritten, but the numbers it drew are gone; the seed decides ours."""
    torch.manual_seed(1)
    one = make(name, 8, positions=5).state_dict()
    torch.manual_seed(2)
    other = make(name, 8, positions=5).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ["queries(4)", "multihead(3)", "map(2)"])
def test_parts_that_start_different_do_not_become_equal(name: str) -> None:
    """With seeds of zero every query gets the same gradient for ever; ours go their own ways."""
    pooling = make(name, 8)
    target, states, roles = torch.randn(16, pooling.width), torch.randn(16, 6, 8), patches(16, 6)
    optimiser = torch.optim.AdamW(pooling.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (pooling(states, roles, over=IMAGE_POOLED) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    weights_BHL = pooling.weights(PoolingInput(states, roles, IMAGE_POOLED))  # type: ignore[operator]
    assert (weights_BHL[:, 0] - weights_BHL[:, 1]).abs().max() > 0.05


def test_queries_that_start_equal_stay_equal() -> None:
    """The trap itself: k seeds of zero, trained, are k times the same attention."""
    pooling = Queries(8, 4)
    nn.init.zeros_(pooling.queries)
    with torch.no_grad():
        pooling.value.weight.copy_(pooling.value.weight[:2].repeat(4, 1))
    states, roles, target = torch.randn(16, 6, 8), patches(16, 6), torch.randn(16, 2).repeat(1, 4)
    optimiser = torch.optim.SGD(pooling.parameters(), lr=0.5)
    for _ in range(20):
        optimiser.zero_grad()
        (pooling(states, roles, over=IMAGE_POOLED) - target).square().mean().backward()
        optimiser.step()
    torch.testing.assert_close(pooling.queries, pooling.queries[:1].expand(4, -1))
    assert pooling.queries.abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["map(2)", "queries(4)", "multihead(3)", "weighted"])
def test_a_pooling_in_half_precision_is_near_itself_in_full(name: str, dtype: torch.dtype) -> None:
    states, roles = torch.randn(3, 7, 16), patches(3, 7)
    pooling = make(name, 16, positions=7)
    with torch.no_grad():
        full = pooling(states, roles, over=IMAGE_POOLED)
        half = pooling.to(dtype)(states.to(dtype), roles, over=IMAGE_POOLED)
    assert half.dtype == dtype
    torch.testing.assert_close(half.float(), full, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("pooler", ContractError, "pooler is what a checkpoint computes itself"),
        ("cls+mean", OptionError, "names 2"),
        ("map(3)", OptionError, "8 numbers into 3 heads"),
        ("queries(3)", OptionError, "8 numbers into 3 slices"),
        ("weighted", OptionError, "positions is None"),
        ("all", OptionError, "positions is None"),
        ("mapp", SpecError, "Did you mean map"),
    ],
)
def test_what_cannot_be_made(name: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        make(name, 8)


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(OptionError, match="no activation 'swish'; write one of gelu"):
        Map(8, 2, activation="swish")
    with pytest.raises(OptionError, match="3 positions for a grid of 2x2"):
        Weighted(8, 3, grid=(2, 2))


def test_a_grid_out_of_json_is_a_list() -> None:
    pooling = make("weighted", 8, positions=6, grid=[2, 3])
    assert isinstance(pooling, Weighted)
    assert pooling.grid == (2, 3)
