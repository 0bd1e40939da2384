"""One class token's row of everything, out of a traced input, as the page shows it."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from classtoken.page.example import ClassTokenLayers, Example, TokenEmbeddings
from classtoken.probe.accounting import native, token_contributions
from classtoken.probe.embedding import embedding_sum
from classtoken.probe.traced import Traced

PARTS = (
    "scores",
    "weights",
    "queries",
    "keys",
    "values",
    "heads",
    "attention",
    "feedforward",
    "states",
    "embeddings",
)
"""what a page needs of a forward"""

KEYS_BUDGET = 2_600_000
VALUES_BUDGET = 1_300_000
"""bytes of base64 that the keys (f32), and the values (f32, else f16) of all tokens may take in a page on disk"""


def numbers(tensor: Tensor) -> np.ndarray:
    """A tensor as a float32 array."""
    return tensor.detach().float().cpu().numpy()


def states_of(traced: Traced, position: int) -> np.ndarray:
    """A token's states (N + 1, D): what enters block 0, then what leaves each block."""
    return np.stack([numbers(traced.entering(layer)[0, position]) for layer in range(traced.depth + 1)])


def final_of(traced: Traced, position: int) -> np.ndarray:
    """A token's state after the final norm (D)."""
    return numbers(traced.states.last_BLD[0, position])


@torch.no_grad()
def layers_of(traced: Traced, position: int) -> ClassTokenLayers:
    """The rows of the class token at `position`; `back` is the column of those that read it."""
    encoder = native(traced.subject)

    def whole(part: str) -> Tensor:
        return torch.stack(traced.part(part))[:, 0]

    def row(part: str) -> np.ndarray:
        return numbers(whole(part)[:, :, position])

    every_NLD = torch.stack([traced.entering(layer)[0] for layer in range(traced.depth + 1)])
    weights, values = whole("weights"), whole("values")
    attention = whole("attention")[:, position]
    middle = [
        every_NLD[i, position] + attention[i]
        if encoder.shape.block.order == "pre"
        else encoder.block(i).attention_norm(every_NLD[i, position] + attention[i])
        for i in range(encoder.depth)
    ]
    used = [
        token_contributions(encoder, i, weights[None, i, :, [position]], values[None, i])[0, :, 0].norm(dim=-1)
        for i in range(encoder.depth)
    ]
    return ClassTokenLayers(
        scores=np.maximum(row("scores"), np.float32(-1e30)),
        weights=row("weights"),
        back=numbers(weights[..., position]),
        heads=row("heads"),
        attention=numbers(attention),
        middle=numbers(torch.stack(middle)),
        feedforward=numbers(whole("feedforward")[:, position]),
        states=numbers(every_NLD[:, position]),
        queries=row("queries"),
        keys=numbers(whole("keys")),
        values=numbers(values),
        context=numbers(torch.einsum("nhl,nhlk->nhk", weights[:, :, position], values)),
        used=numbers(torch.stack(used)),
        norms=numbers(every_NLD.norm(dim=-1)).astype(np.float16),
    )


def embeddings_of(traced: Traced) -> TokenEmbeddings:
    """Vectors before positions, positions, and what enters block 0, (L, D) each."""
    found, after_LD = embedding_sum(traced), traced.entering(0)[0]
    if found.position_LE is None:
        return TokenEmbeddings(numbers(found.before_LE), None, numbers(after_LD))
    plain = isinstance(native(traced.subject).stem.norm, nn.Identity)
    return TokenEmbeddings(numbers(found.before_LE), numbers(found.position_LE), None if plain else numbers(after_LD))


def within_budget(example: Example, keys: int = KEYS_BUDGET, values: int = VALUES_BUDGET) -> Example:
    """The example with keys and values only where they fit into a page on disk; values as f16 before not at all."""
    layers = example.layers
    if layers.keys is not None and _base64(layers.keys) > keys:
        layers = replace(layers, keys=None)
    if layers.values is not None and _base64(layers.values) > values:
        halves = layers.values.astype(np.float16)
        layers = replace(layers, values=halves if _base64(halves) <= values else None)
    return replace(example, layers=layers)


def _base64(array: np.ndarray) -> int:
    return array.nbytes * 4 // 3
