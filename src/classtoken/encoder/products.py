"""The fast products of an encoder's blocks, and the blocks that need nothing else.

    BlockProducts   queries, keys and values in one; the activation inside the product before it, the residual stream
                    inside the one that adds to it, a layer scale inside its weights
    StraightBlock   a block on rows of one length, for one text and for pictures: what `Block` computes, without what
                    several lengths in a batch, masks, positions inside the attention and traces need. A text of ten
                    tokens is two million multiplications a product; what Python does between them then counts

The modules of the encoder stay what they are, and are the reference: what is traced or trained runs on them. `Products`
is an argument of the forward, as a trace is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.kernels import AGREE, Int8, Kind, LaidOut, Plain, Product, attend, between, right, slower

Norm = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BlockProducts:
    """The products of one block. In the last one queries have a product of their own, since few may be wanted."""

    inputs: Product | None
    """queries, keys and values in one"""
    query: Product | None
    key_value: Product | None
    output: Product
    """adds to the residual stream, as `down` does"""
    up: Product
    """activated, where it is not gated"""
    gate: Product | None
    """activated"""
    norm: nn.Module
    """of what `down` takes"""
    down: Product

    def queries_keys_values(self, x: Tensor, wanted: Tensor, sizes: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Projections of `x`, the queries of the wanted tokens alone; `sizes` of a query and of a key."""
        inner, inner_kv = sizes
        if self.inputs is not None:
            return self.inputs(x).split((inner, inner_kv, inner_kv), -1)
        assert self.query is not None
        assert self.key_value is not None
        keys, values = self.key_value(x).split((inner_kv, inner_kv), -1)
        return self.query(wanted), keys, values

    def feedforward(self, x: Tensor, residual: Tensor) -> Tensor:
        """residual + down(norm(activate(up(x)))), or gated."""
        return self.down(self.norm(self.up(x) if self.gate is None else self.gate(x) * self.up(x)), residual)


@dataclass(frozen=True)
class StraightBlock:
    """One block on T tokens in rows of `length`, one row after another; tokens behind the rows only fill up."""

    products: BlockProducts
    attention_norm: Norm
    feedforward_norm: Norm
    pre: bool
    heads: int
    scale: float

    def __call__(self, x: Float[Tensor, "T D"], rows: int, length: int) -> Float[Tensor, "T D"]:
        """States after this block. Tokens that fill up come behind one row; they attend to nothing and are not read."""
        y = self.attended(self.attention_norm(x) if self.pre else x, x, rows, length)
        if not self.pre:
            y = self.attention_norm(y)
        y = self.products.feedforward(self.feedforward_norm(y) if self.pre else y, y)
        return y if self.pre else self.feedforward_norm(y)

    def attended(self, x: Tensor, residual: Tensor, rows: int, length: int) -> Tensor:
        """residual + attention(x)."""
        fast, tokens = self.products, len(x)
        if fast.inputs is not None:
            q, k, v = fast.inputs(x).view(rows, tokens // rows, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        else:
            q, k, v = fast.queries_keys_values(x, x, (residual.shape[-1],) * 2)
            q, k, v = (t.view(rows, tokens // rows, self.heads, -1).transpose(1, 2) for t in (q, k, v))
        fill = tokens - rows * length
        if fill:
            q, k, v = q[:, :, :length], k[:, :, :length], v[:, :, :length]
        z = attend(q, k, v, None, self.scale).transpose(1, 2).reshape(rows * length, -1)
        return fast.output(nn.functional.pad(z, (0, 0, 0, fill)) if fill else z, residual)


@dataclass(frozen=True)
class Products:
    """The products of every block of an encoder, and by which means they are computed."""

    blocks: tuple[BlockProducts, ...]
    straight: tuple[StraightBlock, ...] | None
    """None where an attention needs more than the fused kernel"""
    name: str


def products_of(encoder: Any, kind: Kind | None = None) -> Products | None:
    """Fast products for the blocks of an encoder that is on a CPU; None where the plain modules are as good.

    kind: `Int8`, `LaidOut`; None for what is quickest in the encoder's own precision. Raises nothing: what this build
    of torch cannot do is computed plainly, which is said once.
    """
    weight = encoder.block(0).feedforward.up.weight
    if weight.device.type != "cpu" or weight.dtype not in AGREE:
        return None
    if kind is None:
        kind = LaidOut if not slower(weight.dtype, *weight.shape) else Plain
    if kind is Plain or not right(kind, between() if kind is Int8 else weight.dtype):
        return None
    distinct = len(encoder.blocks)
    made = [
        _block(encoder.blocks[i], kind, apart=distinct < encoder.depth or i == distinct - 1) for i in range(distinct)
    ]
    blocks = tuple(made[i * distinct // encoder.depth] for i in range(encoder.depth))
    return Products(blocks, _straight(encoder, blocks), kind.name)


def _block(block: Any, kind: Kind, *, apart: bool) -> BlockProducts:
    attention, feedforward = block.attention, block.feedforward

    def one(layer: nn.Linear, activation: str = "identity") -> Product:
        return kind(layer.weight, layer.bias, activation)

    def adding(layer: nn.Linear, scale: Any) -> Product:
        if scale is None:
            return kind(layer.weight, layer.bias)
        factor = scale.weight.detach()
        return kind(layer.weight * factor[:, None], None if layer.bias is None else layer.bias * factor)

    def joined(layers: Sequence[nn.Linear]) -> Product:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        if all(layer.bias is None for layer in layers):
            return kind(weight, None, "identity")
        biases: list[Tensor] = [
            weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias for layer in layers
        ]
        return kind(weight, torch.cat(biases), "identity")

    query, key, value = attention.query, attention.key, attention.value
    gated = feedforward.gate is not None
    return BlockProducts(
        inputs=None if apart else joined([query, key, value]),
        query=one(query) if apart else None,
        key_value=joined([key, value]) if apart else None,
        output=adding(attention.output, block.attention_scale),
        up=one(feedforward.up, "identity" if gated else feedforward.activation),
        gate=one(feedforward.gate, feedforward.activation) if gated else None,
        norm=feedforward.norm,
        down=adding(feedforward.down, block.feedforward_scale),
    )


def _straight(encoder: Any, products: Sequence[BlockProducts]) -> tuple[StraightBlock, ...] | None:
    block, position = encoder.shape.block, encoder.shape.position
    grouped = block.key_value_heads not in (None, block.heads)
    resized = block.head_size not in (None, encoder.shape.hidden_size // block.heads)
    inside = any(position.rotary) or position.buckets or position.tables != "none"
    if grouped or resized or inside or block.head_norm or block.causal or any(block.windows):
        return None
    return tuple(
        StraightBlock(
            made,
            _norm(encoder.block(i).attention_norm),
            _norm(encoder.block(i).feedforward_norm),
            encoder.block(i).pre,
            block.heads,
            encoder.block(i).attention.scale,
        )
        for i, made in enumerate(products)
    )


def _norm(module: nn.Module) -> Norm:
    """The norm without what a module's call does around it."""
    if not isinstance(module, nn.LayerNorm):
        return module
    size, weight, bias, eps = list(module.normalized_shape), module.weight, module.bias, module.eps
    return lambda x: torch.layer_norm(x, size, weight, bias, eps)
