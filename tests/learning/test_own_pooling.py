"""A MODEL that has learned a pooling: trained further, it keeps what it has learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import classtoken as ct
from classtoken.learning.model import begin_with, new_readout
from classtoken.pooling.spec import parse

FACES = "builtin:tiny?count=80&seed=1"
FEW = {"loop": {"epochs": 1, "least_steps": 10}, "data": {"held_out": 0.4}}


def pictures() -> list[Any]:
    return [record.image for record in ct.open_source("builtin:tiny?count=6&seed=9").records([])]


def weights(folder: Path) -> Mapping[str, torch.Tensor]:
    return dict(ct.load(str(folder)).tower("image").reading.learned["map"].state_dict())


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pooled") / "model"
    ct.train("builtin:toy", FACES, folder, recipe={**FEW, "pooling": "map"})
    return folder


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_head_reads_the_vectors_that_the_model_gives(pooled: Path, tmp_path: Path, head: str) -> None:
    out = tmp_path / "again"
    result = ct.train(pooled, FACES, out, recipe=FEW, head=head)
    assert result.pooling == "map"
    model, again = ct.load(str(pooled)), ct.load(str(out))
    np.testing.assert_array_equal(again.embed(pictures()), model.embed(pictures()))
    classifier = again.tower("image").reading.classifier
    assert classifier is not None
    assert result.trained_parameters == sum(p.numel() for p in classifier.head.parameters())


def test_named_it_is_learned_anew(pooled: Path, tmp_path: Path) -> None:
    ct.train(pooled, FACES, tmp_path / "anew", recipe={**FEW, "pooling": "map"}, seed=2)
    before, after = weights(pooled), weights(tmp_path / "anew")
    assert not all(torch.equal(before[name], after[name]) for name in before)


def test_a_fine_tune_begins_with_it(pooled: Path, tmp_path: Path) -> None:
    recipe = {**FEW, "unfreeze": "last-1", "optimiser": {"learning_rate": 1e-9, "weight_decay": 0.0}}
    ct.train(pooled, FACES, tmp_path / "tuned", recipe=recipe)
    before, after = weights(pooled), weights(tmp_path / "tuned")
    for name in before:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-5)


def test_one_of_another_size_begins_anew_and_says_so(pooled: Path, caplog: pytest.LogCaptureFixture) -> None:
    reading = ct.load(str(pooled)).tower("image").reading
    fresh = new_readout(parse("queries(2)"), reading.encoder, reading.over, positions=None, grid=None, seed=1)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    begin_with(fresh, {"queries(2)": reading.learned["map"]})
    assert all(torch.equal(before[name], value) for name, value in fresh.state_dict().items())
    assert "the pooling 'queries(2)' begins anew" in caplog.text
