"""The classifier of a checkpoint, computed by the class of transformers that it was saved as.

A row of the table says what a native classifier is. Any other is run as it stands: its class, without its encoder, is
given one vector in the place of what the encoder gives. Which vector that has to be is found by running the class
whole (`contract.borrowed`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from classtoken.encoder.checkpoint import Checkpoint
from classtoken.encoder.foreign.quietly import quietly

#: How the classes end that have a classifier of whole texts or images.
CLASSIFIERS = ("ForSequenceClassification", "ForImageClassification")
Given = Literal["row", "map"]
"""how a vector is handed over: as the state of one token, (B, 1, d), or as a map of one patch, (B, d, 1, 1)"""


def published_classifiers(config: Mapping[str, Any]) -> list[str]:
    """The classes that config.json names which have a classifier of whole texts or images."""
    return [str(name) for name in config.get("architectures") or () if str(name).endswith(CLASSIFIERS)]


class _InTheEncodersPlace(nn.Module):
    """Gives one vector a row, whatever it is called with."""

    def __init__(self, given: Given):
        super().__init__()
        self.given = given
        self.vector_BD: Tensor | None = None

    def forward(self, *_: Any, **__: Any) -> Any:
        assert self.vector_BD is not None
        last = self.vector_BD[:, None] if self.given == "row" else self.vector_BD[:, :, None, None]
        return _output_class()(last_hidden_state=last, pooler_output=self.vector_BD)


@cache
def _output_class() -> Any:
    """What an encoder of transformers gives, with None for all that only some of them give besides."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    @dataclass
    class Output(BaseModelOutputWithPooling):
        def __getattr__(self, name: str) -> None:
            if name.startswith("_"):
                raise AttributeError(name)

    return Output


class BorrowedHead(nn.Module):
    """Vector -> logits by a class of transformers; its weights are those of the checkpoint, its encoder is left out."""

    def __init__(self, whole: nn.Module, given: Given):
        super().__init__()
        self.place = _InTheEncodersPlace(given)
        setattr(whole, str(whole.base_model_prefix), self.place)
        self.whole = whole.eval()

    def forward(self, vector_BD: Float[Tensor, "B d"]) -> Float[Tensor, "B C"]:
        """Logits of a batch."""
        self.place.vector_BD = vector_BD
        try:
            return self.whole(**self._dummy(vector_BD)).logits
        finally:
            self.place.vector_BD = None

    def _dummy(self, vector_BD: Tensor) -> dict[str, Tensor]:
        """What the class is called with: a text of one token, which is no padding, or an image without content."""
        rows, device = len(vector_BD), vector_BD.device
        if type(self.whole).__name__.endswith("ForImageClassification"):
            return {"pixel_values": vector_BD.new_zeros(rows, 3, 1, 1)}
        ids = torch.full((rows, 1), 1 + int(self.whole.config.pad_token_id == 1), device=device)  # type: ignore[union-attr]
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def head_of(checkpoint: Checkpoint, given: Given) -> BorrowedHead | None:
    """The checkpoint's classifier with its weights; None where transformers has no such class or weights are lost."""
    made = _class_of(checkpoint)
    if made is None:
        return None
    with quietly():
        config = _config_of(checkpoint)
        with torch.device("meta"):
            whole = made(config)
    if not hasattr(whole, str(whole.base_model_prefix)):
        return None
    head = BorrowedHead(whole, given)
    wanted = whole.state_dict().keys()
    if not wanted or wanted - set(checkpoint.weights.names):
        return None
    whole.load_state_dict(checkpoint.weights.read(tuple(sorted(wanted))), assign=True)
    if any(tensor.is_meta for tensor in (*whole.parameters(), *whole.buffers())):
        return None
    return head.requires_grad_(False)


def answers_of(checkpoint: Checkpoint, batches: Iterator[Mapping[str, Tensor]]) -> list[Tensor]:
    """The logits that the whole class gives. Raises whatever transformers raises."""
    made = _class_of(checkpoint)
    assert made is not None
    with quietly():
        options: dict[str, Any] = {"config": _config_of(checkpoint), "dtype": torch.float32}
        if checkpoint.weights.altered:
            whole = made.from_pretrained(None, state_dict=checkpoint.weights.read(), **options)
        else:
            whole = made.from_pretrained(checkpoint.folder, use_safetensors=True, local_files_only=True, **options)
    with torch.no_grad():
        return [whole.eval()(**batch).logits for batch in batches]


def _class_of(checkpoint: Checkpoint) -> Any:
    """The class that config.json names, where it is one of transformers' own with a classifier."""
    import transformers

    names = published_classifiers(checkpoint.config)
    return getattr(transformers, names[0], None) if names else None


def _config_of(checkpoint: Checkpoint) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=False, local_files_only=True)
    config.return_dict = True
    if getattr(config, "pad_token_id", None) is None:  # some refuse more than one row then
        config.pad_token_id = 0
    return config
