"""On scenes the truth is known: at least one method points at the right animal, and random scores do not."""

import numpy as np
import pytest
import torch

from classtoken import drawn as scenes
from classtoken.embedder import Embedder, load
from classtoken.maps.table import BY_NAME, Setting
from classtoken.maps.truth import overlap, patch_shares
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.traced import trace
from classtoken.values import Role

COUNT = 30
METHODS = ("chefer", "direct", "attention", "random")


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load("builtin:scenes")


@pytest.mark.slow
def test_a_method_points_at_the_animal(embedder: Embedder) -> None:
    subject = subject_of(embedder)
    hits: dict[str, list[float]] = {name: [] for name in METHODS}
    index = 0
    while len(hits["random"]) < COUNT:
        scene, record = scenes.draw(20_000, index), next(scenes.records(1, seed=20_000, start=index))
        index += 1
        if not scene.labels:
            continue
        tokens = embedder.tokens([record.image])
        grid = embedder.layout.grid
        assert grid is not None
        label = scene.labels[0]
        shares = patch_shares(scene.mask(label), grid)
        target = torch.tensor([subject.labels.index(label)])
        content = tokens.roles_BL[0] == Role.CONTENT
        traced = trace(subject, tokens, gradients=True)
        for name in METHODS:
            scores = BY_NAME[name].run(traced, target, Setting(seed=index))[0][content]
            hits[name].append(overlap(scores.detach().double().numpy(), shares).pointing)
    means = {name: float(np.mean(values)) for name, values in hits.items()}
    assert max(means["chefer"], means["direct"]) >= 0.9, means
    assert means["random"] < 0.3, means
    assert means["attention"] < max(means["chefer"], means["direct"]), means
