"""Self-attention: project, rotate, attend, merge. Fused; or written out where a trace reads or changes values."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from classtoken.encoder.groups import Group, filled
from classtoken.encoder.kernels import attend
from classtoken.encoder.position import halves, rotate
from classtoken.encoder.products import BlockProducts
from classtoken.encoder.shape import Shape
from classtoken.errors import TraceError
from classtoken.tensors import Trace


@dataclass(frozen=True)
class View:
    """What one block needs for one group of rows: attention mask, additive bias, rotary angles.

    `queries_BR`, where given, are the only tokens whose output is wanted (the class token in the last block).
    """

    group: Group
    mask_BLL: Bool[Tensor, "b 1 L L"] | None
    bias_BHLL: Float[Tensor, "b H L L"] | None
    angles_BLK: Float[Tensor, "b L K"] | None
    queries_BR: Int[Tensor, "B R"] | None = None

    def combined(self, dtype: torch.dtype) -> Tensor | None:
        """Mask and bias as one tensor for the attention kernel; None where there is neither."""
        allowed, bias = self.mask_BLL, self.bias_BHLL
        if bias is None:
            mask = allowed
        elif allowed is None:
            mask = bias.to(dtype)
        else:
            mask = bias.to(dtype).masked_fill(~allowed, -torch.inf)
        if mask is None or self.queries_BR is None:
            return mask
        index = self.queries_BR[:, None, :, None].expand(-1, mask.shape[1], -1, mask.shape[-1])
        return mask.expand(len(self.queries_BR), -1, -1, -1).gather(2, index)


def take_rows(x_BLD: Float[Tensor, "B L D"], rows_BR: Int[Tensor, "B R"]) -> Float[Tensor, "B R D"]:
    """The states of some tokens of each row."""
    return x_BLD.gather(1, rows_BR[..., None].expand(-1, -1, x_BLD.shape[-1]))


class Attention(nn.Module):
    """softmax(q k^T / sqrt(K) + bias) v, per head, then one projection of all heads (Vaswani et al. 2017)."""

    def __init__(self, shape: Shape):
        super().__init__()
        block, size = shape.block, shape.hidden_size
        self.heads, self.key_value_heads = block.heads, block.key_value_heads or block.heads
        self.head_size = shape.head_size
        self.scale = self.head_size**-0.5 if block.scaled else 1.0
        inner, inner_kv = self.heads * self.head_size, self.key_value_heads * self.head_size
        self.query = nn.Linear(size, inner, bias="query" in block.biases)
        self.key = nn.Linear(size, inner_kv, bias="key" in block.biases)
        self.value = nn.Linear(size, inner_kv, bias="value" in block.biases)
        self.output = nn.Linear(inner, size, bias="output" in block.biases)
        self.rotary_pairs = shape.position.rotary_pairs
        self.query_norm = nn.RMSNorm(self.head_size, eps=block.norm_eps) if block.head_norm else nn.Identity()
        self.key_norm = nn.RMSNorm(self.head_size, eps=block.norm_eps) if block.head_norm else nn.Identity()

    def forward(
        self, x: Tensor, views: Sequence[View], fast: BlockProducts | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """The fused path. `x` is (B, L, D) with one view, or packed (T, D) with a view per group; tokens behind those
        of the groups fill it up, attend to nothing and are read by nothing. By fast products, `residual` is added to
        what comes out."""
        everything = all(view.queries_BR is None for view in views)
        asking = x if everything else self.wanted(x, views)
        if fast is None:
            queries, keys, values = self.query(asking), self.key(x), self.value(x)
        else:
            sizes = self.heads * self.head_size, self.key_value_heads * self.head_size
            queries, keys, values = fast.queries_keys_values(x, asking, sizes)
        merged, row, query_row = [], 0, 0
        for view in views:
            g = view.group
            if x.dim() == 3:
                q, k, v = queries, keys, values
            else:
                n, wanted = g.rows * g.length, g.rows * self._query_length(view)
                q = queries[query_row : query_row + wanted].view(g.rows, -1, queries.shape[-1])
                k, v = (t[row : row + n].view(g.rows, g.length, -1) for t in (keys, values))
                row, query_row = row + n, query_row + wanted
            q, k, v = self.split_and_rotate(q, k, v, view)
            z_BHLK = attend(q, k, v, view.combined(q.dtype), self.scale)
            z = z_BHLK.transpose(1, 2).flatten(2)
            merged.append(z if x.dim() == 3 else z.flatten(0, 1))
        if x.dim() == 2 and query_row < len(queries):
            merged.append(queries.new_zeros(len(queries) - query_row, queries.shape[-1]))  # of tokens that only fill
        z = merged[0] if len(merged) == 1 else torch.cat(merged)
        return self.output(z) if fast is None else fast.output(z, residual)

    @staticmethod
    def _query_length(view: View) -> int:
        return view.group.length if view.queries_BR is None else view.queries_BR.shape[1]

    @staticmethod
    def wanted(x: Tensor, views: Sequence[View]) -> Tensor:
        """Only the rows of `x` whose output is wanted, in the layout of `x`; packed ones filled up as `x` is."""
        if x.dim() == 3:
            rows = views[0].queries_BR
            return x if rows is None else take_rows(x, rows)
        if all(view.queries_BR is None for view in views):
            return x
        pieces, row = [], 0
        for view in views:
            n = view.group.rows * view.group.length
            x_BLD = x[row : row + n].view(view.group.rows, view.group.length, -1)
            kept = x_BLD if view.queries_BR is None else take_rows(x_BLD, view.queries_BR)
            pieces.append(kept.flatten(0, 1))
            row += n
        return filled(torch.cat(pieces))

    def split_and_rotate(self, q: Tensor, k: Tensor, v: Tensor, view: View) -> tuple[Tensor, Tensor, Tensor]:
        """Split into heads, apply the query and key norms and the rotary angles, repeat keys and values for grouped
        queries: (B, H, L, K) each."""
        q = self.query_norm(q.unflatten(-1, (self.heads, -1))).transpose(1, 2)
        k = self.key_norm(k.unflatten(-1, (self.key_value_heads, -1))).transpose(1, 2)
        v = v.unflatten(-1, (self.key_value_heads, -1)).transpose(1, 2)
        if view.angles_BLK is not None:
            if self.rotary_pairs:  # scores do not mind an order of numbers that queries and keys share
                q, k = halves(q), halves(k)
            angles, rows = view.angles_BLK, view.queries_BR
            at_queries = angles if rows is None else take_rows(angles.expand(len(rows), -1, -1), rows)
            q, k = rotate(q, at_queries), rotate(k, angles)
        if self.key_value_heads != self.heads:
            k, v = (t.repeat_interleave(self.heads // self.key_value_heads, dim=1) for t in (k, v))
        return q, k, v

    def traced(self, x_BLD: Tensor, view: View, trace: Trace, name: str, scale: Tensor | None) -> Tensor:
        """The same sum written out, so that scores, weights, values and heads can be seen and changed.

        `scale` is the block's layer scale: `heads` is what each head adds to the residual stream, that is
        scale * W_O[h] (weights v); the sum over heads plus scale * b_O is the whole of what attention adds.
        """
        q = self.query(self.wanted(x_BLD, [view]))
        q, k, v = self.split_and_rotate(q, self.key(x_BLD), self.value(x_BLD), view)
        q, k = trace(f"{name}.queries", q), trace(f"{name}.keys", k)
        scores_BHLL = q @ k.transpose(-2, -1) * self.scale
        mask = view.combined(q.dtype)
        if mask is not None:
            hidden = scores_BHLL.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores_BHLL + mask
            scores_BHLL = hidden
        scores_BHLL = trace(f"{name}.scores", scores_BHLL)
        weights_BHLL = trace(f"{name}.weights", scores_BHLL.softmax(dim=-1))
        z_BHLK = weights_BHLL @ trace(f"{name}.values", v)
        if not trace.wants(f"{name}.heads"):
            added = self.output(z_BHLK.transpose(1, 2).flatten(2))
            return added if scale is None else added * scale
        if not isinstance(self.output, nn.Linear):
            raise TraceError(f"'{name}.heads' cannot be given: the output weights of this model are no plain matrix.")
        weight_DHK = self.output.weight.unflatten(1, (self.heads, self.head_size))
        heads_BHLD = torch.einsum("bhlk,dhk->bhld", z_BHLK, weight_DHK)
        heads_BHLD = trace(f"{name}.heads", heads_BHLD if scale is None else heads_BHLD * scale)
        added = heads_BHLD.sum(1)
        if self.output.bias is not None:
            added = added + (self.output.bias if scale is None else self.output.bias * scale)
        return added
