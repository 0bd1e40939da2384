"""The class token's row of everything, layer by layer, as the model computed it."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.stem import ImageEmbedding, TextEmbedding
from classtoken.page.example import ClassTokenLayers, Example, TokenEmbeddings
from classtoken.probe.accounting import native
from classtoken.probe.capture import Captured, capture
from classtoken.probe.subject import Subject
from classtoken.tensors import Tokens
from classtoken.values import Role
from classtoken.walk.card import numbers
from classtoken.walk.shown import WalkInput

PARTS = (
    "scores", "weights", "queries", "keys", "values", "heads", "attention", "feedforward", "states", "embeddings",
)  # fmt: skip

KEYS_BUDGET = 2_600_000
VALUES_BUDGET = 1_300_000
"""bytes of base64 that the keys (f32), and the values (f32, else f16) of all tokens may take in a page on disk"""


@dataclass(frozen=True)
class Traced:
    """One input's forward: the layers for the page, and what other parts go on from."""

    captured: Captured
    layers: ClassTokenLayers
    embeddings: TokenEmbeddings
    states_ND: np.ndarray
    final_D: np.ndarray
    outcome_BC: Tensor

    def entering(self, layer: int) -> Tensor:
        """All tokens' states that enter a layer (1, L, D)."""
        if layer:
            return self.captured.parts["states"][layer - 1]
        assert self.captured.embeddings_BLD is not None
        return self.captured.embeddings_BLD


@torch.no_grad()
def trace_of(subject: Subject, prepared: WalkInput) -> Traced:
    """Trace one input. The class token's states are (N + 1, D): what enters block 0, then what leaves each block."""
    embeddings = embeddings_of(native(subject), prepared.tokens)
    return _seen(subject, capture(subject, prepared.tokens, PARTS), embeddings, prepared.watched)


@torch.no_grad()
def seen_from(subject: Subject, traced: Traced, watched: int) -> Traced:
    """The same forward with another class token to watch."""
    return _seen(subject, traced.captured, traced.embeddings, watched)


def _seen(subject: Subject, captured: Captured, embeddings: TokenEmbeddings, watched: int) -> Traced:
    assert captured.embeddings_BLD is not None
    every = torch.cat((captured.embeddings_BLD[:, None], captured.stack("states")), 1)[0]
    layers = _layers(native(subject), captured, every, watched)
    final = numbers(captured.states.last_BLD[0, watched])
    return Traced(captured, layers, embeddings, numbers(every[:, watched]), final, captured.outcome_BC)


def _layers(encoder: Encoder, captured: Captured, every_NLD: Tensor, watched: int) -> ClassTokenLayers:
    def row(part: str) -> np.ndarray:
        return numbers(captured.stack(part)[0][:, :, watched])

    weights, values = captured.stack("weights")[0], captured.stack("values")[0]
    attention = captured.stack("attention")[0][:, watched]
    middle = [
        every_NLD[i, watched] + attention[i]
        if encoder.shape.block.order == "pre"
        else encoder.block(i).attention_norm(every_NLD[i, watched] + attention[i])
        for i in range(encoder.depth)
    ]
    return ClassTokenLayers(
        scores=np.maximum(row("scores"), np.float32(-1e30)),
        weights=row("weights"),
        back=numbers(weights[..., watched]),
        heads=row("heads"),
        attention=numbers(attention),
        middle=numbers(torch.stack(middle)),
        feedforward=numbers(captured.stack("feedforward")[0][:, watched]),
        states=numbers(every_NLD[:, watched]),
        queries=row("queries"),
        keys=numbers(captured.stack("keys")[0]),
        values=numbers(values),
        context=numbers(torch.einsum("nhl,nhlk->nhk", weights[:, :, watched], values)),
        used=np.stack([_used(encoder, i, weights[i, :, watched], values[i]) for i in range(encoder.depth)]),
        norms=numbers(every_NLD.norm(dim=-1)).astype(np.float16),
    )


def _used(encoder: Encoder, layer: int, weights_HL: Tensor, values_HLK: Tensor) -> np.ndarray:
    """|weight * scale * W_O[h] v| for every head and token (H, L)."""
    attention, scale = encoder.block(layer).attention, encoder.block(layer).attention_scale
    output_DHK = attention.output.weight.unflatten(1, (attention.heads, attention.head_size))
    if scale is not None:
        output_DHK = output_DHK * scale.weight[:, None, None]
    return numbers(weights_HL * torch.einsum("hlk,dhk->hld", values_HLK, output_DHK).norm(dim=-1))


def embeddings_of(encoder: Encoder, tokens: Tokens) -> TokenEmbeddings:
    """Vectors before positions, positions, and what enters block 0, (L, D) each.

    before + position is exactly what enters the stem's norm (or block 0, where the stem has none). Stems that project
    to D after their norm (ALBERT), and positions that enter elsewhere, give no position of their own.
    """
    stem = encoder.stem
    held: list[Tensor] = []
    handle = stem.norm.register_forward_pre_hook(lambda _, inputs: held.append(inputs[0].detach()))
    try:
        after_LD = capture_embeddings(encoder, tokens)
    finally:
        handle.remove()
    summed_LD = held[0][0]
    position_LD = _positions(stem, tokens)
    if position_LD is None or summed_LD.shape[-1] != after_LD.shape[-1]:
        return TokenEmbeddings(numbers(after_LD), None, numbers(after_LD))
    before = summed_LD - position_LD
    if isinstance(stem, ImageEmbedding) and stem.class_token is not None:
        before[tokens.roles_BL[0] == Role.CLASS] = stem.class_token.detach().flatten(0, -2)
    plain = isinstance(stem.norm, nn.Identity)
    return TokenEmbeddings(numbers(before), numbers(position_LD), None if plain else numbers(after_LD))


def capture_embeddings(encoder: Encoder, tokens: Tokens) -> Tensor:
    """What enters block 0, (L, D), of a batch of one."""
    with torch.no_grad():
        states = encoder(tokens, layers=("embeddings",))
    return states.layers["embeddings"][0]


def _positions(stem: nn.Module, tokens: Tokens) -> Tensor | None:
    """The position vector of every token (L, D); zeros for roles without one."""
    roles = tokens.roles_BL[0]
    if isinstance(stem, TextEmbedding):
        if stem.position is None:
            return None
        order = torch.arange(len(roles), device=roles.device)
        return stem.position.weight.detach()[order + stem.offset]
    assert isinstance(stem, ImageEmbedding)
    if stem.position is None:
        return None
    place, found = 0, torch.zeros(len(roles), stem.position.shape[-1], device=roles.device)
    table = stem.position.detach()
    for role, count in stem.prefix:
        if count:
            found[roles == role] = table[place : place + count]
        place += count
    if Role.CONTENT in stem.shape.positioned and tokens.grid is not None:
        patches = stem._patch_positions(table[place:], (tokens.grid,), int((roles == Role.CONTENT).sum()))
        found[roles == Role.CONTENT] = patches
    return found


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
