"""What every encoder does, and how one that cannot do everything says so.

What an encoder can do is asked of it, never of its class: an encoder of transformers, one whose matrices are stored as
8-bit numbers and one that another program computes stand behind the same properties.
"""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeGuard

import torch

from classtoken.encoder.encoder import Encoder
from classtoken.errors import TraceError
from classtoken.tensors import States, Tokens, Trace, names_of_trace
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
    def patch(self) -> int | None:
        """Pixels on one side of what a token of an image stands for; None for texts."""
        ...

    @property
    def gaps(self) -> tuple[str, ...]:
        """Trace names (or their last parts) that it cannot give."""
        ...

    @property
    def causal(self) -> bool:
        """A token attends only to itself and those before it."""
        ...

    @property
    def positions(self) -> int | None:
        """Tokens of a text for which there is a position of their own; None: no such limit."""
        ...

    @property
    def vocabulary(self) -> int | None:
        """Word pieces that have a row in the table of embeddings; None where there is no such table."""
        ...

    @property
    def packable(self) -> bool:
        """With `packed=True` it computes texts without their padding."""
        ...

    @property
    def stepwise(self) -> bool:
        """Its blocks can be run one at a time, from states of the caller's: `stem`, `view`, `block`, `final_norm`."""
        ...

    @property
    def open_weights(self) -> bool:
        """The matrices of its blocks can be read as plain numbers (`block(i).attention.output.weight`)."""
        ...

    @property
    def trainable(self) -> bool:
        """Gradients reach its weights, and what they become can be written under the names of its file."""
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


def is_stepwise(encoder: Any) -> TypeGuard[Encoder]:
    """`encoder.stepwise`; what has it has the parts of an `Encoder`."""
    return bool(encoder.stepwise)


def has_open_weights(encoder: Any) -> TypeGuard[Encoder]:
    """`encoder.open_weights`, of an encoder that is stepwise too."""
    return bool(encoder.stepwise and encoder.open_weights)


def is_trainable(encoder: Any) -> TypeGuard[Encoder]:
    """`encoder.trainable`; what has it has the parts of an `Encoder`."""
    return bool(encoder.trainable)


def is_proved(encoder: Any) -> bool:
    """Whether this package computes it and its tests show that company moves no vector; else it is tried first."""
    return bool(getattr(encoder, "proved", True))


def check_trace_names(encoder: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Trace names that this encoder has and can give. Raises `TraceError` for others."""
    known = set(names_of_trace(encoder.depth))
    strange = [name for name in names if name not in known]
    if strange:
        raise TraceError(
            f"there is no internal value {strange[0]!r}; a model of {encoder.depth} blocks has embeddings, "
            f"blocks.0.scores to blocks.{encoder.depth - 1}.states (scores, weights, values, heads, attention, "
            "feedforward, states), and final."
        )
    lost = [name for name in names if name.rsplit(".", 1)[-1] in encoder.gaps or name in encoder.gaps]
    if lost:
        raise TraceError(f"{lost[0]!r} cannot be given by this model, which is not native; it lacks {encoder.gaps}.")
    return tuple(names)
