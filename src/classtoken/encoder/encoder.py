"""The class-token transformer, from tokens to states.

    stem        word pieces or patches become vectors; class tokens, registers and positions join them
    blocks      every token reads the others (attention), then works on what it read (feed-forward)
    final norm  one state per token

There is one encoder for all families; `Shape` holds everything in which they differ. Pooling is done elsewhere.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from classtoken.encoder.attention import View, take_rows
from classtoken.encoder.block import Block
from classtoken.encoder.groups import Group, Packing, filled, order_of, pack_rows, padded_group, whole
from classtoken.encoder.initial import initialise
from classtoken.encoder.module import PlainModule
from classtoken.encoder.parts import make_norm
from classtoken.encoder.position import bucket, counted_angles, grid_angles, resize_table, table_index, text_angles
from classtoken.encoder.products import Products, StraightBlock
from classtoken.encoder.shape import ImageStem, Shape, TextStem
from classtoken.encoder.stem import ImageEmbedding, TextEmbedding
from classtoken.errors import ModelError, TraceError
from classtoken.tensors import States, Tokens, Trace
from classtoken.values import Layout, Role

Layer = int | str


class Encoder(PlainModule):
    """Tokens in, one state per token out."""

    packable = True
    stepwise = True

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.recompute = False
        """whether training keeps only what enters each block, and computes the rest again for its gradients"""
        self.stem = ImageEmbedding(shape) if isinstance(shape.stem, ImageStem) else TextEmbedding(shape)
        sets = shape.block.shared or shape.depth
        self.blocks = nn.ModuleList(Block(shape, first=i == 0) for i in range(sets))
        self.final_norm = make_norm(shape.block, shape.hidden_size) if shape.block.final_norm else nn.Identity()
        position = shape.position
        self.buckets = nn.Embedding(position.buckets, shape.block.heads) if position.buckets else None
        self.tables = (
            nn.ModuleList(self._make_table() for _ in range(shape.depth)) if position.tables == "block" else None
        )
        self.table = self._make_table() if position.tables == "shared" else None

    @property
    def depth(self) -> int:
        """N, the number of blocks."""
        return self.shape.depth

    @property
    def hidden_size(self) -> int:
        """D, the size of a state."""
        return self.shape.hidden_size

    @property
    def heads(self) -> int:
        """H, attention heads of a block."""
        return self.shape.block.heads

    @property
    def causal(self) -> bool:
        """True when a token attends only to itself and those before it."""
        return self.shape.block.causal

    @property
    def positions(self) -> int | None:
        """Tokens of a text for which there is a learned or fixed position; None: no such limit."""
        stem = self.shape.stem
        return stem.positions - stem.position_offset if isinstance(stem, TextStem) and stem.positions else None

    @property
    def vocabulary(self) -> int | None:
        """Word pieces that have a row in the table of embeddings; None where there is no such table."""
        return self.shape.stem.vocabulary if isinstance(self.shape.stem, TextStem) else None

    @property
    def kinds(self) -> int:
        """Kinds of tokens (`token_type_ids`) that it tells apart; all tokens are of kind 0 here."""
        return self.shape.stem.kinds if isinstance(self.shape.stem, TextStem) else 0

    @property
    def layout(self) -> Layout:
        """Roles in order, at the native size."""
        return self.shape.layout

    @property
    def patch(self) -> int | None:
        """Pixels on one side of a patch; None for texts."""
        stem = self.shape.stem
        return stem.patch if isinstance(stem, ImageStem) else None

    @property
    def open_weights(self) -> bool:
        """Whether its matrices are plain numbers; not where a backend has put modules of its own in their place."""
        return all(isinstance(self.block(i).attention.output, nn.Linear) for i in range(len(self.blocks)))

    @property
    def trainable(self) -> bool:
        """Gradients reach the weights: they are plain numbers."""
        return self.open_weights

    @property
    def gaps(self) -> tuple[str, ...]:
        """Trace names that it cannot give: none, but `heads` where the output matrix cannot be taken apart."""
        return () if self.open_weights else ("heads",)

    def block(self, i: int) -> Block:
        """Block i; ALBERT's blocks share their weights."""
        module = self.blocks[i * len(self.blocks) // self.depth]
        assert isinstance(module, Block)
        return module

    def initialise(self, seed: int = 0) -> "Encoder":
        """Fresh weights for training from scratch; see `encoder.initial`."""
        initialise(self, seed)
        return self

    def forward(
        self,
        tokens: Tokens,
        *,
        layers: Sequence[Layer] = (),
        rows: Collection[Role] | None = None,
        trace: Trace | None = None,
        packed: bool = False,
        fast: Products | None = None,
    ) -> States:
        """States after the final norm, and after the blocks named in `layers` (from 0; negative from the end;
        "embeddings" is what enters block 0), without it.

        rows: roles whose states are wanted. The last block then computes only their queries, which is exact; done where
            every row has the same number of them and no earlier layer is asked for. `States.roles_BL` says what came.
        trace: called with every internal value (`tensors.Trace`).
        packed: texts only: no padding is computed at all. States come back padded, zeros at padding.
        fast: other ways to compute the products of the blocks (`products.products_of`), without gradients.
        """
        if fast is not None and fast.straight is not None and trace is None and self._of_one_length(tokens, packed):
            return self._straight_on(tokens, layers, rows, fast, fast.straight)
        packing: Packing | None = None
        if tokens.ids_BL is None:
            x, grid = self._image(tokens)
            roles_BL = tokens.roles_BL
            groups: tuple[Group, ...] = (padded_group(roles_BL),)
        else:
            if not isinstance(self.stem, TextEmbedding):
                raise ModelError("this is an image model and the batch holds texts.")
            grid, roles_BL = None, tokens.roles_BL
            if packed and trace is not None:
                raise TraceError("a packed batch cannot be traced; give packed=False.")
            if packed and (whole(roles_BL.numel()) > roles_BL.numel() or bool((roles_BL == Role.PAD).any())):
                packing = pack_rows(roles_BL)
                groups = packing.groups
                order = torch.cat([g.order_BL.expand(g.rows, -1).flatten() for g in groups])
                x = self.stem(packing.pack(tokens.ids_BL), filled(order))
            else:
                groups = (padded_group(roles_BL),)
                x = self.stem(tokens.ids_BL, order_of(roles_BL != Role.PAD))
        if trace is not None:
            x = trace("embeddings", x)
        wanted = {layer if isinstance(layer, str) else self._layer(layer) for layer in layers}
        kept: dict[Layer, Tensor] = {"embeddings": x} if "embeddings" in wanted else {}
        queries = self._queries(groups, roles_BL, rows) if wanted <= {self.depth - 1} else None
        for i in range(self.depth):
            views = [
                self.view(i, g, grid, x, queries[n] if queries and i == self.depth - 1 else None)
                for n, g in enumerate(groups)
            ]
            x = self._after_block(i, x, views, trace, fast)
            if i in wanted:
                kept[i] = x
        last = self.final_norm(x)
        if trace is not None:
            last = trace("final", last)
        return self._states(last, kept, layers, roles_BL, grid, packing, queries)

    # -- parts of the forward ------------------------------------------------------------------------------------------

    @staticmethod
    def _of_one_length(tokens: Tokens, packed: bool) -> bool:
        """Pictures, or one text without padding where padding is not to be computed."""
        if tokens.ids_BL is None:
            return tokens.pixels is not None and tokens.grids is None
        return (
            packed
            and len(tokens) == 1
            and tokens.roles_BL.shape[1] > 0
            and not bool((tokens.roles_BL == Role.PAD).any())
        )

    def _straight_on(
        self,
        tokens: Tokens,
        layers: Sequence[Layer],
        rows: Collection[Role] | None,
        fast: Products,
        blocks: Sequence[StraightBlock],
    ) -> States:
        """`forward` for rows of one length, by blocks that need no more; the last one as ever where few are wanted."""
        roles_BL, grid = tokens.roles_BL, None
        if tokens.ids_BL is None:
            x, grid = self._image(tokens)
            x = x.flatten(0, 1)
        else:
            if not isinstance(self.stem, TextEmbedding):
                raise ModelError("this is an image model and the batch holds texts.")
            order = torch.arange(roles_BL.shape[1], device=roles_BL.device)
            x = self.stem(filled(tokens.ids_BL[0]), filled(order))
        wanted = {layer if isinstance(layer, str) else self._layer(layer) for layer in layers}
        groups = (padded_group(roles_BL),)
        queries = self._queries(groups, roles_BL, rows) if wanted <= {self.depth - 1} else None
        batch, length = roles_BL.shape

        def in_rows(x: Tensor) -> Tensor:
            return x[: batch * length].view(batch, length, -1)

        kept: dict[Layer, Tensor] = {"embeddings": in_rows(x)} if "embeddings" in wanted else {}
        for i, block in enumerate(blocks):
            if queries is not None and i == self.depth - 1:
                views = [self.view(i, groups[0], grid, x, queries[0])]
                x = self.block(i)(in_rows(x), views, None, "", fast.blocks[i])
            else:
                x = block(x, batch, length)
            if i in wanted:
                kept[i] = x if queries is not None else in_rows(x)
        last = self.final_norm(x) if queries is not None else in_rows(self.final_norm(x))
        return self._states(last, kept, layers, roles_BL, grid, None, queries)

    def _image(self, tokens: Tokens) -> tuple[Tensor, tuple[int, int] | None]:
        if tokens.pixels is None or not isinstance(self.stem, ImageEmbedding):
            raise ModelError("this is a text model and the batch holds images.")
        return self.stem(tokens.pixels, tokens.grids)

    def _after_block(
        self, i: int, x: Tensor, views: Sequence[View], trace: Trace | None, fast: Products | None
    ) -> Tensor:
        if self.recompute and self.training and torch.is_grad_enabled():
            return checkpoint(self.block(i), x, views, trace, f"blocks.{i}", use_reentrant=False)
        return self.block(i)(x, views, trace, f"blocks.{i}", None if fast is None else fast.blocks[i])

    def _layer(self, layer: int) -> int:
        at = layer + self.depth if layer < 0 else layer
        if not 0 <= at < self.depth:
            raise ModelError(f"there is no block {layer}: this model has blocks 0 to {self.depth - 1}.")
        return at

    def _queries(self, groups: Sequence[Group], roles_BL: Tensor, rows: Collection[Role] | None) -> list[Tensor] | None:
        """Per group, the places (B, R) of the wanted tokens; None when they cannot be had alone."""
        if rows is None:
            return None
        wanted = torch.tensor(sorted(rows), device=roles_BL.device)
        keep = [torch.isin(g.roles_BL, wanted) for g in groups]
        counts = torch.cat([k.sum(1) for k in keep]) if keep else torch.zeros(1)
        if counts.numel() == 0 or int(counts.min()) != int(counts.max()) or int(counts[0]) == 0:
            return None
        return [k.nonzero()[:, 1].view(len(k), -1) for k in keep]

    def view(
        self, i: int, group: Group, grid: tuple[int, int] | None, x: Tensor, queries: Tensor | None = None
    ) -> View:
        """Mask, bias and rotary angles of block i for a group of rows; a forward that begins in the middle needs it."""
        block, position = self.shape.block, self.shape.position
        mask = group.attention_mask(block.causal, block.windows[i] if block.windows else 0)
        bias: Tensor | None = None
        if self.buckets is not None:
            places = bucket(group.distance(), position.buckets, position.bucket_reach)
            bias = self.buckets(places).permute(0, 3, 1, 2)
        table = self.table if self.tables is None else self.tables[i]
        if table is not None:
            assert isinstance(table, nn.Embedding)
            bias = self._table_bias(table, grid)
        return View(group, mask, bias, self._angles(i, group, grid), queries)

    def _angles(self, i: int, group: Group, grid: tuple[int, int] | None) -> Tensor | None:
        """Rotary angles of block i, (b, L, K); zero for tokens that have no place in the patch grid."""
        bases = self.shape.position.rotary
        if not bases or not bases[i]:
            return None
        if not self.shape.position.rotary_grid:
            return text_angles(group.order_BL, self.shape.head_size, bases[i])
        assert grid is not None
        size, counted, device = self.shape.head_size, self.shape.position.counted, group.roles_BL.device
        patches_PK = (
            grid_angles(grid, size, bases[i], device)
            if counted is None
            else counted_angles(grid, size, bases[i], counted, device)
        )
        angles = patches_PK.new_zeros(group.length, patches_PK.shape[-1])
        angles[group.roles_BL[0] == Role.CONTENT] = patches_PK
        return angles[None]

    def _states(
        self,
        last: Tensor,
        kept: dict[Layer, Tensor],
        layers: Sequence[Layer],
        roles_BL: Tensor,
        grid: tuple[int, int] | None,
        packing: Packing | None,
        queries: list[Tensor] | None,
    ) -> States:
        if packing is not None and queries is None:
            last, kept = packing.unpack(last), {k: packing.unpack(v) for k, v in kept.items()}
        elif packing is not None and queries is not None:
            last, kept = self._unpack_rows(last, kept, packing, queries)
            roles_BL = self._wanted_roles(packing.groups, queries, packing)
        elif queries is not None:
            roles_BL = roles_BL.gather(1, queries[0])
        named = {name: kept[name if isinstance(name, str) else self._layer(name)] for name in layers}
        return States(last, roles_BL, grid, named, self.final_norm)

    def _unpack_rows(
        self, last: Tensor, kept: dict[Layer, Tensor], packing: Packing, queries: list[Tensor]
    ) -> tuple[Tensor, dict[Layer, Tensor]]:
        """Back to the order of the rows, for states of the wanted tokens only."""
        wanted = queries[0].shape[1]
        order = self._row_order(packing)

        def restore(x: Tensor) -> Tensor:
            there = x[: len(order) * wanted].view(-1, wanted, x.shape[-1])
            return x.new_zeros((packing.shape[0], wanted, x.shape[-1])).index_copy(0, order, there)

        return restore(last), {k: restore(v) for k, v in kept.items()}

    @staticmethod
    def _row_order(packing: Packing) -> Tensor:
        starts, at = [], 0
        for g in packing.groups:
            starts.append(packing.index_T[at : at + g.rows * g.length : g.length] // packing.shape[1])
            at += g.rows * g.length
        return torch.cat(starts)

    def _wanted_roles(self, groups: Sequence[Group], queries: list[Tensor], packing: Packing) -> Tensor:
        found = torch.cat([g.roles_BL.gather(1, q) for g, q in zip(groups, queries, strict=True)])
        roles = found.new_full((packing.shape[0], found.shape[1]), int(Role.PAD))
        return roles.index_copy(0, self._row_order(packing), found)

    def _make_table(self) -> nn.Embedding:
        stem = self.shape.stem
        assert isinstance(stem, ImageStem)
        return nn.Embedding((2 * stem.grid[0] - 1) * (2 * stem.grid[1] - 1) + 3, self.heads)

    def _table_bias(self, table: nn.Embedding, grid: tuple[int, int] | None) -> Tensor:
        """(1, H, L, L): one bias per pair of tokens, from a relative position table brought to the image's grid."""
        assert isinstance(self.shape.stem, ImageStem)
        assert grid is not None
        entries_TH = resize_table(table.weight, self.shape.stem.grid, grid)
        return entries_TH[table_index(grid, entries_TH.device)].permute(2, 0, 1)[None]


__all__ = ["Encoder", "take_rows"]
