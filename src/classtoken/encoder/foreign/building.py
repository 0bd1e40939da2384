"""A checkpoint as transformers builds it."""

from collections.abc import Mapping
from typing import Any

import torch

from classtoken.encoder.checkpoint import Checkpoint
from classtoken.encoder.foreign.quietly import quietly


def built(checkpoint: Checkpoint, *, misfits: bool = False) -> tuple[Any, Mapping[str, Any]]:
    """The model of AutoModel in float32, and its report of weights that are missing or do not fit.

    Where the weights are not what lies on disk (an adapter merged, a wrapper's prefix taken off) transformers is given
    what was read. Raises whatever transformers raises, with `misfits` not for weights of another shape, which are in
    the report then.
    """
    from transformers import AutoConfig, AutoModel

    options: dict[str, Any] = {"dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": misfits}
    with quietly():
        if not checkpoint.weights.altered:
            return AutoModel.from_pretrained(
                checkpoint.folder, trust_remote_code=False, use_safetensors=True, local_files_only=True, **options
            )
        config = AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            kind = type(AutoModel.from_config(config, trust_remote_code=False))
        return kind.from_pretrained(None, config=config, state_dict=checkpoint.weights.read(), **options)
