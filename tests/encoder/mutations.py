"""Deliberate mistakes, each of a kind that somebody has made: one change in how the encoder or a readout computes.

A mutation is applied with pytest's `monkeypatch` before the checkpoint is loaded, so it may change how modules are
built as well as what they do.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classtoken.encoder import attention, block, encoder, groups, kernels, names, parts, products, stem
from classtoken.encoder.attention import Attention, View
from classtoken.encoder.block import Block
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.groups import Group, Packing
from classtoken.encoder.parts import FeedForward, Scale
from classtoken.encoder.stem import ImageEmbedding, TextEmbedding
from classtoken.pooling import base, fixed
from classtoken.readout import Readout, own
from classtoken.values import TEXT_POOLED, Role

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutation:
    """A mistake, the cases that must notice it, and how it is made."""

    name: str
    cases: tuple[str, ...]
    make: Callable[[Patch], None]


MUTATIONS: list[Mutation] = []


def mistake(name: str, *cases: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Put the function that makes the mistake into the battery."""

    def add(make: Callable[[Patch], None]) -> Callable[[Patch], None]:
        MUTATIONS.append(Mutation(name, cases, make))
        return make

    return add


def built_otherwise(patch: Patch, kind: type, change: Callable[[Any], None]) -> None:
    """Do something to every new instance of a module class."""
    original = kind.__init__

    def build(self: Any, *args: Any, **named: Any) -> None:
        original(self, *args, **named)
        change(self)

    patch.setattr(kind, "__init__", build)


def run_without(patch: Patch, kind: type, method: str, part: str) -> None:
    """Run a method as if one of the module's parts did nothing."""
    original = getattr(kind, method)

    def run(self: Any, *args: Any, **named: Any) -> Any:
        kept = getattr(self, part)
        setattr(self, part, nn.Identity())
        try:
            return original(self, *args, **named)
        finally:
            setattr(self, part, kept)

    patch.setattr(kind, method, run)


# -- who sees whom ----------------------------------------------------------------------------------------------------


def masked_otherwise(patch: Patch, change: Callable[[bool, int], tuple[bool, int]]) -> None:
    original = Group.attention_mask
    patch.setattr(Group, "attention_mask", lambda self, causal, window: original(self, *change(causal, window)))


@mistake("window one too narrow", "modernbert", "qwen3 with windows")
def _(patch: Patch) -> None:
    masked_otherwise(patch, lambda causal, window: (causal, max(window - 1, 0)))


@mistake("window one too wide", "modernbert", "qwen3 with windows")
def _(patch: Patch) -> None:
    masked_otherwise(patch, lambda causal, window: (causal, window + 1 if window else 0))


@mistake("window in every block", "modernbert")
def _(patch: Patch) -> None:
    masked_otherwise(patch, lambda causal, window: (causal, 2))


@mistake("causal mask dropped", "qwen3", "clip text", "bert as a decoder")
def _(patch: Patch) -> None:
    masked_otherwise(patch, lambda causal, window: (False, window))


@mistake("causal mask where there is none", "bert", "siglip text", "vit")
def _(patch: Patch) -> None:
    masked_otherwise(patch, lambda causal, window: (True, window))


@mistake("padding attended", "bert", "t5 encoder", "modernbert", "siglip2 vision")
def _(patch: Patch) -> None:
    original = encoder.padded_group

    def group(roles_BL: Tensor) -> Group:
        masked = original(roles_BL)
        return Group(masked.rows, masked.length, masked.order_BL, masked.roles_BL, None)

    patch.setattr(encoder, "padded_group", group)


@mistake("positions counted from the padded row", "bert", "roberta", "distilbert", "mpnet")
def _(patch: Patch) -> None:
    def order(mask_BL: Tensor) -> Tensor:
        return torch.arange(mask_BL.shape[1]).expand(len(mask_BL), -1)

    patch.setattr(encoder, "order_of", order)
    patch.setattr(groups, "order_of", order)
    # RoBERTa's and MPNet's places are counted by the ids of the padding as well, which alone would put this right.
    patch.setattr(stem.TextEmbedding, "_places", lambda self, ids, order: order + self.offset)


# -- norms and activations --------------------------------------------------------------------------------------------


@mistake("quick gelu with 1.7", "clip text", "clip vision")
def _(patch: Patch) -> None:
    patch.setitem(parts.ACTIVATIONS, "quick_gelu", lambda x: x * torch.sigmoid(1.7 * x))


@mistake("exact gelu for the tanh one", "albert", "siglip text", "siglip vision", "t5 encoder, gated")
def _(patch: Patch) -> None:
    patch.setitem(parts.ACTIVATIONS, "gelu_tanh", F.gelu)


@mistake("tanh gelu for the exact one", "bert", "vit", "dinov2")
def _(patch: Patch) -> None:
    patch.setitem(parts.ACTIVATIONS, "gelu", lambda x: F.gelu(x, approximate="tanh"))


def norms(patch: Patch, change: Callable[[nn.Module], None]) -> None:
    original = parts.make_norm

    def make(*args: Any) -> nn.Module:
        norm = original(*args)
        change(norm)
        return norm

    for module in (stem, block, encoder):
        patch.setattr(module, "make_norm", make)


@mistake("norm eps of another library", "bert", "roberta", "t5 encoder", "qwen3", "vit", "clip text", "dinov2")
def _(patch: Patch) -> None:
    norms(patch, lambda norm: setattr(norm, "eps", 1e-5))


@mistake("norm before instead of after, and after instead of before", "bert", "vit", "nomic_bert", "t5 encoder")
def _(patch: Patch) -> None:
    built_otherwise(patch, Block, lambda self: setattr(self, "pre", not self.pre))


@mistake("final norm dropped", "vit", "modernbert", "t5 encoder", "qwen3", "clip text", "siglip vision")
def _(patch: Patch) -> None:
    run_without(patch, Encoder, "forward", "final_norm")


@mistake("norm of the stem dropped", "bert", "clip vision", "modernbert", "electra")
def _(patch: Patch) -> None:
    run_without(patch, TextEmbedding, "forward", "norm")
    run_without(patch, ImageEmbedding, "forward", "norm")


@mistake("a norm before the first attention of ModernBERT", "modernbert")
def _(patch: Patch) -> None:
    original = Block.forward

    def forward(self: Block, x: Tensor, *args: Any) -> Tensor:
        kept = self.attention_norm
        if isinstance(kept, nn.Identity):
            self.attention_norm = nn.LayerNorm(x.shape[-1])
        try:
            return original(self, x, *args)
        finally:
            self.attention_norm = kept

    patch.setattr(Block, "forward", forward)


@mistake("layers kept after the final norm", "vit", "modernbert", "qwen3")
def _(patch: Patch) -> None:
    original = Encoder._states

    def states(self: Encoder, last: Tensor, kept: dict, *rest: Any) -> Any:
        return original(self, last, {name: self.final_norm(x) for name, x in kept.items()}, *rest)

    patch.setattr(Encoder, "_states", states)


# -- attention --------------------------------------------------------------------------------------------------------


def rotated_without(patch: Patch, part: str) -> None:
    run_without(patch, Attention, "split_and_rotate", part)


@mistake("key norm dropped", "qwen3")
def _(patch: Patch) -> None:
    rotated_without(patch, "key_norm")


@mistake("query norm dropped", "qwen3")
def _(patch: Patch) -> None:
    rotated_without(patch, "query_norm")


@mistake("T5's scores scaled", "t5 encoder")
def _(patch: Patch) -> None:
    built_otherwise(patch, Attention, lambda self: setattr(self, "scale", self.head_size**-0.5))


@mistake("keys given to the wrong query heads", "qwen3")
def _(patch: Patch) -> None:
    patch.setattr(Tensor, "repeat_interleave", lambda self, n, dim: self.repeat(1, n, 1, 1))


@mistake("query and key exchanged in the fused weight", "modernbert", "nomic_bert")
def _(patch: Patch) -> None:
    original = names.Rename.targets.fget

    def targets(self: names.Rename) -> tuple[str, ...]:
        found = original(self)
        return (found[1], found[0], found[2]) if len(found) == 3 else found

    patch.setattr(names.Rename, "targets", property(targets))


@mistake("gate and up exchanged", "modernbert", "nomic_bert", "qwen3", "t5 encoder, gated", "dinov2 giant")
def _(patch: Patch) -> None:
    def forward(self: FeedForward, x: Tensor) -> Tensor:
        if self.gate is None:
            return self.down(self.activate(self.up(x)))
        return self.down(self.activate(self.up(x)) * self.gate(x))

    patch.setattr(FeedForward, "forward", forward)


@mistake("layer scale dropped", "dinov2", "dinov3", "beit", "data2vec-vision")
def _(patch: Patch) -> None:
    patch.setattr(Scale, "forward", lambda self, x: x)


@mistake("layer scale forgotten where attention is traced", "dinov2", "beit")
def _(patch: Patch) -> None:
    original = Attention.traced
    patch.setattr(
        Attention,
        "traced",
        lambda self, x, view, trace, name, scale: original(self, x, view, trace, name, None),
    )


@mistake("hidden keys seen where attention is traced", "bert", "qwen3", "modernbert")
def _(patch: Patch) -> None:
    original = Attention.traced

    def run(self: Attention, x: Tensor, view: View, *rest: Any) -> Tensor:
        return original(self, x, View(view.group, None, view.bias_BHLL, view.angles_BLK, view.queries_BR), *rest)

    patch.setattr(Attention, "traced", run)


@mistake("ALBERT's sets of weights taken in turn", "albert with two sets of weights")
def _(patch: Patch) -> None:
    patch.setattr(Encoder, "block", lambda self, i: self.blocks[i % len(self.blocks)])


# -- positions --------------------------------------------------------------------------------------------------------


@mistake("positions from one too early", "roberta", "mpnet", "xlm-roberta")
def _(patch: Patch) -> None:
    built_otherwise(patch, TextEmbedding, lambda self: setattr(self, "offset", self.offset - 1))


@mistake("buckets mirrored", "t5 encoder", "mpnet")
def _(patch: Patch) -> None:
    original = encoder.bucket
    patch.setattr(encoder, "bucket", lambda distance, buckets, reach: original(-distance, buckets, reach))


@mistake("buckets of the usual reach", "t5 encoder")
def _(patch: Patch) -> None:
    original = encoder.bucket
    patch.setattr(encoder, "bucket", lambda distance, buckets, reach: original(distance, buckets, 128))


@mistake("bucket biases in the first block only", "t5 encoder", "mpnet")
def _(patch: Patch) -> None:
    original = Encoder.view

    def view(self: Encoder, i: int, *rest: Any) -> View:
        made = original(self, i, *rest)
        return made if i == 0 else View(made.group, made.mask_BLL, None, made.angles_BLK, made.queries_BR)

    patch.setattr(Encoder, "view", view)


@mistake("rotary base of the other kind of block", "modernbert", "modernbert as published")
def _(patch: Patch) -> None:
    original = encoder.text_angles
    patch.setattr(
        encoder, "text_angles", lambda order, size, base: original(order, size, {70: 30.0, 30: 70.0}[int(base)])
    )


@mistake("rotary pairs side by side instead of in halves", "modernbert", "nomic_bert", "qwen3")
def _(patch: Patch) -> None:
    def rotate(x: Tensor, angles: Tensor) -> Tensor:
        half = angles.shape[-1] // 2
        angles = angles[:, None, :, :half].repeat_interleave(2, -1)
        other = torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-1).flatten(-2)
        return x * angles.cos() + other * angles.sin()

    patch.setattr(attention, "rotate", rotate)


@mistake("values rotated as well", "modernbert", "dinov3")
def _(patch: Patch) -> None:
    original = Attention.split_and_rotate

    def run(self: Attention, q: Tensor, k: Tensor, v: Tensor, view: View) -> tuple[Tensor, Tensor, Tensor]:
        made = original(self, q, k, v, view)
        assert view.angles_BLK is not None
        return made[0], made[1], attention.rotate(made[2], view.angles_BLK)

    patch.setattr(Attention, "split_and_rotate", run)


@mistake("patch centres off by half a patch", "dinov3")
def _(patch: Patch) -> None:
    original = encoder.grid_angles

    def angles(grid: tuple[int, int], size: int, base: float, device: torch.device) -> Tensor:
        half = original((2 * grid[0], 2 * grid[1]), size, base, device).unflatten(0, (2 * grid[0], 2 * grid[1]))
        return half[::2, ::2].flatten(0, 1)

    patch.setattr(encoder, "grid_angles", angles)


@mistake("rows and columns exchanged in rotary angles", "dinov3 at another size")
def _(patch: Patch) -> None:
    original = encoder.grid_angles

    def angles(grid: tuple[int, int], size: int, base: float, device: torch.device) -> Tensor:
        other_grid = original((grid[1], grid[0]), size, base, device).unflatten(0, (grid[1], grid[0]))
        return other_grid.transpose(0, 1).flatten(0, 1)

    patch.setattr(encoder, "grid_angles", angles)


@mistake("class token and registers rotated like patches", "dinov3")
def _(patch: Patch) -> None:
    original = Encoder._angles

    def angles(self: Encoder, i: int, group: Group, grid: tuple[int, int]) -> Tensor | None:
        made = original(self, i, group, grid)
        assert made is not None
        patches = (group.roles_BL[0] == Role.CONTENT)[None, :, None]
        return torch.where(patches, made, made[:, -1:])

    patch.setattr(Encoder, "_angles", angles)


@mistake("relative position table read from key to query", "beit", "data2vec-vision")
def _(patch: Patch) -> None:
    original = encoder.table_index
    patch.setattr(encoder, "table_index", lambda grid, device: original(grid, device).T)


@mistake("positions not brought to another size but cut", "vit at another size", "siglip vision at another size")
def _(patch: Patch) -> None:
    def cut(positions: Tensor, old: tuple[int, int], new: tuple[int, int], how: str) -> Tensor:
        return positions.repeat(9, 1)[: new[0] * new[1]]

    patch.setattr(stem, "resize_grid", cut)


@mistake("bilinear for bicubic", "vit at another size", "dinov2 at another size", "clip vision at another size")
def _(patch: Patch) -> None:
    original = stem.resize_grid
    patch.setattr(stem, "resize_grid", lambda positions, old, new, how: original(positions, old, new, "bilinear"))


# -- tokens -----------------------------------------------------------------------------------------------------------


@mistake("token type left out", "bert", "electra", "albert", "nomic_bert")
def _(patch: Patch) -> None:
    original = TextEmbedding.forward

    def forward(self: TextEmbedding, ids: Tensor, order: Tensor) -> Tensor:
        kept, self.kind = self.kind, None
        try:
            return original(self, ids, order)
        finally:
            self.kind = kept

    patch.setattr(TextEmbedding, "forward", forward)


def special(patch: Patch, change: Callable[[dict[Role, Tensor]], dict[Role, Tensor]]) -> None:
    original = ImageEmbedding._special
    patch.setattr(ImageEmbedding, "_special", lambda self: change(original(self)))


@mistake("registers in another order", "dinov2 with registers", "dinov3")
def _(patch: Patch) -> None:
    special(patch, lambda tokens: {role: t.flip(-2) if role == Role.REGISTER else t for role, t in tokens.items()})


@mistake("a register put where the class token belongs", "dinov2 with registers", "dinov3")
def _(patch: Patch) -> None:
    def change(tokens: dict[Role, Tensor]) -> dict[Role, Tensor]:
        every = torch.cat((tokens[Role.REGISTER], tokens[Role.CLASS]), dim=-2)
        return {Role.CLASS: every[..., :1, :], Role.REGISTER: every[..., 1:, :]}

    special(patch, change)


@mistake("class token and distillation token exchanged", "deit")
def _(patch: Patch) -> None:
    special(
        patch,
        lambda tokens: {Role.CLASS: tokens[Role.DISTILLATION], Role.DISTILLATION: tokens[Role.CLASS]},
    )


@mistake("class token without its position", "vit", "clip vision", "dinov2")
def _(patch: Patch) -> None:
    original = ImageEmbedding._special

    def tokens(self: ImageEmbedding) -> dict[Role, Tensor]:
        assert self.class_token is not None
        return original(self) | {Role.CLASS: self.class_token}

    patch.setattr(ImageEmbedding, "_special", tokens)


# -- readout, rows and packing ----------------------------------------------------------------------------------------


@mistake("the wrong rows of the last block", "bert", "vit", "modernbert", "qwen3")
def _(patch: Patch) -> None:
    original = Encoder._queries

    def queries(self: Encoder, *args: Any) -> Any:
        found = original(self, *args)
        return None if found is None else [(q + 1) % 5 for q in found]

    patch.setattr(Encoder, "_queries", queries)


@mistake("packed rows put back in the order of their lengths", "bert", "qwen3")
def _(patch: Patch) -> None:
    original = Packing.unpack
    patch.setattr(Packing, "unpack", lambda self, packed: original(self, packed).roll(1, 0))


@mistake("pooling over padding", "modernbert with a head on the mean")
def _(patch: Patch) -> None:
    def every(pooling: Any, roles_BL: Tensor, over: Any) -> Tensor:
        return torch.ones_like(roles_BL, dtype=torch.bool)

    patch.setattr(base, "kept", every)
    patch.setattr(fixed, "kept", every)


@mistake("pooling over class token and registers", "dinov2 with registers with a head", "clip vision with a head")
def _(patch: Patch) -> None:
    built_otherwise(patch, Readout, lambda self: setattr(self, "over", TEXT_POOLED))


@mistake("pooled output without its tanh", "bert", "vit", "roberta")
def _(patch: Patch) -> None:
    patch.setitem(own.ACTIVATIONS, "tanh", lambda x: x)


@mistake("pooled output of the first token instead of the last", "clip text", "siglip text")
def _(patch: Patch) -> None:
    patch.setattr(own.OneState, "_state", lambda self, states: states.last_BLD[:, 0])


# -- products on laid-out weights --------------------------------------------------------------------------------------


@mistake("a fused bias added twice", "bert", "vit")
def _(patch: Patch) -> None:
    original = kernels.LaidOut.__call__

    def call(self: kernels.LaidOut, *args: Any) -> Tensor:
        y = original(self, *args)
        return y if self.bias is None else y + self.bias

    patch.setattr(kernels.LaidOut, "__call__", call)


@mistake("keys and values of the fused product exchanged", "bert", "modernbert", "dinov2")
def _(patch: Patch) -> None:
    original = products.BlockProducts.queries_keys_values

    def split(self: products.BlockProducts, *args: Any) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = original(self, *args)
        return q, v, k

    patch.setattr(products.BlockProducts, "queries_keys_values", split)


@mistake("the tanh gelu fused for the exact one", "bert", "vit")
def _(patch: Patch) -> None:
    patch.setitem(kernels.FUSED, "gelu", kernels.FUSED["gelu_tanh"])


@mistake("the gate's activation on the other half", "modernbert", "qwen3")
def _(patch: Patch) -> None:
    def feedforward(self: products.BlockProducts, x: Tensor, residual: Tensor) -> Tensor:
        assert self.gate is not None
        return self.down(self.up(x), residual)

    patch.setattr(products.BlockProducts, "feedforward", feedforward)


@mistake("a branch of the fast products that does not add to the states", "bert", "vit", "modernbert")
def _(patch: Patch) -> None:
    original = kernels.LaidOut.__call__

    def call(self: kernels.LaidOut, x: Tensor, residual: Tensor | None = None) -> Tensor:
        return original(self, x)

    patch.setattr(kernels.LaidOut, "__call__", call)


@mistake("the layer scale left out of the laid-out weights", "dinov2")
def _(patch: Patch) -> None:
    original = products._block

    def block(module: Any, kind: Any, *, apart: bool) -> products.BlockProducts:
        down = module.feedforward.down
        return dataclasses.replace(original(module, kind, apart=apart), down=kind(down.weight, down.bias))

    patch.setattr(products, "_block", block)


@mistake("the products of the first block in every block", "bert", "vit")
def _(patch: Patch) -> None:
    first: dict[str, Any] = {}
    original = products.BlockProducts.feedforward

    def feedforward(self: products.BlockProducts, x: Tensor, residual: Tensor) -> Tensor:
        return original(dataclasses.replace(self, down=first.setdefault("down", self.down)), x, residual)

    patch.setattr(products.BlockProducts, "feedforward", feedforward)


@mistake("a text that is alone attends to what fills it up", "bert", "roberta")
def _(patch: Patch) -> None:
    original = products.StraightBlock.attended

    def attended(self: products.StraightBlock, x: Tensor, residual: Tensor, rows: int, length: int) -> Tensor:
        return original(self, x, residual, rows, len(x) // rows)

    patch.setattr(products.StraightBlock, "attended", attended)


@mistake("pictures of a batch attend to one another", "vit", "clip vision")
def _(patch: Patch) -> None:
    original = products.StraightBlock.attended

    def attended(self: products.StraightBlock, x: Tensor, residual: Tensor, rows: int, length: int) -> Tensor:
        return original(self, x, residual, 1, rows * length)

    patch.setattr(products.StraightBlock, "attended", attended)
