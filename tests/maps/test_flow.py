"""Attention flow against networkx, against every cut, and against the bounds that rollout and single paths give."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classtoken.errors import OptionError, TraceError
from classtoken.maps.flow import attention_flow, flow_graph
from classtoken.maps.rollout import rollout

SCALE = 10**7


def matrices(L: int, N: int, seed: int, sharpness: float = 2.0) -> list[np.ndarray]:
    """Row-stochastic layers with the residual mixed in."""
    rng = np.random.default_rng(seed)
    raw = np.exp(rng.normal(size=(N, L, L)) * sharpness)
    raw /= raw.sum(-1, keepdims=True)
    return [0.5 * layer + 0.5 * np.eye(L) for layer in raw]


def network(layers: list[np.ndarray]) -> nx.DiGraph:
    graph = nx.DiGraph()
    for layer, matrix in enumerate(layers):
        for i, j in itertools.product(range(len(matrix)), repeat=2):
            graph.add_edge((layer + 1, i), (layer, j), capacity=float(matrix[i, j]))
    return graph


def smallest_cut(layers: list[np.ndarray], start: int, end: int) -> float:
    """By trying every set of nodes on the source's side."""
    L, N = len(layers[0]), len(layers)
    nodes = [(layer, i) for layer in range(N + 1) for i in range(L)]
    source, sink = (N, start), (0, end)
    free = [node for node in nodes if node not in (source, sink)]
    best = math.inf
    for chosen in itertools.product((False, True), repeat=len(free)):
        side = {node for node, inside in zip(free, chosen, strict=True) if inside} | {source}
        cut = sum(
            layers[layer - 1][i, j] for layer, i in side if layer > 0 for j in range(L) if (layer - 1, j) not in side
        )
        best = min(best, cut)
    return best


def bottleneck(layers: list[np.ndarray], start: int) -> np.ndarray:
    """The best single path's smallest edge, per input token (L): a lower bound of the flow."""
    best = np.zeros(len(layers[0]))
    best[start] = np.inf
    for matrix in reversed(layers):
        best = np.minimum(best[:, None], matrix).max(0)
    return best


@settings(max_examples=15)
@given(st.integers(3, 7), st.integers(1, 4), st.integers(0, 10**6))
def test_flow_is_networkx_and_within_its_bounds(L: int, N: int, seed: int) -> None:
    layers = matrices(L, N, seed)
    found = attention_flow(layers, 0, scale=SCALE)
    graph = network(layers)
    expected = [nx.maximum_flow_value(graph, (N, 0), (0, j)) for j in range(L)]
    slack = (N + 1) * L / SCALE
    assert np.allclose(found, expected, atol=slack)
    R = np.linalg.multi_dot([np.eye(L), *reversed(layers), np.eye(L)])[0]
    assert (found >= R - slack).all()
    assert (found >= bottleneck(layers, 0) - slack).all()
    assert (found <= np.minimum(1.0, layers[0].sum(0)) + slack).all()


def test_flow_is_the_smallest_cut() -> None:
    layers = matrices(3, 2, seed=4)
    for end in range(3):
        assert attention_flow(layers, 0, [end], scale=SCALE)[0] == pytest.approx(smallest_cut(layers, 0, end), abs=1e-5)


def test_bottleneck_is_the_best_path() -> None:
    layers = matrices(4, 3, seed=2)
    best = np.zeros(4)
    for a, b, c in itertools.product(range(4), repeat=3):
        best[c] = max(best[c], min(layers[2][1, a], layers[1][a, b], layers[0][b, c]))
    assert np.allclose(bottleneck(layers, 1), best)


def test_rollout_is_a_feasible_flow_in_torch_too() -> None:
    layers = matrices(6, 4, seed=1)
    R = rollout([torch.tensor(2 * m - np.eye(6))[None] for m in layers])[0, 2].numpy()
    assert np.allclose(R, np.linalg.multi_dot(list(reversed(layers)))[2])
    assert (attention_flow(layers, 2) >= R - 1e-4).all()


def test_bad_input() -> None:
    with pytest.raises(TraceError, match="no layer was captured"):
        flow_graph([])
    with pytest.raises(TraceError, match="rows sum to 1"):
        flow_graph([np.ones((3, 3))])
    with pytest.raises(OptionError, match="no token 9"):
        attention_flow(matrices(4, 2, 0), 0, [9])
