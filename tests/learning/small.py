"""A small encoder, small pictures, and a loop over them, for the tests of learning."""

from pathlib import Path

import torch

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import BlockShape, ImageStem, Shape
from classtoken.learning.data.batches import Feed
from classtoken.learning.data.pictures import Pictures
from classtoken.learning.loop.loop import Loop
from classtoken.learning.model import Network, new_head, new_readout
from classtoken.learning.objectives.supervised import Supervised
from classtoken.learning.recipe import AugmentOptions, LoopOptions, OptimiserOptions
from classtoken.pooling.spec import parse
from classtoken.values import IMAGE_POOLED

CLASSES = 3


def shape(*, class_tokens: int = 1, distillation: int = 0, convolutions: tuple = ()) -> Shape:
    """3x3 patches, hidden size 16, two blocks."""
    return Shape(
        hidden_size=16,
        depth=2,
        stem=ImageStem(
            patch=4,
            image=(12, 12),
            class_tokens=class_tokens,
            distillation_tokens=distillation,
            convolutions=convolutions,
        ),
        block=BlockShape(heads=2, feedforward_size=32, norm_eps=1e-6),
    )


def pictures(
    count: int = 96, seed: int = 0, augment: AugmentOptions | None = None, of: Shape | None = None
) -> Pictures:
    """Three classes told apart by the colour of a bright square that lies anywhere, in grey noise."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % CLASSES
    pixels = torch.randint(60, 140, (count, 1, 12, 12), generator=generator, dtype=torch.uint8).repeat(1, 3, 1, 1)
    places = torch.randint(0, 3, (count, 2), generator=generator) * 4
    for row, (target, (down, right)) in enumerate(zip(targets.tolist(), places.tolist(), strict=True)):
        pixels[row, target, down : down + 4, right : right + 4] += 110
    return Pictures(
        pixels, targets, (of or shape()).layout, (0.5,) * 3, (0.25,) * 3, augment or AugmentOptions(), CLASSES
    )


def network(of: Shape | None = None, *, pooling: str = "cls", head: str = "linear", seed: int = 0) -> Network:
    """An encoder with fresh weights, a readout and a head for three classes."""
    made = of or shape()
    encoder = Encoder(made).initialise(seed)
    readout = new_readout(parse(pooling), encoder, IMAGE_POOLED, positions=9, grid=(3, 3), seed=seed)
    width = sum(int(p.width) for p in readout.poolings)
    labels = ("a", "b", "c")
    return Network(encoder, readout, new_head(head, width, labels, hidden=0, seed=seed, class_tokens=CLASSES))


def loop(
    folder: Path,
    *,
    objective=None,
    data=None,
    options: LoopOptions | None = None,
    optimiser: OptimiserOptions | None = None,
    fingerprint: str = "test",
    report=None,
) -> Loop:
    """A loop over 72 pictures, 24 held out."""
    data = data or pictures()
    options = options or LoopOptions(epochs=4, batch=24, ema=0.9, drop_path=0.1)
    return Loop(
        objective or Supervised(network(), "single"),
        Feed(data, torch.arange(72), options.batch, options.seed),
        Feed(data, torch.arange(72, 96), options.batch, options.seed),
        options,
        optimiser or OptimiserOptions(learning_rate=3e-3),
        folder=folder,
        fingerprint=fingerprint,
        depth=2,
        report=report,
    )
