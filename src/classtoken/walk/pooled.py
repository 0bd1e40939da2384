"""How several tokens become one vector: what each gives, the sum done again, and the vector without each of them."""

from dataclasses import replace

import torch
from torch import Tensor

from classtoken.errors import EmptyRow
from classtoken.page.example import PooledTokens
from classtoken.pooling.attentive import AttentivePooling
from classtoken.pooling.base import Over, Pooling, PoolingInput, WeightedPooling
from classtoken.pooling.fixed import Max
from classtoken.probe.traced import Traced
from classtoken.readout.own import AttentionPool, OneState
from classtoken.readout.own import Pooled as PoolerOfTokens
from classtoken.readout.readout import Readout
from classtoken.tensors import States
from classtoken.values import Role
from classtoken.walk.rows import numbers

AT_ONCE = 32
"""copies of an input whose vectors are read together"""
FOLLOWED = 4
"""tokens that can be watched where no class token can"""


@torch.no_grad()
def pooled_of(traced: Traced) -> PooledTokens | None:
    """What the readout does with the final states; None where it takes one class token's, or does something else."""
    readout = traced.subject.readout
    if not isinstance(readout, Readout) or len(readout.poolings) != 1:
        return None
    found = _of_pooling(readout, traced.states)
    if found is None:
        return None
    read = [t for t, weight in enumerate(found.weights) if weight != 0]
    if len(read) == 1:
        return None if traced.roles_BL[0, read[0]] == Role.CLASS else found
    try:
        return replace(found, without=numbers(_without(readout, traced.states)))
    except EmptyRow:  # a pooling that needs each of its tokens, as the mean of class and distillation token does
        return found


def followed(traced: Traced, pooled: PooledTokens | None) -> list[int]:
    """Tokens worth watching where there is no class token: the one that is read, else those that give the vector
    most; not a first one that a causal mask lets read itself alone, since there is nothing to watch."""
    content = [t for t, role in enumerate(traced.roles_BL[0].tolist()) if role != Role.PAD]
    content = content[1:] if traced.subject.causal and len(content) > 1 else content
    if pooled is None:
        return content[-1:]
    given = pooled.weights
    if pooled.kind == "sum" and pooled.states is not None and pooled.pooled is not None:
        given = given * (pooled.states @ pooled.pooled)
    best = sorted(content, key=lambda t: (-float(given[t]), t))
    return best[: 1 if (pooled.weights != 0).sum() == 1 else FOLLOWED]


def _of_pooling(readout: Readout, states: States) -> PooledTokens | None:
    pooling, roles_BL = readout.poolings[0], states.roles_BL
    if isinstance(pooling, OneState):
        return _sum(pooling.share(roles_BL)[0], states.last_BLD)
    if isinstance(pooling, AttentionPool):
        return _queries(pooling.map, states.last_BLD, roles_BL, pooling.over)
    if isinstance(pooling, PoolerOfTokens) and pooling.row.reduce in ("mean", "max"):
        kept_L = _among(roles_BL[0], pooling.over)
        if pooling.row.reduce == "max":
            return _largest(kept_L, states.last_BLD)
        return _sum(kept_L.float() / kept_L.sum(), states.last_BLD)
    if not isinstance(pooling, Pooling):
        return None
    x_BLD = readout.states_of(readout.spec.terms[0], states)
    if isinstance(pooling, WeightedPooling):
        return _sum(pooling.weights(PoolingInput(x_BLD, roles_BL, readout.over, states.grid))[0], x_BLD)
    if isinstance(pooling, AttentivePooling):
        return _queries(pooling, x_BLD, roles_BL, readout.over)
    return _largest(_among(roles_BL[0], readout.over), x_BLD) if isinstance(pooling, Max) else None


def _among(roles_L: Tensor, over: Over) -> Tensor:
    return torch.isin(roles_L, torch.tensor(sorted(over - {Role.PAD}), device=roles_L.device))


def _sum(weights_L: Tensor, x_BLD: Tensor) -> PooledTokens:
    weights_L, x_LD = weights_L.float(), x_BLD[0].float()
    return PooledTokens("sum", numbers(weights_L), None, numbers(x_LD), numbers(weights_L @ x_LD), None)


def _largest(kept_L: Tensor, x_BLD: Tensor) -> PooledTokens:
    x_LD = x_BLD[0].float()
    largest = x_LD.masked_fill(~kept_L[:, None], -torch.inf).max(0)
    share_L = torch.bincount(largest.indices, minlength=len(x_LD)).float() / x_LD.shape[1]
    return PooledTokens("largest", numbers(share_L), None, numbers(x_LD), numbers(largest.values), None)


def _queries(pooling: AttentivePooling, x_BLD: Tensor, roles_BL: Tensor, over: Over) -> PooledTokens:
    weights_QL = pooling.weights(PoolingInput(x_BLD, roles_BL, over))[0].float()
    return PooledTokens("query", numbers(weights_QL.mean(0)), numbers(weights_QL), None, None, None)


def _without(readout: Readout, states: States) -> Tensor:
    """Cosine of the vector to that without each token (L); 1 for tokens that are not read at all."""
    whole_D = readout(states)[0]
    found = []
    for some in torch.arange(states.roles_BL.shape[1], device=states.roles_BL.device).split(AT_ONCE):
        roles_BL = states.roles_BL.repeat(len(some), 1)
        roles_BL[torch.arange(len(some)), some] = int(Role.PAD)
        layers = {name: x.expand(len(some), -1, -1) for name, x in states.layers.items()}
        alone = replace(states, last_BLD=states.last_BLD.expand(len(some), -1, -1), roles_BL=roles_BL, layers=layers)
        found.append(torch.cosine_similarity(readout(alone), whole_D[None], dim=-1))
    return torch.cat(found)
