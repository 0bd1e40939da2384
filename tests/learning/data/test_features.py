"""Frozen features are found again only for the same model and the same records."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tests import folders

import classtoken as ct
from classtoken.learning.data.features import features
from classtoken.values import Progress, Record

RECORDS = [Record(str(i), text=text) for i, text in enumerate(folders.SENTENCES)]


@pytest.mark.parametrize("tokens", [False, True])
def test_weights_that_differ_in_sign_only_are_other_weights(tmp_path: Path, tokens: bool) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    first = features(ct.load(folder), RECORDS, tmp_path, modality="text", pooling="mean", tokens=tokens)
    again = features(ct.load(folder), RECORDS, tmp_path, modality="text", pooling="mean", tokens=tokens)
    assert (first.cached, again.cached) == (False, True)
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"] *= -1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    other = features(ct.load(folder), RECORDS, tmp_path, modality="text", pooling="mean", tokens=tokens)
    assert not other.cached
    name = "states" if tokens else "vectors"
    assert not np.allclose(first.arrays[name], other.arrays[name])


def test_features_say_how_far_they_are(tmp_path: Path) -> None:
    seen: list[Progress] = []
    model = ct.load(folders.tiny_bert(tmp_path / "bert"))
    features(model, RECORDS, tmp_path, modality="text", pooling="mean", report=seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].what) == (len(RECORDS), len(RECORDS), "features")
