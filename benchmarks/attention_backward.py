"""Why training on the CPU writes attention out: forward and backward of one attention, fused and written out.

Alternates the two, so that a busy machine slows both; prints medians and the ratio.

    python benchmarks/attention_backward.py
"""

import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS, HEADS, LENGTH, SIZE = 128, 3, 65, 64
ROUNDS = 7


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The kernel."""
    return F.scaled_dot_product_attention(q, k, v)


def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same sum in three steps."""
    return (q @ k.mT * SIZE**-0.5).softmax(dim=-1) @ v


def main() -> None:
    """One line a precision."""
    for dtype in (torch.float32, torch.bfloat16):
        seconds: dict[str, list[float]] = {"fused": [], "written out": []}
        for _ in range(ROUNDS + 1):
            for name, attention in (("fused", fused), ("written out", written_out)):
                q, k, v = (torch.randn(ROWS, HEADS, LENGTH, SIZE, dtype=dtype).requires_grad_() for _ in range(3))
                begun = time.process_time()
                attention(q, k, v).sum().backward()
                seconds[name].append(time.process_time() - begun)
        one, other = (statistics.median(seconds[name][1:]) for name in ("fused", "written out"))
        times = f"fused {one * 1e3:.0f} ms, written out {other * 1e3:.0f} ms of processor time"
        print(f"{dtype}: {times}, ratio {one / other:.1f}")


if __name__ == "__main__":
    main()
