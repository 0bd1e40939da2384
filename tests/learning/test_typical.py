"""What a training keeps to say that a record looks like none of its labels, and what `predict` says with it."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.learning.training import predict, scratch, told, train

import classtoken as ct
from classtoken.errors import ContractError
from classtoken.learning.data.frozen import FrozenVectors
from classtoken.learning.data.split import Division
from classtoken.learning.data.training_set import TrainingSet
from classtoken.learning.typical import fit_typical
from classtoken.results.predict import UNLIKE, PredictResult
from classtoken.source import open_source

FACES = "builtin:tiny?count=240&seed=5"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head on the vectors of drawn animals."""
    out = tmp_path_factory.mktemp("typical") / "model"
    train(FACES, out, model="builtin:scenes", recipe=told(held_out=0.25))
    return out


def images(source: str) -> list[Any]:
    return [record.image for record in open_source(source).records()]


def noise(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8))


@pytest.mark.slow
def test_new_records_of_the_labels_are_typical_and_others_are_not(trained: Path) -> None:
    model = ct.load(trained)
    new = model.typical(images("builtin:tiny?count=300&seed=9"))
    assert 0.01 <= float((new <= UNLIKE).mean()) <= 0.12
    assert float((model.typical(noise(60)) <= UNLIKE).mean()) > 0.8
    assert model.typical([]).shape == (0,)


def test_predict_says_it(trained: Path, tmp_path: Path) -> None:
    source = "builtin:tiny?count=60&seed=11"
    result = predict(source, tmp_path / "out", model=trained)
    with (tmp_path / "out/predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = ct.load(trained).typical(images(source))
    assert [float(row["typical"]) for row in rows] == pytest.approx(expected.tolist(), abs=1e-5)
    assert result.untypical == int((expected <= UNLIKE).sum())
    assert [one.typical for one in result.least_typical] == sorted(one.typical for one in result.least_typical)
    assert ("look" in result.strange) == bool(result.untypical)
    assert PredictResult.from_json(result.to_json()) == result
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert ("Records that look like none of the labels" in page) == bool(result.untypical)


@pytest.mark.parametrize("copies", [1, 10])
def test_of_new_records_one_in_twenty_is_called_unlike_whatever_the_copies(copies: int) -> None:
    """Independent draws of three labels; the held-out records are there `copies` times. Of six that are there ten times
    each, a seventh of all new records would be called unlike: nothing is said."""
    rng, low, size, distinct = np.random.default_rng(0), 0.0, 6, 40
    means, rounds = rng.normal(0, 3, (3, size)), 60

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 3, count)
        return means[labels] + rng.standard_t(3, (count, size)), labels

    for _ in range(rounds):
        (learned, of_learned), (held, of_held), (new, _) = draw(90), draw(distinct), draw(50)
        vectors = torch.from_numpy(np.concatenate([learned, np.repeat(held, copies, 0)])).float()
        targets = torch.from_numpy(np.concatenate([of_learned, np.repeat(of_held, copies)]))
        units = np.concatenate([np.arange(90), np.repeat(np.arange(90, 90 + distinct), copies)])
        division = Division(torch.arange(90), torch.arange(90, len(vectors)), units)
        rows = TrainingSet(FrozenVectors(vectors, targets), ("a", "b", "c"), False, division, (), ())
        found = fit_typical(rows, vectors.__getitem__, division.held_out, 0)
        assert found is not None
        assert len(found.distances_N) == distinct
        low += float((found(torch.from_numpy(new).float()) <= UNLIKE).float().mean())
    assert 0.02 < low / rounds < 0.065
    few = dataclasses.replace(rows, division=dataclasses.replace(division, held_out=division.held_out[: 6 * copies]))
    assert fit_typical(few, vectors.__getitem__, few.held_out, 0) is None


@pytest.mark.slow
def test_every_way_of_training_keeps_it(tmp_path: Path) -> None:
    train("builtin:tiny?count=420&seed=5", tmp_path / "own", recipe=scratch())
    train(FACES, tmp_path / "map", model="builtin:toy", recipe=told(pooling="map", held_out=0.4))
    for name in ("own", "map"):
        typical = ct.load(tmp_path / name).typical(noise(3))
        assert typical.shape == (3,)
        assert ((typical > 0) & (typical <= 1)).all()


@pytest.mark.slow
def test_with_little_held_out_nothing_is_said(tmp_path: Path) -> None:
    train("builtin:tiny?count=60&seed=5", tmp_path / "few", model="builtin:toy")
    with pytest.raises(ContractError, match="40 or more"):
        ct.load(tmp_path / "few").typical(noise(1))
    result = predict("builtin:tiny?count=9&seed=1", tmp_path / "out", model=tmp_path / "few")
    assert result.untypical is None
    assert "typical" not in (tmp_path / "out/predictions.csv").read_text(encoding="utf-8").splitlines()[0]


def test_a_published_classifier_does_not_know_it() -> None:
    with pytest.raises(ContractError, match="does not know how typical"):
        ct.load("builtin:scenes-multi").typical(noise(1))


@pytest.mark.slow
def test_explain_says_it_first(trained: Path) -> None:
    strange, known = noise(1)[0], images("builtin:tiny?count=1&seed=12")[0]
    found = ct.explain(str(trained), strange, quick=True)
    assert found.typical == pytest.approx(float(ct.load(trained).typical([strange])[0]), abs=1e-6)
    assert found.conclusion.startswith("This input looks like none of the model's labels")
    assert not ct.explain(str(trained), known, quick=True).conclusion.startswith("This input")
