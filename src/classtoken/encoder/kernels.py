"""The fast ways to compute the same: matrix products on weights that are laid out once for this processor.

    fp32, bf16              oneDNN through torch's own operators, where they are there, right, and not slower here
    int8                    weights with a scale a channel, activations with a scale a TOKEN, so that no vector depends
                            on the others of its batch; whole numbers are summed exactly
    attention               the fused kernel, or what is quicker for many short rows

Which products a block is made of: `encoder.products`.
"""

import logging
import platform
import time
from abc import ABC, abstractmethod
from functools import cache

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from classtoken.remembered import remembered
from classtoken.tensors import ACTIVATIONS, multiplies_bf16

LOG = logging.getLogger("classtoken")
#: Activations that oneDNN computes within a product: name here -> what its operator is told.
FUSED: dict[str, tuple[str, list[float], str]] = {
    "gelu": ("gelu", [], "none"),
    "gelu_tanh": ("gelu", [], "tanh"),
    "relu": ("relu", [], ""),
}
NOTHING: tuple[str, list[float], str] = ("none", [], "")
#: A laid-out product may take so much longer than the plain one and is still taken: clocks are noisy.
SLOWER = 1.3
#: Tokens that the two are timed on, and how often each; the first time is not counted.
PROBED_ROWS, PROBED_TIMES = 512, 8
#: Relative difference of two ways to sum the same products.
AGREE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
#: Whole numbers go to 127; one is left for what rounding a token's scale may add.
LEVELS = 127
#: The smallest scale: of a token that is all zeros.
TINY = 1e-30


class Product(ABC):
    """y = activate(x W^T + b), or residual + x W^T + b; for tokens in rows."""

    name: str

    @abstractmethod
    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str = "identity"): ...

    @abstractmethod
    def __call__(
        self, x: Float[Tensor, "*b K"], residual: Float[Tensor, "*b N"] | None = None
    ) -> Float[Tensor, "*b N"]: ...


class Plain(Product):
    """By `F.linear`, on the module's own weights."""

    name = "plain"

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str = "identity"):
        self.weight, self.bias, self.activate = weight, bias, ACTIVATIONS[activation]

    def __call__(
        self, x: Float[Tensor, "*b K"], residual: Float[Tensor, "*b N"] | None = None
    ) -> Float[Tensor, "*b N"]:
        y = self.activate(F.linear(x, self.weight, self.bias))
        return y if residual is None else residual + y


class LaidOut(Product):
    """By oneDNN, on weights in the order in which this processor reads them."""

    name = "oneDNN"
    ROWS = 2048  # what the layout is best for; it serves any number

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str = "identity"):
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), self.ROWS)
        self.bias = None if bias is None else bias.detach()
        self.fused = FUSED.get(activation, NOTHING)
        self.activate = None if activation in FUSED or activation == "identity" else ACTIVATIONS[activation]

    def __call__(
        self, x: Float[Tensor, "*b K"], residual: Float[Tensor, "*b N"] | None = None
    ) -> Float[Tensor, "*b N"]:
        compute, flat = torch.ops.mkldnn._linear_pointwise, x.dim() == 2
        rows = x if flat else x.flatten(0, -2)
        if residual is not None:
            y = compute.binary(rows, residual if flat else residual.flatten(0, -2), self.weight, self.bias, "add")
        else:
            y = compute.default(rows, self.weight, self.bias, *self.fused)
            y = y if self.activate is None else self.activate(y)
        return y if flat else y.view(*x.shape[:-1], -1)


class Int8(Product):
    """y = s_t s_n (round(x / s_t) . round(W / s_n)) + b: a scale s_t a token, a scale s_n an output channel.

    Each is the largest number of its row over 127, or over `weight_levels()` for the weights (symmetric, no zero point,
    no calibration data).
    """

    name = "int8"

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str = "identity"):
        weight = weight.detach().float()
        scales = (weight.abs().amax(1) / weight_levels()).clamp(min=TINY)
        whole = (weight / scales[:, None]).round_().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(whole, [LaidOut.ROWS, weight.shape[1]])
        self.scales, self.zeros = scales, torch.zeros(len(scales), dtype=torch.int64)
        self.bias = None if bias is None else bias.detach().to(between())
        self.activate = None if activation == "identity" else ACTIVATIONS[activation]

    def __call__(
        self, x: Float[Tensor, "*b K"], residual: Float[Tensor, "*b N"] | None = None
    ) -> Float[Tensor, "*b N"]:
        whole, scales = quantised(x.flatten(0, -2), zero())
        y = _whole_product(whole, self.weight, self.scales, self.zeros, x.dtype)
        y = y.mul_(scales) if self.bias is None else torch.addcmul(self.bias, y, scales)
        y = (y if self.activate is None else self.activate(y)).view(*x.shape[:-1], -1)
        return y if residual is None else y.add_(residual)


def between() -> torch.dtype:
    """What the numbers between products of whole numbers are."""
    return torch.bfloat16 if multiplies_bf16("cpu") else torch.float32


def zero() -> int:
    """The whole number that stands for a token's 0: with matrix tiles 0 itself, else 128, so that none has a sign.

    Processors without tiles multiply bytes without a sign by bytes with one. Of tokens with a sign oneDNN makes such
    first, and sums the weights anew in every call to take that out again: at few rows it takes twice as long.
    """
    return 0 if has_tiles() else 128


def quantised(x: Float[Tensor, "T K"], zero: int = 0) -> tuple[Tensor, Tensor]:
    """Tokens as whole numbers of eight bits, and a scale for each: x is about (whole - zero) * scale.

    The scale is a number of x's own precision, so that dividing and multiplying by it is one and the same.
    """
    scales = (x.abs().amax(-1, keepdim=True) / (LEVELS - 1)).clamp_(min=TINY)
    whole = (x / scales).round_().to(torch.int8)
    return (whole.bitwise_xor_(-zero).view(torch.uint8) if zero else whole), scales  # the highest bit: 128 more


def _whole_product(
    whole: Integer[Tensor, "T K"], weight: Tensor, scales: Tensor, zeros: Tensor, dtype: torch.dtype
) -> Float[Tensor, "T N"]:
    """Tokens by laid-out weights, both whole numbers, times the scale of each output channel."""
    product: Tensor = torch.ops.onednn.qlinear_pointwise(
        whole, 1.0, zero(), weight, scales, zeros, None, 1.0, 0, dtype, "none", [], ""
    )
    return product


@cache
def weight_levels() -> int:
    """The largest whole number that a weight becomes: 127, or 63 where products with 127 are summed wrongly.

    A processor without instructions for it (VNNI, tiles) multiplies bytes and sums neighbours in 16 bits, where
    2 * 255 * 127 does not fit and is cut off silently; 2 * 255 * 63 < 2^15 does. Found out by multiplying the largest.
    """
    with torch.inference_mode():
        most = torch.full((16, 64), LEVELS, dtype=torch.int8)
        packed = torch.ops.onednn.qlinear_prepack(most, [LaidOut.ROWS, most.shape[1]])
        ones, zeros = torch.ones(len(most)), torch.zeros(len(most), dtype=torch.int64)
        tokens = (most.int() + zero()).to(torch.uint8 if zero() else torch.int8)
        summed = _whole_product(tokens, packed, ones, zeros, torch.float32)
    return LEVELS if bool((summed == most.shape[1] * LEVELS**2).all()) else LEVELS // 2


Kind = type[Product]


@cache
def right(kind: Kind, dtype: torch.dtype) -> bool:
    """Whether this build of torch has the operators, and they compute what `F.linear` does. Said once where not."""
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(*size, generator=generator).to(dtype) for size in ((40, 64), (48, 64), (48,)))
    close = AGREE[dtype] if kind is LaidOut else 0.03
    try:
        with torch.inference_mode():
            for activation, residual in (("identity", None), ("gelu", None), ("identity", x[:, :48])):
                expected = Plain(weight, bias, activation)(x, residual).float()
                found = kind(weight, bias, activation)(x, residual).float()
                if not float((found - expected).abs().max()) <= close * float(expected.abs().max()):
                    raise RuntimeError("their results differ from those of F.linear")
    except (AttributeError, RuntimeError) as error:
        LOG.warning("%s products are not used, the plain ones are: %s", kind.name, str(error).splitlines()[0])
        return False
    return True


@cache
def slower(dtype: torch.dtype, outputs: int, inputs: int) -> bool:
    """Whether the laid-out product of these sizes, gelu inside, is slower than `F.linear` and then gelu here.

    Found out once a machine and remembered, so that all processes compute the same numbers.
    """
    if not right(LaidOut, dtype):
        return True
    machine = platform.node(), torch.backends.cpu.get_cpu_capability(), has_tiles(), torch.get_num_threads()
    question = f"laid out or plain: {outputs} x {inputs}, {dtype}, torch {torch.__version__}, {machine}"
    answer = remembered(question, lambda: {"slower": _is_slower(dtype, outputs, inputs)})
    return bool(answer and answer["slower"])


def _is_slower(dtype: torch.dtype, outputs: int, inputs: int) -> bool:
    """By the best of a few, taken in turns: a machine that does other things slows down and speeds up."""
    x, weight = torch.ones(PROBED_ROWS, inputs, dtype=dtype), torch.ones(outputs, inputs, dtype=dtype)
    with torch.inference_mode():
        ways = LaidOut(weight, None, "gelu"), Plain(weight, None, "gelu")
        taken = [[_seconds(way, x) for way in ways] for _ in range(PROBED_TIMES)][1:]
    laid_out, plain = (min(seconds) for seconds in zip(*taken, strict=True))
    return laid_out > SLOWER * plain


def _seconds(product: Product, x: Tensor) -> float:
    """Of this thread, which does its share of the product."""
    start = time.thread_time()
    product(x)
    return time.thread_time() - start


# -- attention ---------------------------------------------------------------------------------------------------------

#: Up to so many tokens a row, two batched products beat the fused kernel where there are no matrix tiles.
SHORT = 160
#: Up to so many tokens a row, two products are also what bf16 learns from faster: torch's fused kernel has a backward
#: pass that takes 7 times as long at 65 tokens, twice at 197, and as long at 512 (benchmarks/attention_backward.py).
LEARNED = 256
#: The fused kernel works in strips of so many tokens; a row that ends within one costs as much as a whole one.
STRIP = 16
#: Rows are filled up with hidden tokens to whole strips if they grow by no more than this.
GROWTH = 1.35


def attend(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """softmax(q k^T * scale + mask) v, (B, H, L, K): by the fused kernel, or by what is quicker for many short rows.

    `mask`, if given, hides where it is false, or is added to the scores.

    Which one depends on the sizes and the processor alone, so that the same rows give the same numbers in any process.
    """
    length = q_BHLK.shape[2]
    if _is_learned_in_bf16(q_BHLK) and k_BHLK.shape[2] <= LEARNED:
        return _by_learned_products(q_BHLK, k_BHLK, v_BHLK, mask, scale)
    alike = mask is None and length == k_BHLK.shape[2] and q_BHLK.device.type == "cpu"
    if alike and not torch.is_grad_enabled() and not torch.jit.is_tracing():  # a graph is for any processor and size
        if not has_tiles():
            if length <= SHORT:
                return _by_products(q_BHLK, k_BHLK, v_BHLK, scale)
        elif q_BHLK.dtype == torch.bfloat16:
            full = -(-length // STRIP) * STRIP
            if full == STRIP or length < full <= GROWTH * length:
                return _by_strips(q_BHLK, k_BHLK, v_BHLK, scale, full)
    return F.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, attn_mask=mask, scale=scale)


@cache
def has_tiles() -> bool:
    """Whether this processor has matrix tiles (AMX), with which the fused kernel computes bf16."""
    found = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(found is not None and found())


def _by_products(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor, scale: float) -> Tensor:
    q, k, v = (t.flatten(0, 1) for t in (q_BHLK, k_BHLK, v_BHLK))
    weights = torch.bmm(q, k.transpose(-2, -1)).mul_(scale).softmax(-1)
    return torch.bmm(weights, v).view(*q_BHLK.shape[:2], *v_BHLK.shape[2:])


def _is_learned_in_bf16(q_BHLK: Tensor) -> bool:
    return q_BHLK.requires_grad and q_BHLK.dtype == torch.bfloat16 and q_BHLK.device.type == "cpu"


def _by_learned_products(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Written out, for the gradient. The softmax adds up in fp32 by itself; autocast would keep its result in that."""
    with torch.autocast("cpu", enabled=False):
        scores_BHLL = (q_BHLK * scale) @ k_BHLK.transpose(-2, -1)
        if mask is None:
            return scores_BHLL.softmax(-1) @ v_BHLK
        hidden = mask.dtype == torch.bool
        scores_BHLL = scores_BHLL.masked_fill(~mask, -torch.inf) if hidden else scores_BHLL + mask
        # 0 for a token that sees nothing, as the fused kernel has it
        return torch.ops.aten._safe_softmax(scores_BHLL, -1).to(v_BHLK.dtype) @ v_BHLK


def _by_strips(q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor, scale: float, full: int) -> Tensor:
    """Rows filled up to `full` tokens, the shortest two by two, each seeing only its own tokens."""
    rows, heads, length, size = q_BHLK.shape
    pair = 2 if full == STRIP else 1
    joined = -(-rows // pair) * pair
    filled = q_BHLK.new_empty(3, joined, full, heads, size)
    filled[:, :, length:] = 0  # hidden, but a weight of 0 times what is no number is no number
    filled[:, rows:] = 0
    for place, t in enumerate((q_BHLK, k_BHLK, v_BHLK)):
        filled[place, :rows, :length] = t.transpose(1, 2)
    q, k, v = filled.view(3, joined // pair, pair * full, heads, size).transpose(2, 3)
    hidden = _hidden(length, full, pair, q_BHLK.dtype)
    z = F.scaled_dot_product_attention(q, k, v, attn_mask=hidden, scale=scale).transpose(1, 2)
    return z.reshape(joined, full, heads, size)[:rows, :length].transpose(1, 2)


@cache
def _hidden(length: int, full: int, pair: int, dtype: torch.dtype) -> Tensor:
    """(pair * full, pair * full): 0 where a token may see another, -inf elsewhere."""
    row = torch.arange(pair).repeat_interleave(full)
    there = (torch.arange(full) < length).repeat(pair)
    seen = (row[:, None] == row) & there
    return torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, -torch.inf)
