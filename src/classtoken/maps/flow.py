"""Attention flow: how much could reach the class token through all layers at once (Abnar & Zuidema 2020).

The layers are a graph: node (l, i) is token i before layer l, and an edge (l + 1, i) -> (l, j) has the capacity
M_l[i, j] = (1 - s) A_l[i, j] + s [i = j]. The flow of token j is the maximum flow from (N, start) to (0, j).
Flow is never below rollout (every path's product is a part of a feasible flow) and never above 1 or above what enters
token j in the first layer. On diffuse attention it saturates: read it as a rank, not as an intensity.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor

from classtoken.errors import OptionError, TraceError
from classtoken.maps.rollout import fused, with_residual
from classtoken.probe.traced import Traced
from classtoken.values import Role

SCALE = 10**6


def flow_graph(matrices_NLL: Sequence[np.ndarray] | np.ndarray, scale: int = SCALE) -> csr_matrix:
    """The layered graph with whole-number capacities (scale * M, rounded); node l * L + i is token i before layer l."""
    layers = [np.asarray(matrix, dtype=np.float64) for matrix in matrices_NLL]
    if not layers:
        raise TraceError("there is no attention for a flow: no layer was captured.")
    L = layers[0].shape[0]
    nodes = (len(layers) + 1) * L
    rows, columns, capacities = [], [], []
    for layer, matrix in enumerate(layers):
        if matrix.shape != (L, L) or not np.allclose(matrix.sum(1), 1, atol=1e-3):
            raise TraceError(f"layer {layer} of the flow is no {L}x{L} matrix whose rows sum to 1.")
        whole = np.rint(matrix * scale).astype(np.int32)
        reader, read = np.nonzero(whole)
        rows.append((layer + 1) * L + reader)
        columns.append(layer * L + read)
        capacities.append(whole[reader, read])
    edges = (np.concatenate(rows), np.concatenate(columns))
    return csr_matrix((np.concatenate(capacities), edges), shape=(nodes, nodes))


def attention_flow(
    matrices_NLL: Sequence[np.ndarray] | np.ndarray,
    start: int,
    sources: Sequence[int] | None = None,
    *,
    scale: int = SCALE,
) -> np.ndarray:
    """Maximum flow between `start` at the top and each input token of `sources` (all when none are named).

    matrices_NLL: head-fused weights with the residual mixed in (`rollout.with_residual`), first layer first.
    Exact for the rounded capacities: within N * L / scale of the real-valued flow. Raises `OptionError` for a token
    that does not exist.
    """
    layers = [np.asarray(matrix) for matrix in matrices_NLL]
    graph = flow_graph(layers, scale)
    L = layers[0].shape[0]
    wanted = list(range(L)) if sources is None else list(sources)
    wrong = [token for token in (start, *wanted) if not 0 <= token < L]
    if wrong:
        raise OptionError(f"there is no token {wrong[0]}: this input has tokens 0 to {L - 1}.")
    top = len(layers) * L + start
    # The graph is layered and every edge leads down: nodes at the top other than `start` carry nothing.
    return np.array([maximum_flow(graph, top, token).flow_value for token in wanted], dtype=np.float64) / scale


def flow(traced: Traced) -> Tensor:
    """Max-flow from the readout's token to every CONTENT token, (B, L). Raises `OptionError` where several are read."""
    if not traced.one_reader:
        raise OptionError("attention flow starts at one token; this readout reads several. Use rollout.")
    reader, matrices = traced.reader_BL, [with_residual(matrix) for matrix in fused(traced)]
    scores = torch.zeros(reader.shape)
    for b in range(len(traced)):
        here = (traced.roles_BL[b] != Role.PAD).nonzero()[:, 0].cpu()
        places = (traced.roles_BL[b] == Role.CONTENT).nonzero()[:, 0].cpu()
        layers = [matrix[b].cpu().double().numpy() for matrix in matrices]
        if len(here) < len(traced.roles_BL[b]):
            inside = [m[here.numpy()][:, here.numpy()] for m in layers]
            layers = [m / m.sum(1, keepdims=True) for m in inside]
        number = {place: n for n, place in enumerate(here.tolist())}
        found = attention_flow(layers, number[int(reader[b].argmax())], [number[place] for place in places.tolist()])
        scores[b, places] = torch.from_numpy(found).float()
    return scores
