"""Frozen features: found again for the same model and records alone, shared, and gone on with where a run stopped."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests import folders
from tests.learning.training import train

import classtoken as ct
from classtoken.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.learning.data import features as module
from classtoken.learning.data.features import Features, ReadRecords, features
from classtoken.learning.recipe import Recipe
from classtoken.values import Progress, Record

RECORDS = [Record(str(i), text=text) for i, text in enumerate(folders.SENTENCES * 5)]
READ = ReadRecords.of(lambda: RECORDS)


def of(model: Embedder, folder: Path, *, states: bool = False, poolings: tuple[str, ...] = ("mean",)) -> Features:
    return features(model, READ, folder, modality="text", poolings=() if states else poolings, states=states)


def numbers(found: Features) -> np.ndarray:
    if found.states is None:
        return found.vectors["mean"]
    return found.states[torch.arange(len(found.states))].numpy()


@pytest.mark.parametrize("states", [False, True])
def test_weights_that_differ_in_sign_only_are_other_weights(tmp_path: Path, states: bool) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    first, again = (of(ct.load(folder), tmp_path / "features", states=states) for _ in range(2))
    assert (first.cached, again.cached) == (False, True)
    assert np.array_equal(numbers(first), numbers(again))
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"] *= -1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    other = of(ct.load(folder), tmp_path / "features", states=states)
    assert not other.cached
    assert not np.allclose(numbers(first), numbers(other))


def test_they_are_what_the_embedder_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors, and states in several parts: any rows in any order are those of the encoder."""
    model = ct.load(folders.tiny_bert(tmp_path / "bert"))
    found = of(model, tmp_path / "features", poolings=("mean", "cls"))
    for pooling in ("mean", "cls"):
        expected = model.embed([record.text for record in RECORDS], pooling=pooling)
        np.testing.assert_allclose(found.vectors[pooling], expected, atol=1e-6)
    monkeypatch.setattr(module, "STATES_BYTES", 10000)
    kept = of(model, tmp_path / "features", states=True).states
    assert kept is not None
    assert len(kept.parts) > 2
    rows = torch.tensor([17, 3, 3, 0, 19])
    states = kept[rows]
    for state, row in zip(states, rows.tolist(), strict=True):
        alone = model.states([RECORDS[row].text]).last_BLD[0]
        np.testing.assert_allclose(state[: len(alone)].numpy(), alone.numpy(), atol=1e-5)
        assert int((kept.roles[row] != 0).sum()) == len(alone)


def test_each_pooling_is_computed_once_whatever_it_is_asked_for_with(tmp_path: Path) -> None:
    model = ct.load(folders.tiny_bert(tmp_path / "bert"))
    assert not of(model, tmp_path / "f", poolings=("mean", "cls")).cached
    assert of(model, tmp_path / "f", poolings=("cls",)).cached
    assert not of(model, tmp_path / "f", poolings=("cls", "max")).cached
    assert of(model, tmp_path / "f", poolings=("max", "mean")).cached
    assert len(list((tmp_path / "f").iterdir())) == 2


def test_features_say_how_far_they_are(tmp_path: Path) -> None:
    seen: list[Progress] = []
    model = ct.load(folders.tiny_bert(tmp_path / "bert"))
    features(model, READ, tmp_path / "f", modality="text", poolings=["mean"], report=seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].what) == (len(RECORDS), len(RECORDS), "embedding the records")


def test_images_as_bytes_are_not_kept_but_read_again(tmp_path: Path) -> None:
    picture = (folders.coloured_squares(tmp_path / "s", 2) / "red/00.png").read_bytes()
    pictures = [Record(str(n), image=picture) for n in range(3)]
    read = ReadRecords.of(lambda: pictures)
    assert all(record.image is None for record in read.kept)
    model = ct.load(folders.tiny_vit(tmp_path / "vit"))
    found = features(model, read, tmp_path / "f", modality="image", poolings=["cls"], states=True)
    assert found.vectors["cls"].shape == (3, 32)
    assert found.states is not None
    assert found.states[torch.arange(3)].shape == (3, 17, 32)


@pytest.mark.slow
def test_several_poolings_are_compared_from_one_pass(tmp_path: Path, squares: Path) -> None:
    vit = folders.tiny_vit(tmp_path / "vit")
    shared = tmp_path / "shared"
    several = ct.train(vit, squares, tmp_path / "several", pooling="cls,mean", features=shared)
    assert {one.pooling for one in several.poolings} == {"cls", "mean"}
    assert several.pooling in {one.pooling for one in several.poolings}
    scores = [one.scores["accuracy"] for one in several.poolings]
    assert scores == sorted(scores, reverse=True)
    assert not several.features_cached
    assert ct.load(tmp_path / "several").contract.pooling == several.pooling
    alone = ct.train(vit, squares, tmp_path / "mean", pooling="mean", features=shared)
    assert alone.features_cached
    (same,) = [one for one in several.poolings if one.pooling == "mean"]
    assert (alone.scores, alone.intervals) == (same.scores, same.intervals)
    with_map = ct.train(vit, squares, tmp_path / "map", pooling="cls,map", epochs=2, held_out=0.3, features=shared)
    assert {one.pooling for one in with_map.poolings} == {"cls", "map"}


def test_a_picture_of_the_same_name_size_and_time_is_another_one(tmp_path: Path) -> None:
    """As where a folder was synchronised with its times, or pictures have no compression."""
    vit = folders.tiny_vit(tmp_path / "vit")
    places = [tmp_path / "in" / label / f"{number}.bmp" for label in "ab" for number in range(5)]
    for seed, name in enumerate(("first", "second")):
        numbers = np.random.default_rng(seed)
        for path in places:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(numbers.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
            os.utime(path, (1e9, 1e9))
        assert not ct.train(vit, tmp_path / "in", tmp_path / name, features=tmp_path / "kept").features_cached
    for path in places:
        os.utime(path, (2e9, 2e9))
    assert ct.train(vit, tmp_path / "in", tmp_path / "third", features=tmp_path / "kept").features_cached


def test_several_poolings_are_for_frozen_vectors(tmp_path: Path, squares: Path) -> None:
    with pytest.raises(OptionError, match="several are compared on frozen vectors only"):
        ct.train(folders.tiny_vit(tmp_path / "vit"), squares, tmp_path / "out", pooling="cls,mean", unfreeze="all")


@pytest.mark.slow
def test_a_stopped_training_goes_on_with_its_features(
    tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while features are made: what is finished is not computed again, and the result is the same."""
    monkeypatch.setattr(module, "VECTOR_ROWS", 16)
    vit, out = folders.tiny_vit(tmp_path / "vit"), tmp_path / "out"

    def stop(now: Progress) -> None:
        if now.done >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ct.train(vit, squares, out, pooling="cls", report=stop)
    before: list[int] = []
    gone_on = ct.train(vit, squares, out, pooling="cls", report=lambda now: before.append(now.before))
    assert max(before) >= 16
    assert gone_on.scores == ct.train(vit, squares, tmp_path / "whole", pooling="cls").scores


@pytest.mark.slow
def test_a_bad_picture_is_named_once(tmp_path: Path, squares: Path) -> None:
    (squares / "red/broken.png").write_bytes(b"no image")
    result = train(squares, tmp_path / "out", model=folders.tiny_vit(tmp_path / "vit"), recipe=Recipe())
    assert result.refused == 1


def test_reading_again_leaves_the_first_reading_alone() -> None:
    times = 0

    def again() -> Iterator[Record]:
        nonlocal times
        times += 1
        yield from RECORDS

    read = ReadRecords.of(again, first=iter(RECORDS))
    assert times == 0
    assert read.first == RECORDS[0]
    assert times == 1
