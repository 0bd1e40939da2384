"""Weights to begin with that other runs have learned: for a second training, or for more class tokens than before."""

from collections.abc import Sequence

import torch
from torch import Tensor

from classtoken.contract.model import read_model
from classtoken.encoder.encoder import Encoder
from classtoken.encoder.locate import locate
from classtoken.encoder.protocol import is_trainable
from classtoken.encoder.shape import ImageStem
from classtoken.errors import OptionError
from classtoken.learning.loop.seeds import WEIGHTS, generator_of

APART = 0.02
"""standard deviation of what is added to copies of one class token, so that they do not stay equal for ever"""


def begin_with(encoder: Encoder, models: Sequence[str], seed: int) -> None:
    """Copy the encoder weights of a MODEL into one of the same shape, but for its number of class tokens; of several
    the mean of their weights (Wortsman et al. 2022, "Model soups").

    Weights that were trained on from a common beginning mostly lie where their mean is better than each. What a batch
    norm has counted does not belong to the mean of its weights: training counts it anew.

    Where there are more class tokens than in the MODEL, each begins as a copy of its (first) class token and position
    with a little noise of its own.
    """
    ours = encoder.state_dict()
    found = [_weights_of(model, encoder, seed) for model in models]
    for name, tensor in ours.items():
        same = torch.stack([weights[name] for weights in found])
        tensor.copy_(same.mean(0) if same.is_floating_point() else same[0])


def _weights_of(model: str, encoder: Encoder, seed: int) -> dict[str, Tensor]:
    """The weights of a MODEL under our names and in our sizes. Raises `OptionError` where they do not fit."""
    given = next((r.encoder for r in read_model(locate(model)) if is_trainable(r.encoder)), None)
    if given is None:
        raise OptionError(f"start = '{model}' has no encoder of ours; name a folder that classtoken train has written.")
    generator = generator_of(seed, WEIGHTS, 7)
    theirs, ours = given.state_dict(), encoder.state_dict()
    if theirs.keys() != ours.keys():
        strange = sorted(theirs.keys() ^ ours.keys())
        raise OptionError(f"start = '{model}' has another shape than [model]: {', '.join(strange[:4])} differ.")
    found = {}
    for name, tensor in theirs.items():
        fitted = _fitted(name, tensor, ours[name], given, encoder, generator)
        if fitted is None:
            raise OptionError(
                f"start = '{model}' does not fit: {name} is {tuple(tensor.shape)} there and {tuple(ours[name].shape)} "
                "in [model]."
            )
        found[name] = fitted
    return found


def _fitted(
    name: str, theirs: Tensor, ours: Tensor, given: Encoder, encoder: Encoder, generator: torch.Generator
) -> Tensor | None:
    """A tensor as it is, or with its rows of class tokens made as many as are wanted; None where that is not enough."""
    before, after = given.shape.stem, encoder.shape.stem
    if not (isinstance(before, ImageStem) and isinstance(after, ImageStem)) or name not in (
        "stem.class_token",
        "stem.position",
    ):
        return theirs if theirs.shape == ours.shape else None
    extra = after.class_tokens - before.class_tokens
    if not extra:
        return theirs if theirs.shape == ours.shape else None
    if extra < 0 or before.class_tokens < 1 or len(theirs) + extra != len(ours):
        return None
    copies = theirs[:1].repeat(after.class_tokens, 1)
    copies = copies + APART * torch.randn(copies.shape, generator=generator)
    return torch.cat((copies, theirs[before.class_tokens :]))
