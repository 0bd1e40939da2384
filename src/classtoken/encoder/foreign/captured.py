"""Attention of any transformers model through its own interface: scores, weights and values, seen and changed.

One attention function is registered, once, under the name "classtoken", and stays: it is one more name in a table that
transformers keeps for this, changes no other, and another thread may be in the middle of a run. A model is switched to
it for one run and back; which run a call belongs to is a context variable, so that runs in other threads do not meet.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from classtoken.errors import TraceError
from classtoken.tensors import Trace

NAME = "classtoken"


@dataclass
class Capture:
    """One run: the trace that looks on (None: only shapes are noted), and how many blocks must show up."""

    trace: Trace | None
    depth: int
    shapes: list[torch.Size] = field(default_factory=list)
    """of the scores, block by block"""


_RUNNING: ContextVar[Capture | None] = ContextVar("classtoken_capture", default=None)


@contextmanager
def capturing(model: Any, capture: Capture, *, strict: bool = True) -> Iterator[None]:
    """Send the attention of a model through `capture`; its own implementation is back afterwards, whatever happens.

    Raises `TraceError` when `strict` and another number of blocks showed up than the model has.
    """
    _register()
    before = {id(module): module.config._attn_implementation for module in _configured(model)}
    switchable = bool(getattr(model, "_can_set_attn_implementation", lambda: False)())
    token = _RUNNING.set(capture)
    try:
        if switchable:
            model.set_attn_implementation(NAME)
        yield
    finally:
        _RUNNING.reset(token)
        if switchable:
            for module in _configured(model):
                module.config._attn_implementation_internal = before[id(module)]
    if strict and len(capture.shapes) != capture.depth:
        raise TraceError(
            f"the attention of {len(capture.shapes)} blocks was seen, this {model.config.model_type} model has "
            f"{capture.depth}: its maps would be wrong. Ask for other values."
        )


def _configured(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if hasattr(getattr(module, "config", None), "_attn_implementation")]


@cache
def _register() -> None:
    """Make the function known to transformers; masks come to it as numbers that are added."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, eager_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, eager_mask)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """softmax(q k^T scaling + mask) v, as transformers calls it; (B, H, L, K) in, (B, L, H, K) and the weights out."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if options.get("position_bias") is not None:
        scores = scores + options["position_bias"]
    if attention_mask is not None:
        mask = attention_mask[..., : key.shape[-2]]
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    show = _shown(len(query))
    scores = show("scores", scores)
    weights = show(
        "weights", scores.softmax(dim=-1, dtype=torch.promote_types(query.dtype, torch.float32)).to(query.dtype)
    )
    mixed = weights @ show("values", value)
    capture = _RUNNING.get()
    if capture is not None:
        capture.shapes.append(scores.shape)
    return mixed.transpose(1, 2).contiguous(), weights


def _shown(rows: int) -> Any:
    capture = _RUNNING.get()

    def show(part: str, value: Tensor) -> Tensor:
        if capture is None or capture.trace is None:
            return value
        return capture.trace(f"blocks.{len(capture.shapes)}.{part}", value)

    return show
