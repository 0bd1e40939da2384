"""The fast ways compute the same: laid-out weights, attention over short rows, and whole numbers within their error."""

import logging
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from classtoken.encoder import kernels
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.kernels import Int8, LaidOut, Plain, attend, quantised
from classtoken.encoder.products import products_of
from classtoken.encoder.shape import BlockShape, Shape, TextStem


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What was found out about this build of torch is found out again."""
    with torch.inference_mode():
        yield
    for found in (kernels.right, kernels.slower, kernels.weight_levels):
        found.cache_clear()


def text_encoder() -> Encoder:
    block = BlockShape(heads=2, feedforward_size=16)
    return Encoder(Shape(hidden_size=8, depth=2, stem=TextStem(vocabulary=9), block=block)).initialise()


def numbers(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


class TestProducts:
    @pytest.mark.parametrize("activation", ["identity", "gelu", "gelu_tanh", "quick_gelu", "silu", "relu"])
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("size", [(1, 24), (7, 24), (3, 5, 24)])
    def test_laid_out_is_plain(self, activation: str, bias: bool, size: tuple[int, ...]) -> None:
        x, weight, b = numbers(*size), numbers(40, 24, seed=1), numbers(40, seed=2) if bias else None
        torch.testing.assert_close(
            LaidOut(weight, b, activation)(x), Plain(weight, b, activation)(x), rtol=1e-5, atol=1e-5
        )

    @pytest.mark.parametrize("kind", [LaidOut, Int8])
    @pytest.mark.parametrize("size", [(1, 24), (3, 5, 24)])
    def test_the_residual_is_added_and_stays_what_it_was(self, kind: kernels.Kind, size: tuple[int, ...]) -> None:
        x, weight, bias = numbers(*size), numbers(40, 24, seed=1), numbers(40, seed=2)
        residual = numbers(*size[:-1], 40, seed=3)
        before = residual.clone()
        product = kind(weight, bias)
        torch.testing.assert_close(product(x, residual), product(x) + residual, rtol=1e-5, atol=1e-5)
        assert torch.equal(residual, before)

    def test_whole_numbers_are_what_the_formula_says(self) -> None:
        """y = s_t s_n (q . w) + b, the sum over whole numbers exact."""
        x, weight, bias = numbers(9, 64).bfloat16(), numbers(32, 64, seed=1), numbers(32, seed=2)
        whole, scales = quantised(x)
        assert whole.dtype == torch.int8
        assert int(whole.abs().max()) <= kernels.LEVELS
        step = weight.abs().amax(1) / kernels.weight_levels()
        w = (weight / step[:, None]).round()
        expected = (whole.double() @ w.double().T) * step.double() * scales.double() + bias.bfloat16().double()
        torch.testing.assert_close(Int8(weight, bias)(x).double(), expected, rtol=0.02, atol=0.05)

    @pytest.mark.parametrize("tiles", [True, False])
    def test_the_largest_numbers_are_summed_exactly(self, tiles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a sign and without: neighbours that are both the largest are what a sum in 16 bits would cut off."""
        monkeypatch.setattr(kernels, "has_tiles", lambda: tiles)
        signs = torch.where(numbers(40, 64) > 0, 1.0, -1.0)
        x, weight = signs[:8] * numbers(8, 1, seed=1).abs(), signs[8:] * numbers(32, 1, seed=2).abs()
        x, weight = torch.cat([x, x.abs(), -x.abs()]), torch.cat([weight, weight.abs(), -weight.abs()])
        found = Int8(weight, None)(x)
        torch.testing.assert_close(found.double(), x.double() @ weight.double().T, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("cut_off", [True, False])
    def test_weights_have_fewer_levels_where_sums_are_cut_off(
        self, cut_off: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two products of the largest token without a sign, 255, and of the largest weight, in 16 bits or in enough."""

        def summed(whole: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor, dtype: torch.dtype) -> Tensor:
            pair = min(2 * 255 * 127, 2**15 - 1) if cut_off else 2 * 255 * 127
            return torch.full((len(whole), len(scales)), float(whole.shape[1] // 2 * (pair - 2 * 128 * 127)))

        monkeypatch.setattr(kernels, "_whole_product", summed)
        assert kernels.weight_levels() == (63 if cut_off else 127)

    def test_without_a_sign_they_are_the_same(self) -> None:
        x = numbers(9, 64)
        signed, scales = quantised(x)
        without, again = quantised(x, 128)
        assert without.dtype == torch.uint8
        assert torch.equal(without.int() - 128, signed.int())
        assert torch.equal(scales, again)

    def test_a_token_does_not_depend_on_its_mates(self) -> None:
        x, product = numbers(50, 64).bfloat16(), Int8(numbers(32, 64, seed=1), numbers(32, seed=2), "gelu")
        huge = torch.cat([x, 1000 * numbers(3, 64, seed=3).bfloat16()])
        assert torch.equal(product(huge)[:50], product(x))
        assert torch.equal(torch.cat([product(x[i : i + 1]) for i in range(50)]), product(x))

    def test_a_token_of_zeros(self) -> None:
        whole, scales = quantised(torch.zeros(2, 8, dtype=torch.bfloat16))
        assert not whole.any()
        assert bool(torch.isfinite(scales).all())

    @pytest.mark.parametrize(
        "fault", ["the scale of the channel beside", "a scale a tensor", "bias twice", "the zero point ignored"]
    )
    def test_a_fault_in_them_is_noticed(self, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """`right` is what stands between a wrong operator and a wrong vector."""
        assert kernels.right(Int8, torch.bfloat16)
        kernels.right.cache_clear()
        original = Int8.__init__

        def wrong(self: Int8, weight: Tensor, bias: Tensor | None, activation: str = "identity") -> None:
            original(self, weight, bias, activation)
            if fault == "the scale of the channel beside":
                self.scales = self.scales.roll(1)
            elif fault == "a scale a tensor":
                self.scales = self.scales.mean().expand_as(self.scales).contiguous()
            elif fault == "bias twice" and self.bias is not None:
                self.bias = self.bias * 2

        if fault == "the zero point ignored":
            monkeypatch.setattr(kernels, "quantised", lambda x, zero: quantised(x, 0 if zero else 128))
        monkeypatch.setattr(Int8, "__init__", wrong)
        assert not kernels.right(Int8, torch.bfloat16)


class TestAttention:
    @pytest.mark.parametrize("tiles", [True, False])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 9), (5, 9), (4, 16), (3, 24), (2, 40), (3, 200)])
    def test_it_is_the_formula(
        self, tiles: bool, dtype: torch.dtype, rows: int, length: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kernels, "has_tiles", lambda: tiles)
        q, k, v = (numbers(rows, 2, length, 8, seed=i).to(dtype) for i in range(3))
        weights = (q.double() @ k.double().mT * 0.3).softmax(-1)
        found = attend(q, k, v, None, 0.3).double()
        tolerance = 1e-5 if dtype == torch.float32 else 0.03
        torch.testing.assert_close(found, weights @ v.double(), rtol=tolerance, atol=tolerance)

    def test_a_mask_goes_to_the_fused_kernel(self) -> None:
        q, k, v = (numbers(2, 2, 6, 8, seed=i) for i in range(3))
        mask = torch.ones(6, 6, dtype=torch.bool).tril()[None, None]
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3)
        assert torch.equal(attend(q, k, v, mask, 0.3), expected)

    @pytest.mark.parametrize("masked", ["no", "true and false", "added"])
    @pytest.mark.parametrize(("queries", "keys"), [(9, 9), (1, 9), (65, 65), (300, 300)])
    def test_what_bf16_learns_from_is_the_gradient(self, masked: str, queries: int, keys: int) -> None:
        """Within what bf16 can tell, 1 in 256, of the formula in fp64; a token that sees nothing has no part in it."""
        sizes = (2, 2, queries, 8), (2, 2, keys, 8), (2, 2, keys, 8)
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", torch.bfloat16):
            seen = torch.rand(2, 1, queries, keys, generator=torch.Generator().manual_seed(9)) < 0.7
            seen[..., 0] = True
            seen[0, 0, 0] = False
            mask = {
                "no": None,
                "true and false": seen,
                "added": torch.zeros(seen.shape).masked_fill(~seen, -torch.inf),
            }[masked]
            given = [numbers(*size, seed=i).bfloat16() for i, size in enumerate(sizes)]
            onward = numbers(2, 2, queries, 8, seed=5)

            def gradients(function: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
                q, k, v = (t.detach().clone().to(dtype).requires_grad_() for t in given)
                found = function(q, k, v, mask if mask is None or mask.dtype == torch.bool else mask.to(dtype))
                assert found.dtype == dtype
                return [found, *torch.autograd.grad(found, (q, k, v), onward.to(dtype))]

            def by_formula(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
                with torch.autocast("cpu", enabled=False):
                    scores = q @ k.mT * 0.3
                    if mask is not None:
                        scores = torch.where(seen, scores, -torch.inf)
                    return torch.ops.aten._safe_softmax(scores, -1) @ v

            exact = gradients(by_formula, torch.float64)
            ours = gradients(lambda q, k, v, m: attend(q, k, v, m, 0.3), torch.bfloat16)
        for found, expected in zip(ours, exact, strict=True):
            assert bool(found.isfinite().all())
            assert (found - expected).norm() <= 0.01 * expected.norm()


class TestChoice:
    def test_without_the_operators_it_is_plain_and_said_once(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def gone(*_: object) -> Tensor:
            raise AttributeError("no such operator")

        monkeypatch.setattr(LaidOut, "__call__", gone)
        kernels.right.cache_clear()
        kernels.slower.cache_clear()
        with caplog.at_level(logging.WARNING, logger="classtoken"):
            assert products_of(text_encoder()) is None
            assert products_of(text_encoder()) is None
        assert [record.getMessage() for record in caplog.records] == [
            "oneDNN products are not used, the plain ones are: no such operator"
        ]

    def test_results_that_differ_are_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = LaidOut.__call__
        monkeypatch.setattr(LaidOut, "__call__", lambda self, x, *_: original(self, x) + 1)
        kernels.right.cache_clear()
        assert products_of(text_encoder(), LaidOut) is None
