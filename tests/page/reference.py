"""An exact vision encoder in numpy (float64), from the formulas alone: what the page is compared with.

It shares no line with the product's encoder nor with the page's TypeScript.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import erf

Weights = dict[str, Any]


@dataclass
class Size:
    """The shape of a random encoder."""

    grid: int = 3
    patch: int = 2
    channels: int = 1
    hidden: int = 8
    heads: int = 2
    depth: int = 2
    feedforward: int = 16
    classes: int = 3
    eps: float = 1e-6

    @property
    def tokens(self) -> int:
        return 1 + self.grid**2


@dataclass
class Trace:
    """Every value of one forward; `layers[l]` is a dict of arrays for all tokens."""

    before: np.ndarray
    position: np.ndarray
    after: np.ndarray
    layers: list[dict[str, np.ndarray]]
    states: np.ndarray
    final: np.ndarray
    logits: np.ndarray
    values: np.ndarray
    kept: list[int] = field(default_factory=list)


def random_weights(size: Size, seed: int) -> Weights:
    """No weight at its usual initial value: norms and biases are random too. Rounded to float32, as the document is."""
    rng = np.random.default_rng(seed)

    def f32(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float32).astype(np.float64)

    def linear(out: int, into: int, gain: float = 1.6) -> dict[str, np.ndarray]:
        return {"weight": f32(rng.normal(0, gain / np.sqrt(into), (out, into))), "bias": f32(rng.normal(0, 0.2, out))}

    def norm() -> dict[str, np.ndarray]:
        d = size.hidden
        return {"weight": f32(1 + rng.normal(0, 0.2, d)), "bias": f32(rng.normal(0, 0.2, d))}

    d, f = size.hidden, size.feedforward
    return {
        "patch": size.patch,
        "channels": size.channels,
        "activation": "gelu",
        "eps": size.eps,
        "stem": linear(d, size.channels * size.patch**2),
        "class_token": f32(rng.normal(0, 1, d)),
        "positions": f32(rng.normal(0, 0.5, (size.tokens, d))),
        "blocks": [
            {
                "norm1": norm(),
                "query": linear(d, d),
                "key": linear(d, d),
                "value": linear(d, d),
                "output": linear(d, d),
                "norm2": norm(),
                "up": linear(f, d),
                "down": linear(d, f, 0.8),
            }
            for _ in range(size.depth)
        ],
        "final_norm": norm(),
        "head": linear(size.classes, d),
    }


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def norm(x: np.ndarray, p: dict[str, np.ndarray], eps: float) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * p["weight"] + p["bias"]


def apply(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    return x @ p["weight"].T + p["bias"]


def patches(pixels: np.ndarray, patch: int) -> np.ndarray:
    c, h, w = pixels.shape
    cut = pixels.reshape(c, h // patch, patch, w // patch, patch)
    return cut.transpose(1, 3, 0, 2, 4).reshape((h // patch) * (w // patch), c * patch * patch)


def block(x: np.ndarray, w: Weights, heads: int, eps: float, causal: bool, cut: Any) -> dict[str, np.ndarray]:
    """One pre-norm block; `cut(scores_HLL)` may set scores to -inf."""
    tokens, d = x.shape
    k = d // heads
    normed = norm(x, w["norm1"], eps)
    q, key, v = (apply(normed, w[n]).reshape(tokens, heads, k).transpose(1, 0, 2) for n in ("query", "key", "value"))
    scores = q @ key.transpose(0, 2, 1) / np.sqrt(k)
    if causal:
        scores = np.where(np.tril(np.ones((tokens, tokens), bool)), scores, -np.inf)
    if cut is not None:
        scores = cut(scores)
    weights = softmax(scores)
    context = weights @ v
    output = w["output"]["weight"].reshape(d, heads, k)
    per_head = np.einsum("htk,dhk->htd", context, output)
    used = weights * np.linalg.norm(np.einsum("htk,dhk->htd", v, output), axis=-1)[:, None, :]
    attention = per_head.sum(0) + w["output"]["bias"]
    middle = x + attention
    hidden = apply(norm(middle, w["norm2"], eps), w["up"])
    feedforward = apply(hidden * 0.5 * (1 + erf(hidden / np.sqrt(2))), w["down"])
    return {
        "queries": q,
        "keys": key,
        "values": v,
        "scores": scores,
        "weights": weights,
        "context": context,
        "heads": per_head,
        "used": used,
        "attention": attention,
        "middle": middle,
        "feedforward": feedforward,
        "output": middle + feedforward,
    }


def forward(
    size: Size,
    w: Weights,
    pixels: np.ndarray,
    *,
    removed: frozenset[int] = frozenset(),
    causal: bool = False,
    swap: tuple[int, np.ndarray] | None = None,
    cut: dict[int, Any] | None = None,
    second: bool = False,
    pooling: str = "cls",
) -> Trace:
    """The whole forward. `swap` puts a state into the class token before a layer; `second` doubles the class token."""
    before = np.concatenate([w["class_token"][None], apply(patches(pixels, size.patch), w["stem"])])
    kept = [t for t in range(size.tokens) if t not in removed]
    kept = [0, *kept] if second else kept
    before, position = before[kept], w["positions"][kept]
    x = before + position
    states, layers = [x], []
    for number, weights in enumerate(w["blocks"]):
        if swap and swap[0] == number:
            x = np.concatenate([swap[1][None], x[1:]])
        layers.append(block(x, weights, size.heads, size.eps, causal, (cut or {}).get(number)))
        x = layers[-1]["output"]
        states.append(x)
    if swap and swap[0] == size.depth:
        x = np.concatenate([swap[1][None], x[1:]])
    final = norm(x, w["final_norm"], size.eps)
    content = final[[i for i, t in enumerate(kept) if t != 0]]
    vector = {"cls": final[0], "mean": content.mean(0), "max": content.max(0)}[pooling]
    logits = apply(vector, w["head"])
    return Trace(before, position, before + position, layers, np.stack(states), final, logits, softmax(logits), kept)
