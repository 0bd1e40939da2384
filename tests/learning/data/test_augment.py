"""Augmentations: repeatable, and each does what its name says."""

import pytest
import torch

from classtoken.learning.data.augment import (
    OPERATIONS,
    augmented,
    cutout,
    flip,
    mix,
    randaugment,
    recoloured,
    resized_crop,
    shift,
    zoom,
)
from classtoken.learning.loop.seeds import generator_of
from classtoken.learning.recipe import AugmentOptions


def some(count: int = 6, side: int = 12) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=generator_of(1), dtype=torch.uint8)


def test_the_same_generator_gives_the_same_pictures() -> None:
    options = AugmentOptions(
        pad_crop=2, resized_crop=(0.3, 1.0), zoom=(0.6, 1.5), flip=True, randaugment=2, magnitude=0.7, cutout=4
    )
    first, again, other = (augmented(some(), options, generator_of(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == torch.uint8
    assert first.shape == some().shape


def test_a_shift_is_a_window_of_the_mirrored_picture() -> None:
    pictures = some()
    moved = shift(pictures, 2, generator_of(0))
    padded = torch.nn.functional.pad(pictures.float(), (2,) * 4, mode="reflect").to(torch.uint8)
    for row in range(len(pictures)):
        windows = [padded[row, :, i : i + 12, j : j + 12] for i in range(5) for j in range(5)]
        assert any(torch.equal(moved[row], window) for window in windows)


def test_a_flip_mirrors_about_half() -> None:
    pictures = some(200, 4)
    flipped = flip(pictures, generator_of(0))
    same = (flipped == pictures).flatten(1).all(1)
    mirrored = (flipped == pictures.flip(-1)).flatten(1).all(1)
    assert bool((same | mirrored).all())
    assert 0.4 < float(mirrored.float().mean()) < 0.6


def test_a_crop_of_the_whole_area_keeps_a_square_picture_nearly() -> None:
    """With area 1 only the sides' ratio varies; the mean colour stays."""
    flat = torch.full((4, 3, 12, 12), 77, dtype=torch.uint8)
    assert torch.equal(resized_crop(flat, (1.0, 1.0), (8, 8), generator_of(0)), flat[..., :8, :8])


def test_a_crop_lies_inside_the_picture() -> None:
    """A ramp from 0 to 255: a crop of a tenth of the area spans about a third of it, never more than 0..255."""
    ramp = torch.linspace(0, 255, 30).round().to(torch.uint8).expand(50, 3, 30, 30)
    taken = resized_crop(ramp, (0.1, 0.1), (30, 30), generator_of(0)).float()
    spans = taken.amax((1, 2, 3)) - taken.amin((1, 2, 3))
    assert float(spans.min()) > 50
    assert float(spans.max()) < 120


def test_cutout_hides_one_square() -> None:
    hidden = cutout(torch.zeros(20, 3, 12, 12, dtype=torch.uint8), 4, generator_of(0))
    counts = (hidden == 128).flatten(1).sum(1)
    assert int(counts.max()) <= 3 * 5 * 5
    assert int(counts.min()) > 0


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_keeps_the_range_and_strength_zero_is_nearly_nothing(name: str) -> None:
    x = some().float() / 255
    weak = OPERATIONS[name](x, torch.zeros(len(x)))
    assert float((weak - x).abs().max()) < 5e-3, name
    strong = OPERATIONS[name](x, torch.full((len(x),), 0.8))
    assert strong.isfinite().all()
    assert name == "identity" or float((strong - x).abs().mean()) > 1e-3


def test_randaugment_draws_per_picture() -> None:
    same = some(1).repeat(12, 1, 1, 1)
    changed = randaugment(same, 1, 0.9, generator_of(2))
    assert len({picture.numpy().tobytes() for picture in changed}) > 5


def test_mixing_mixes_targets_as_pictures() -> None:
    """Pictures of one colour a class: the mean colour of a mixed picture says its share, and so does its target."""
    x = torch.arange(3.0)[:, None, None, None].expand(3, 3, 10, 10).clone()
    targets = torch.eye(3)
    for mixup, cutmix in ((0.8, 0.0), (0.0, 0.8)):
        mixed, shares = mix(x, targets, mixup, cutmix, generator_of(5))
        assert torch.allclose(shares.sum(1), torch.ones(3))
        expected = (shares * torch.arange(3.0)).sum(1)
        assert torch.allclose(mixed.mean((1, 2, 3)), expected, atol=1e-5)
    assert mix(x, targets, 0.0, 0.0, generator_of(0))[1] is targets


def test_colours_change_and_grey_pictures_have_none() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randint(40, 200, (64, 3, 6, 6), dtype=torch.uint8)
    grey = recoloured(plain, 0.0, 1.0, generator)
    assert (grey == grey[:, :1]).all()
    luma = (plain.float() * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert (grey.float() - luma).abs().max() <= 0.5
    assert torch.equal(recoloured(plain, 0.0, 0.0, generator), plain)
    changed = recoloured(plain, 0.8, 0.25, generator)
    assert 0 < (changed == changed[:, :1]).all(1).flatten(1).all(1).sum() < 40  # a quarter of 64, by chance
    shift = changed.float().mean((1, 2, 3)) - plain.float().mean((1, 2, 3))
    assert shift.min() < -20
    assert shift.max() > 5


def ramps(count: int) -> torch.Tensor:
    """From 0 on the left to 240 on the right."""
    return torch.linspace(0, 240, 31).round().to(torch.uint8).expand(count, 3, 31, 31)


def test_a_zoom_of_nothing_changes_nothing() -> None:
    assert torch.equal(zoom(some(), (1.0, 1.0), 1.0, generator_of(0)), some())


def test_zoomed_in_the_frame_shows_a_part_and_zoomed_out_all_of_the_picture() -> None:
    """Of a ramp, a scale of 2 shows half the span anywhere; a scale of 1/2 shows all of it, with its mirror image."""
    near, far = (zoom(ramps(200), (s, s), 1.0, generator_of(0)).float() for s in (2.0, 0.5))
    low, high = near.amin((1, 2, 3)), near.amax((1, 2, 3))
    assert bool(((high - low) <= 126).all())
    assert bool(((high - low) >= 114).all())
    assert float(low.min()) < 10
    assert float(high.max()) > 230
    assert bool((far.amin((1, 2, 3)) <= 8).all())
    assert bool((far.amax((1, 2, 3)) >= 232).all())
    rises = (far[:, 0, 0].diff(dim=1) > 0).float().mean(1)  # the mirror image falls where the picture rises
    assert 0.4 < float(rises.mean()) < 0.6


def test_a_stretch_changes_one_side_against_the_other() -> None:
    """A diagonal ramp: across and down it spans the same as it is, and not once it is stretched."""
    down = ramps(100).mT.float()
    pictures = ((ramps(100).float() + down) / 2).round().to(torch.uint8)
    seen = zoom(pictures, (2.0, 2.0), 1.5, generator_of(0)).float()
    across = (seen[:, 0, 15, -1] - seen[:, 0, 15, 0]).abs()
    downward = (seen[:, 0, -1, 15] - seen[:, 0, 0, 15]).abs()
    ratio = across / downward
    assert 1 / 1.6 < float(ratio.min()) < 0.8
    assert 1.25 < float(ratio.max()) < 1.6
