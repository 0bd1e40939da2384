"""Scenes are what they say they are: repeatable, exactly labelled, and solved by shape alone."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from classtoken import drawn as scenes
from classtoken.source import SourceOptions, open_source
from classtoken.tokens.decode import decode


@pytest.fixture(scope="module")
def drawn() -> list[scenes.Scene]:
    return [scenes.draw(11, i) for i in range(160)]


def test_a_scene_follows_from_its_seed_and_number() -> None:
    first, again, other = scenes.draw(3, 5), scenes.draw(3, 5), scenes.draw(3, 6)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.masks, again.masks)
    assert first.seen == again.seen
    assert not np.array_equal(first.image, other.image)


def test_masks_cover_what_is_seen_and_never_each_other(drawn: list[scenes.Scene]) -> None:
    for scene in drawn:
        assert scene.image.shape == (96, 96, 3)
        assert scene.masks.shape == (len(scene.seen), 96, 96)
        assert scene.masks.sum(axis=0).max() <= 1
        for thing, mask in zip(scene.seen, scene.masks, strict=True):
            if thing.visible > 0.5:
                rows, columns = np.nonzero(mask)
                assert np.hypot(rows.mean() - thing.y, columns.mean() - thing.x) < 0.9 * thing.radius


def test_painting_over_a_mask_changes_only_that_thing() -> None:
    """The mask is exact: outside the masks of a scene lies the background, which has none of the animal's colour."""
    scene = scenes.draw(1, 2, labels=["cat"])
    assert scene.labels == ("cat",)
    mask = scene.mask("cat")
    assert 60 < mask.sum() < 96 * 96 / 2
    assert not (mask & scene.mask("dog")).any()


def test_labels_are_the_animals_and_every_animal_is_seen(drawn: list[scenes.Scene]) -> None:
    for scene in drawn:
        animals = {thing.kind for thing in scene.seen} & set(scenes.LABELS)
        assert scene.labels == tuple(sorted(animals))
        assert all(thing.visible >= 0.35 for thing in scene.seen if thing.kind in animals)
    counts = {kind: sum(kind in scene.labels for scene in drawn) for kind in scenes.LABELS}
    assert all(0.3 * len(drawn) < count < 0.6 * len(drawn) for count in counts.values()), counts
    assert any(thing.visible < 0.8 for scene in drawn for thing in scene.seen)  # things do hide each other


def test_colours_do_not_tell_what_is_there(drawn: list[scenes.Scene]) -> None:
    """A linear model on colour histograms stays near chance for every animal."""
    histograms = np.stack([_histogram(scene.image) for scene in drawn])
    for kind in scenes.LABELS:
        truth = np.array([kind in scene.labels for scene in drawn])
        chance = max(truth.mean(), 1 - truth.mean())
        score = cross_val_score(LogisticRegression(C=0.1, max_iter=500), histograms, truth, cv=5).mean()
        assert score < chance + 0.12, (kind, score, chance)


def test_shapes_do_tell_what_is_there() -> None:
    """The control: the same linear model, on the outlines of single animals, tells them apart."""
    singles = [scenes.draw(5, i, labels=[kind]) for i in range(60) for kind in scenes.LABELS]
    shapes = np.stack([_outline(scene.mask(scene.labels[0])) for scene in singles])
    truth = [scene.labels[0] for scene in singles]
    assert cross_val_score(LogisticRegression(C=0.01, max_iter=500), shapes, truth, cv=5).mean() > 0.55  # chance: 0.33


def test_tiny_faces_come_in_turn_and_are_seen_even_behind_a_thing() -> None:
    faces = [scenes.draw_tiny(0, i) for i in range(60)]
    assert [face.labels[0] for face in faces] == ["bird", "cat", "dog"] * 20
    assert all(face.image.shape == (24, 24, 3) and face.masks[0].mean() > 0.15 for face in faces)
    assert all(face.seen[0].visible > 0.5 for face in faces)
    hidden = [face for face in faces if len(face.seen) == 2]
    assert 20 < len(hidden) < 50  # six of ten have something in front of them


def test_a_written_folder_is_a_source_with_labels_and_masks(tmp_path) -> None:
    images = scenes.write(tmp_path, 4, seed=2)
    options = SourceOptions(labels=tmp_path / "labels.csv", masks=tmp_path / "masks")
    records = list(open_source(images, options).records())
    assert len(records) == 4
    for index, record in enumerate(records):
        scene = scenes.draw(2, index)
        assert np.array_equal(np.asarray(decode(record.image)), scene.image)
        given = record.label if isinstance(record.label, tuple) else (record.label,) if record.label else ()
        assert tuple(sorted(given)) == scene.labels


def test_records_carry_the_pictures_themselves() -> None:
    (record,) = scenes.records(1, seed=4, start=9)
    scene = scenes.draw(4, 9)
    assert record.label == scene.labels
    assert np.array_equal(np.asarray(decode(record.image)), scene.image)


def _histogram(image: np.ndarray) -> np.ndarray:
    counts, _ = np.histogramdd(image.reshape(-1, 3), bins=(5, 5, 5), range=((0, 256),) * 3)
    return counts.ravel() / counts.sum() * 20


def _outline(mask: np.ndarray) -> np.ndarray:
    """The mask cut out, mirrored so that the heavier half lies left, at 16x16."""
    rows, columns = np.nonzero(mask)
    cut = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    cut = cut[:, ::-1] if cut[:, cut.shape[1] // 2 :].sum() > cut[:, : cut.shape[1] // 2].sum() else cut
    down, right = (np.linspace(0, n - 1, 16).round().astype(int) for n in cut.shape)
    return cut[np.ix_(down, right)].ravel().astype(float)
