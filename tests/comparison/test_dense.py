"""Patches against masks: the masks as the model sees them, mean IoU, refusals."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics
from tests.folders import tiny_vit

import classtoken as ct
from classtoken.comparison.dense import _commonest, _counts, _seen, _spread
from classtoken.errors import OptionError
from classtoken.measure.scores import mean_iou
from classtoken.values import Record


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Sixteen pictures, red and blue on either side of a line that moves, and their masks."""
    for place in ("images", "masks"):
        (tmp_path / place).mkdir()
    for i in range(16):
        cut = 8 * (1 + i % 3)
        picture, mask = np.zeros((32, 32, 3), np.uint8), np.full((32, 32), 120, np.uint8)
        picture[:, :cut, 0], picture[:, cut:, 2], mask[:, :cut] = 220, 200, 5
        mask[0, 0] = 0
        Image.fromarray(picture).save(tmp_path / "images" / f"{i:02}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i:02}.png")
    return tmp_path


def test_colours_are_told_apart_patch_by_patch(halves: Path, tmp_path: Path) -> None:
    found = ct.compare(
        tiny_vit(tmp_path / "vit"),
        halves / "images",
        task="dense",
        source_options=ct.SourceOptions(masks=halves / "masks"),
        by_layer=True,
        folds=2,
    )
    assert {"patches", "patches+cls"} <= {one.name for one in found.candidates}
    best = found.candidates[0].metrics
    assert best["miou"].value > 0.95
    assert best["pixel_accuracy"].value > 0.95
    assert {"miou_things", "miou_stuff"} <= best.keys()
    assert found.by_layer[0].layers == (0, 1, 2)
    assert found.items == 16


def test_counts_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    truth, given = generator.integers(-1, 3, (8, 8)), generator.integers(0, 3, (8, 8))
    there = truth >= 0
    expected = metrics.jaccard_score(truth[there], given[there], average="macro")
    assert float(mean_iou(_counts(given, truth, 3))) == pytest.approx(expected, abs=1e-12)


def test_masks_go_through_the_models_own_crop(halves: Path, tmp_path: Path) -> None:
    prepare = ct.load(tiny_vit(tmp_path / "vit")).tower().prepare
    ids = _seen(Record("0", meta={"mask": str(halves / "masks" / "00.png")}), prepare)
    assert ids.shape == (32, 32)
    assert (ids[1:, :8] == 5).all()
    assert (ids[:, 8:] == 120).all()
    patches = _commonest(ids, (4, 4)).reshape(4, 4)
    assert (patches[:, 0] == 5).all()
    assert (_spread(patches, (32, 32))[1:] == ids[1:]).all()


def test_what_cannot_be_segmented_is_refused(halves: Path, tmp_path: Path) -> None:
    vit, masks = tiny_vit(tmp_path / "vit"), ct.SourceOptions(masks=halves / "masks")
    with pytest.raises(OptionError, match="0 images with masks are too few"):
        ct.compare(vit, halves / "images", task="dense")
    with pytest.raises(OptionError, match="no readout of patches; for dense write patches, patches@0 to patches@2"):
        ct.compare(vit, halves / "images", task="dense", pooling="cls", source_options=masks)
