"""What every encoder can do, native or foreign."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

import torch

from classtoken.tensors import States, Tokens, Trace
from classtoken.values import Layout, Role


class AnyEncoder(Protocol):
    """Tokens in, one state per token out; see `encoder.Encoder.forward` for the arguments."""

    @property
    def depth(self) -> int: ...

    @property
    def hidden_size(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def layout(self) -> Layout: ...

    @property
    def gaps(self) -> tuple[str, ...]:
        """Trace names (or their last parts) that it cannot give."""
        ...

    def __call__(
        self,
        tokens: Tokens,
        *,
        layers: Sequence[int | str] = (),
        rows: Collection[Role] | None = None,
        trace: Trace | None = None,
        packed: bool = False,
    ) -> States: ...

    def to(self, device: torch.device, dtype: torch.dtype) -> Any: ...

    def parameters(self) -> Any: ...
