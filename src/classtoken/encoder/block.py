"""One block: attention and feed-forward, each with its norm and its residual."""

from collections.abc import Sequence

from torch import Tensor, nn

from classtoken.encoder.attention import Attention, View
from classtoken.encoder.parts import DropPath, FeedForward, Scale, make_norm
from classtoken.encoder.products import BlockProducts
from classtoken.encoder.shape import Shape
from classtoken.tensors import Trace

INSIDE = ("queries", "keys", "scores", "weights", "values", "heads")


class Block(nn.Module):
    """pre: x + attention(norm(x)), then x + feedforward(norm(x)); post: the norm comes after each sum."""

    def __init__(self, shape: Shape, *, first: bool):
        super().__init__()
        block, size = shape.block, shape.hidden_size
        self.pre = block.order == "pre"
        self.attention_norm = make_norm(block, size) if block.first_norm or not first else nn.Identity()
        self.attention = Attention(shape)
        self.attention_scale = Scale(size) if block.layer_scale else None
        self.feedforward_norm = make_norm(block, size)
        self.feedforward = FeedForward(size, block)
        self.feedforward_scale = Scale(size) if block.layer_scale else None
        self.dropout = nn.Dropout(0.0)
        self.drop_path = DropPath()

    def forward(
        self,
        x: Tensor,
        views: Sequence[View],
        trace: Trace | None = None,
        name: str = "",
        fast: BlockProducts | None = None,
    ) -> Tensor:
        """States after this block; only the wanted rows of them when a view names queries."""
        if fast is not None and trace is None:
            return self.by(fast, x, views)
        attended = self.attended(self.attention_norm(x) if self.pre else x, views, trace, name)
        if trace is not None:
            attended = trace(f"{name}.attention", attended)
        x = Attention.wanted(x, views) + self.drop_path(self.dropout(attended))
        if not self.pre:
            x = self.attention_norm(x)
        fed = self.feedforward(self.feedforward_norm(x) if self.pre else x)
        if self.feedforward_scale is not None:
            fed = self.feedforward_scale(fed)
        if trace is not None:
            fed = trace(f"{name}.feedforward", fed)
        x = x + self.drop_path(self.dropout(fed))
        if not self.pre:
            x = self.feedforward_norm(x)
        return x if trace is None else trace(f"{name}.states", x)

    def by(self, fast: BlockProducts, x: Tensor, views: Sequence[View]) -> Tensor:
        """The same by the fast products of this block, without gradients: each branch adds to the states as it is
        computed, layer scale and all."""
        residual = Attention.wanted(x, views)
        x = self.attention(self.attention_norm(x) if self.pre else x, views, fast, residual)
        if not self.pre:
            x = self.attention_norm(x)
        x = fast.feedforward(self.feedforward_norm(x) if self.pre else x, x)
        return x if self.pre else self.feedforward_norm(x)

    def attended(self, x: Tensor, views: Sequence[View], trace: Trace | None, name: str) -> Tensor:
        """What attention adds: by the fused kernel, unless a trace wants to see inside."""
        if trace is not None and any(trace.wants(f"{name}.{part}") for part in INSIDE):
            scale = None if self.attention_scale is None else self.attention_scale.weight
            return self.attention.traced(x, views[0], trace, name, scale)
        added = self.attention(x, views)
        return added if self.attention_scale is None else self.attention_scale(added)
