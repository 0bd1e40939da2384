"""Pictures kept small and enlarged for the encoder, and mixed before they are."""

import numpy as np
import torch
from PIL import Image
from tests.learning import small

from classtoken.learning.data.pictures import Pictures
from classtoken.learning.loop.seeds import generator_of
from classtoken.learning.recipe import AugmentOptions


def kept_small(augment: AugmentOptions | None = None) -> Pictures:
    """Pictures of 12x12 pixels for an encoder that reads 24x24."""
    data = small.pictures(12)
    return Pictures(
        data.pixels, data.targets, data.layout, (0.0,) * 3, (1.0,) * 3, augment or AugmentOptions(), 3, (24, 24)
    )


def test_they_are_enlarged_as_pillow_does_it() -> None:
    data = kept_small()
    seen = data.plain(torch.arange(12)).views[0].pixels
    assert seen is not None
    assert seen.shape == (12, 3, 24, 24)
    for picture, large in zip(data.pixels, seen, strict=True):
        theirs = Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((24, 24), Image.Resampling.BICUBIC)
        difference = np.abs(np.asarray(theirs, float) - (large * 255).clamp(0, 255).permute(1, 2, 0).numpy())
        assert difference.max() <= 1.5  # Pillow rounds after each direction


def test_they_are_changed_while_they_are_small() -> None:
    """A square of 4 pixels hides 8 of the enlarged picture; mixed targets belong to the mixed picture."""
    batch = kept_small(AugmentOptions(cutout=4, mixup=1.0)).train(torch.arange(12), generator_of(0))
    plain = kept_small().plain(torch.arange(12)).views[0].pixels
    assert batch.views[0].pixels is not None
    assert plain is not None
    assert batch.views[0].pixels.shape == plain.shape
    assert batch.targets is not None
    assert torch.allclose(batch.targets.sum(1), torch.ones(12))
    changed = (batch.views[0].pixels - plain).abs().amax((1, 2, 3))
    assert bool((changed > 0).all())
