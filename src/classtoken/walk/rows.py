"""One class token's row of everything, out of a traced input, as the page shows it."""

from collections.abc import Sequence
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

MATRIX_BUDGET = 300_000
"""bytes of an input's whole attention matrices that a page on disk holds at most"""
PAGE_BUDGET = 4_900_000
"""bytes of a page on disk"""
LEAST_KEPT = 21
"""tokens whose keys and values a page holds of each head at least, however many inputs it shows"""


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


def matrices_of(traced: Traced) -> np.ndarray | None:
    """Whole attention matrices (N, H, L, L) in half precision; None where they are too large for a page."""
    weights = traced.part("weights")
    bytes_of_all = len(weights) * weights[0][0].numel() * 2 * 4 / 3
    if bytes_of_all > MATRIX_BUDGET:
        return None
    return numbers(torch.stack([each[0] for each in weights])).astype(np.float16)


def embeddings_of(traced: Traced) -> TokenEmbeddings:
    """Vectors before positions, positions, and what enters block 0, (L, D) each."""
    found, after_LD = embedding_sum(traced), traced.entering(0)[0]
    if found.position_LE is None:
        return TokenEmbeddings(numbers(found.before_LE), None, numbers(after_LD))
    plain = isinstance(native(traced.subject).stem.norm, nn.Identity)
    return TokenEmbeddings(numbers(found.before_LE), numbers(found.position_LE), None if plain else numbers(after_LD))


def within_budget(examples: Sequence[Example], others: int) -> tuple[Example, ...]:
    """The examples with the keys and values of as many tokens as fit into a page whose other parts take `others` bytes:
    of each head its class token's and those that it reads most."""
    room = (PAGE_BUDGET - others) / max(1, len(examples))
    found = []
    for example in examples:
        keys = example.layers.keys
        if keys is None or example.layers.values is None:
            found.append(example)
            continue
        layers, heads, tokens, size = keys.shape
        bytes_of_a_token = layers * heads * (2 * size + 1) * 4 * 4 / 3
        found.append(with_most_read(example, max(LEAST_KEPT, min(tokens, int(room / bytes_of_a_token)))))
    return tuple(found)


def with_most_read(example: Example, count: int) -> Example:
    """The example with the keys and values of `count` tokens of each head: its class tokens, then those most read."""
    layers = example.layers
    if layers.keys is None or layers.values is None or count >= layers.keys.shape[2]:
        return example
    rank = layers.weights.copy()
    rank[..., [t for t, token in enumerate(example.tokens) if token.role == "class"]] = 2.0
    kept = np.sort(np.argsort(-rank, axis=-1, kind="stable")[..., :count], axis=-1).astype(np.int32)

    def of_kept(array: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, kept[..., None], axis=2)

    chosen = replace(layers, keys=of_kept(layers.keys), values=of_kept(layers.values), kept=kept)
    return replace(example, layers=chosen)
