"""Schedules, groups, averages and Muon against independent formulas."""

import math

import numpy as np
import pytest
import torch
from tests.learning.small import network
from torch import nn

from classtoken.learning.loop.muon import orthogonal
from classtoken.learning.loop.optimise import depth_of, groups, optimisers, schedule, set_rates
from classtoken.learning.loop.seeds import generator_of, rows_of_step, seed_of, steps_per_epoch
from classtoken.learning.objectives.supervised import Supervised
from classtoken.learning.recipe import OptimiserOptions


def test_the_cosine_rises_and_falls_as_written() -> None:
    options = OptimiserOptions(warmup=0.1, schedule="cosine", final=0.1)
    assert schedule(options, 0, 100) == pytest.approx(0.1)
    assert schedule(options, 9, 100) == pytest.approx(1.0)
    assert schedule(options, 55, 100) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 0.5)))
    assert schedule(options, 100, 100) == pytest.approx(0.1)


def test_linear_and_constant() -> None:
    assert schedule(OptimiserOptions(warmup=0.0, schedule="linear", final=0.0), 25, 100) == pytest.approx(0.75)
    assert schedule(OptimiserOptions(warmup=0.0, schedule="constant"), 99, 100) == 1.0


def test_blocks_are_counted_from_the_head() -> None:
    assert [depth_of(f"model.encoder.blocks.{i}.x", 12) for i in (0, 11)] == [12, 1]
    assert depth_of("model.encoder.stem.position", 12) == 13
    assert depth_of("model.head.output.weight", 12) == depth_of("model.encoder.final_norm.weight", 12) == 0


def test_layer_decay_and_weight_decay_reach_the_right_weights() -> None:
    objective = Supervised(network(), "single")
    made = groups(objective, OptimiserOptions(learning_rate=1.0, layer_decay=0.5, weight_decay=0.1), depth=2)
    rate = {name: group["lr"] for group in made for name in group["names"]}
    decay = {name: group["weight_decay"] for group in made for name in group["names"]}
    assert rate["model.head.output.weight"] == 1.0
    assert rate["model.encoder.blocks.1.feedforward.up.weight"] == 0.5
    assert rate["model.encoder.blocks.0.feedforward.up.weight"] == 0.25
    assert rate["model.encoder.stem.class_token"] == 0.125
    assert decay["model.encoder.blocks.0.feedforward.up.weight"] == 0.1
    for name in (
        "model.encoder.stem.class_token",
        "model.encoder.stem.position",
        "model.encoder.blocks.0.attention.query.bias",
    ):
        assert decay[name] == 0.0, name
    assert sum(len(group["names"]) for group in made) == len(list(objective.parameters()))


@pytest.mark.parametrize(("pooling", "name"), [("map", "probe"), ("queries(4)", "queries")])
def test_learned_queries_are_tokens_and_not_decayed(pooling: str, name: str) -> None:
    made = groups(Supervised(network(pooling=pooling), "single"), OptimiserOptions(weight_decay=0.1), depth=2)
    decay = {known: group["weight_decay"] for group in made for known in group["names"] if "readout" in known}
    assert {value for known, value in decay.items() if known.endswith(f".{name}")} == {0.0}
    assert {value for known, value in decay.items() if known.endswith("value.weight")} == {0.1}


def test_orthogonal_is_near_u_v_of_the_singular_value_decomposition() -> None:
    for rows, columns in ((8, 8), (8, 20), (20, 8)):
        matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows))
        found = orthogonal(matrix)
        values = torch.linalg.svdvals(found)
        assert float(values.min()) > 0.6
        assert float(values.max()) < 1.3
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        cosine = torch.nn.functional.cosine_similarity(found.flatten(), (u @ v).flatten(), dim=0)
        assert cosine > 0.97


def test_an_epoch_shows_every_row_once_and_the_next_in_another_order() -> None:
    first = [rows_of_step(20, 5, 0, step) for step in range(4)]
    assert sorted(torch.cat(first).tolist()) == list(range(20))
    assert torch.cat(first).tolist() != torch.cat([rows_of_step(20, 5, 0, step) for step in range(4, 8)]).tolist()
    assert steps_per_epoch(3, 8) == 1


def test_draws_are_functions_of_their_numbers() -> None:
    assert seed_of(1, 2, 3) == seed_of(1, 2, 3)
    assert len({seed_of(0, purpose, step) for purpose in range(6) for step in range(50)}) == 300
    assert torch.equal(torch.rand(3, generator=generator_of(4)), torch.rand(3, generator=generator_of(4)))


def test_the_weight_decay_follows_dinos_cosine() -> None:
    """main_dino.py's cosine_scheduler(0.04, 0.4), and only where there is decay at all."""
    options = OptimiserOptions(weight_decay=0.04, final_weight_decay=0.4)
    theirs = 0.4 + 0.5 * (0.04 - 0.4) * (1 + np.cos(np.pi * np.arange(50) / 50))
    layer = nn.Linear(2, 2)
    made = optimisers(layer, options, 0)
    for step in range(50):
        set_rates(made, options, step, 50)
        found = {g["names"][0]: g["weight_decay"] for g in made[0].param_groups}
        assert found == {"weight": pytest.approx(theirs[step]), "bias": 0.0}
