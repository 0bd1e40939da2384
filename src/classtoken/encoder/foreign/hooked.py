"""The residual stream of a module that is not ours: hooks on its blocks, taken off again when the run is over."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from classtoken.tensors import Trace

Layer = int | str


def tensor_of(out: Any) -> Any:
    """The states in what a block or a model returns: a tensor, a tuple that begins with it, or a named output; what a
    stage of several maps gives is no tensor."""
    if isinstance(out, Tensor):
        return out
    named = getattr(out, "last_hidden_state", None)
    return named if isinstance(named, Tensor) else out[0]


def pooled_of(out: Any) -> Tensor | None:
    """The pooled output in what a model returns, (B, D); None where it has none."""
    pooled = getattr(out, "pooler_output", None)
    return pooled.flatten(1) if isinstance(pooled, Tensor) else None


def _exchanged(out: Any, states: Any) -> Any:
    """What a block returns, with other states in it where a trace gave others: a named output stays one else."""
    if states is tensor_of(out):
        return out
    return states if isinstance(out, Tensor) else (states, *out[1:])


@contextmanager
def with_states(
    blocks: Sequence[nn.Module], trace: Trace | None, wanted: Collection[Layer], kept: dict[Layer, Tensor]
) -> Iterator[None]:
    """While it lasts, put what enters block 0 ("embeddings") and leaves block i into `kept`, after the trace saw it.

    Hooks belong to the module, a run to its thread: what other threads compute meanwhile is passed by.
    """
    owner = threading.get_ident()

    def shown(name: str, layer: Layer, states: Any) -> Any:
        if threading.get_ident() != owner or not isinstance(states, Tensor):  # several maps are no tokens' states
            return states
        states = states if trace is None else trace(name, states)
        if layer in wanted:
            kept[layer] = states
        return states

    def before(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if arguments:
            return (shown("embeddings", "embeddings", arguments[0]), *arguments[1:]), named
        return arguments, named | {"hidden_states": shown("embeddings", "embeddings", named["hidden_states"])}

    def after(i: int) -> Callable[..., Any]:
        def hook(module: nn.Module, arguments: Any, out: Any) -> Any:
            return _exchanged(out, shown(f"blocks.{i}.states", i, tensor_of(out)))

        return hook

    with ExitStack() as stack:
        stack.callback(blocks[0].register_forward_pre_hook(before, with_kwargs=True).remove)
        for i, block in enumerate(blocks):
            stack.callback(block.register_forward_hook(after(i)).remove)
        yield
