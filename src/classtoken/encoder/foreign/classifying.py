"""The classifier of a checkpoint, computed by the class of transformers that it was saved as.

A row of the table says what a native classifier is. Any other is run as it stands: its class, without its encoder, is
given what the encoder gives, or one vector in the place of that. Which vector that has to be is found by giving it both
(`contract.foreign_head`).
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.checkpoint import Checkpoint
from classtoken.encoder.foreign.quietly import quietly
from classtoken.errors import UnsupportedModel

#: How the classes end that have a classifier of whole texts or images.
CLASSIFIERS = ("ForSequenceClassification", "ForImageClassification")
Given = Literal["row", "map"]
"""how a vector is handed over: as the state of one token, (B, 1, d), or as a map of one patch, (B, d, 1, 1)"""


def published_classifiers(config: Mapping[str, Any]) -> list[str]:
    """The classes that config.json names which have a classifier of whole texts or images."""
    return [str(name) for name in config.get("architectures") or () if str(name).endswith(CLASSIFIERS)]


@dataclass
class _Call:
    """One call of a class without its encoder: what is handed to it in the encoder's place, and what it asked with."""

    output: Any
    asked_with: tuple[Any, ...] = ()


_CALL: ContextVar[_Call] = ContextVar("call")
"""the call that is under way; every thread has its own"""


class _InTheEncodersPlace(nn.Module):
    """Hands over what the call under way holds, whatever it is called with."""

    def forward(self, *given: Any, **named: Any) -> Any:
        call = _CALL.get()
        call.asked_with = (*given, *named.values())
        return call.output


class ForeignHead(nn.Module):
    """Vector -> logits by a class of transformers; its weights are those of the checkpoint, its encoder is left out."""

    def __init__(self, whole: nn.Module, given: Given):
        super().__init__()
        self.given = given
        self.pad_id: int | None = None
        """a token that is passed over where the last one is read, wherever it stands"""
        setattr(whole, str(whole.base_model_prefix), _InTheEncodersPlace())
        self.whole = whole.eval()

    def forward(self, vector_BD: Float[Tensor, "B d"]) -> Float[Tensor, "B C"]:
        """Logits of a batch."""
        last = vector_BD[:, None] if self.given == "row" else vector_BD[:, :, None, None]
        return self._logits(_Call(output_of(last, vector_BD)), self._dummy(vector_BD))

    def of_whole(self, output: Any, batch: Mapping[str, Tensor]) -> Float[Tensor, "B C"]:
        """Logits from all that the encoder gives for a batch. Raises `UnsupportedModel` where the class asks its
        encoder for more than this batch (Longformer's marks the first token, T5's has a second text)."""
        call = _Call(output)
        logits = self._logits(call, batch)
        asked = [value for value in call.asked_with if isinstance(value, Tensor)]
        if not all(any(torch.equal(one, given) for given in batch.values()) for one in asked):
            raise UnsupportedModel(f"{type(self.whole).__name__} asks its encoder for more than one input.")
        return logits

    def _logits(self, call: _Call, batch: Mapping[str, Tensor]) -> Tensor:
        before = _CALL.set(call)
        try:
            return self.whole(**batch).logits
        finally:
            _CALL.reset(before)

    def _dummy(self, vector_BD: Tensor) -> dict[str, Tensor]:
        """What the class is called with: a text of one token, which is no padding, or an image without content."""
        rows, device = len(vector_BD), vector_BD.device
        if type(self.whole).__name__.endswith("ForImageClassification"):
            return {"pixel_values": vector_BD.new_zeros(rows, 3, 1, 1)}
        number = 1 + int(self.whole.config.pad_token_id == 1)  # type: ignore[union-attr]
        ids = torch.full((rows, 1), number, device=device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def output_of(last: Tensor, pooled: Tensor | None) -> Any:
    """States and pooled output as an encoder of transformers gives them."""
    return _output_class()(last_hidden_state=last, pooler_output=pooled)


@cache
def _output_class() -> Any:
    """An encoder's output, with None for all that only some encoders give besides."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    @dataclass
    class Output(BaseModelOutputWithPooling):
        def __getattr__(self, name: str) -> None:
            if name.startswith("_"):
                raise AttributeError(name)

    return Output


def head_of(checkpoint: Checkpoint, given: Given) -> ForeignHead | None:
    """The checkpoint's classifier with its weights; None where transformers has no such class, where that reads a
    decoder or an encoder of another kind than AutoModel gives, or where weights are lost."""
    import transformers

    names = published_classifiers(checkpoint.config)
    made = getattr(transformers, names[0], None) if names else None
    if made is None:
        return None
    with quietly():
        config = transformers.AutoConfig.from_pretrained(
            checkpoint.folder, trust_remote_code=False, local_files_only=True
        )
        if config.is_encoder_decoder:
            return None
        config.return_dict = True
        pad_id = getattr(config, "pad_token_id", None)
        if pad_id is None:  # some refuse more than one row then
            config.pad_token_id = 0
        with torch.device("meta"):
            whole = made(config)
    encoder = getattr(whole, str(whole.base_model_prefix), None)
    usual = transformers.MODEL_MAPPING.get(type(config), ())
    if type(encoder) not in (usual if isinstance(usual, list | tuple) else (usual,)):
        return None
    head = ForeignHead(whole, given)
    head.pad_id = pad_id
    wanted = whole.state_dict().keys()
    if not wanted or wanted - set(checkpoint.weights.names):
        return None
    whole.load_state_dict(checkpoint.weights.read(tuple(sorted(wanted))), assign=True)
    if any(tensor.is_meta for tensor in (*whole.parameters(), *whole.buffers())):
        return None
    return head.requires_grad_(False)
