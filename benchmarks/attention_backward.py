"""Why training in bf16 on the CPU writes attention out: forward and backward of one attention, by both ways.

Alternates torch's fused kernel and the two products that `encoder.kernels.attend` takes for short rows, so that a busy
machine slows both; prints medians of processor time and the ratio.

    python benchmarks/attention_backward.py
"""

import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor

SIZES = ((128, 3, 65, 64), (32, 3, 197, 64), (16, 12, 256, 64), (8, 12, 512, 64))
"""rows, heads, tokens, numbers a head"""
ROUNDS = 7


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The kernel."""
    return F.scaled_dot_product_attention(q, k, v)


def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same sum in three steps."""
    return (q * q.shape[-1] ** -0.5 @ k.mT).softmax(dim=-1) @ v


def main() -> None:
    """One line a size and precision."""
    torch.set_num_threads(1)
    for size in SIZES:
        for dtype in (torch.float32, torch.bfloat16):
            seconds: dict[str, list[float]] = {"fused": [], "written out": []}
            for _ in range(ROUNDS + 1):
                for name, attention in (("fused", fused), ("written out", written_out)):
                    q, k, v = (torch.randn(*size, dtype=dtype).requires_grad_() for _ in range(3))
                    begun = time.process_time()
                    attention(q, k, v).sum().backward()
                    seconds[name].append(time.process_time() - begun)
            one, other = (statistics.median(seconds[name][1:]) for name in ("fused", "written out"))
            times = f"fused {one * 1e3:.0f} ms, written out {other * 1e3:.0f} ms of one core"
            print(f"{size[2]} tokens, {dtype}: {times}, ratio {one / other:.1f}")


if __name__ == "__main__":
    main()
