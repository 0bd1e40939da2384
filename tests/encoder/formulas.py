"""Poolers and classifiers by their published formulas, written for the tests alone, from a family's rows.

They are the second opinion on what `readout` and `head` compute: nothing here is imported from there.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from classtoken.encoder.checkpoint import LoadedEncoder
from classtoken.encoder.families.row import HeadRow, PoolerRow
from classtoken.encoder.names import to_ours
from classtoken.tensors import States
from classtoken.values import Role

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
}

ROLES = {"cls": Role.CLASS, "end": Role.END}


def pooler_row(loaded: LoadedEncoder, config: Mapping[str, Any]) -> PoolerRow:
    """The family's pooler for this config."""
    assert loaded.family is not None
    row = loaded.family.pooler
    return row if isinstance(row, PoolerRow) else row(config)


def head_row(loaded: LoadedEncoder) -> HeadRow:
    """The classifier that this checkpoint carries."""
    assert loaded.family is not None
    row = loaded.family.head_among(loaded.rest)
    assert row is not None
    return row


def at(states: States, role: Role) -> Tensor:
    """The state of the only token of a role in each row."""
    found = states.last_BLD[states.roles_BL == role]
    assert len(found) == len(states.last_BLD)
    return found


def mean_of(states: States, keep_BL: Tensor, normed: bool = True) -> Tensor:
    """The mean over some tokens of each row, after the final norm or before it."""
    keep = keep_BL[..., None].float()
    blocks = [layer for layer in states.layers if isinstance(layer, int)]
    x = states.last_BLD if normed else states.layers[max(blocks)]
    return (x * keep).sum(1) / keep.sum(1)


def last_token(states: States) -> Tensor:
    """The state of each row's last token."""
    places = torch.arange(states.roles_BL.shape[1])
    last = torch.where(states.roles_BL == Role.PAD, -1, places).max(1).values
    return states.last_BLD[torch.arange(len(last)), last]


def pooled_of(loaded: LoadedEncoder, config: Mapping[str, Any], states: States) -> Tensor:
    """The pooled output of a checkpoint by its family's `PoolerRow`."""
    row = pooler_row(loaded, config)
    weights, _ = to_ours(loaded.rest, row.names)
    if row.kind == "state":
        return last_token(states) if row.token == "last" else at(states, ROLES[row.token])
    if row.kind == "tanh":
        function = FUNCTIONS[row.activation]
        return function(F.linear(at(states, Role.CLASS), weights["dense.weight"], weights["dense.bias"]))
    if row.kind == "dense":
        return F.linear(last_token(states), weights["dense.weight"], weights["dense.bias"])
    if row.kind == "pooled":
        mean = mean_of(states, states.roles_BL == Role.CONTENT)
        eps = config["layer_norm_eps"]
        return F.layer_norm(mean, mean.shape[-1:], weights["norm.weight"], weights["norm.bias"], eps)
    if row.kind == "map":
        return attention_pooled(weights, states, config)
    raise AssertionError(f"no formula for a pooler of kind '{row.kind}'")


def attention_pooled(weights: Mapping[str, Tensor], states: States, config: Mapping[str, Any]) -> Tensor:
    """SigLIP's head: a learned query attends over the patches, then x + MLP(LN(x)).

    Names in our module: map.probe, map.{query,key,value,output,norm,up,down}.{p}.
    """
    weights = {name.removeprefix("map."): tensor for name, tensor in weights.items()}
    x, heads = states.last_BLD, config["num_attention_heads"]
    query = weights["probe"].reshape(1, 1, -1).expand(len(x), -1, -1)

    def split(tensor: Tensor, part: str) -> Tensor:
        y = F.linear(tensor, weights[f"{part}.weight"], weights[f"{part}.bias"])
        return y.unflatten(-1, (heads, -1)).transpose(1, 2)

    q, k, v = split(query, "query"), split(x, "key"), split(x, "value")
    scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill((states.roles_BL == Role.PAD)[:, None, None], -torch.inf)
    z = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    z = F.linear(z, weights["output.weight"], weights["output.bias"])[:, 0]
    normed = F.layer_norm(z, z.shape[-1:], weights["norm.weight"], weights["norm.bias"], config["layer_norm_eps"])
    inner = FUNCTIONS["gelu_tanh"](F.linear(normed, weights["up.weight"], weights["up.bias"]))
    return z + F.linear(inner, weights["down.weight"], weights["down.bias"])


def logits_of(loaded: LoadedEncoder, config: Mapping[str, Any], states: States) -> Tensor:
    """The logits of a checkpoint by its family's `HeadRow`."""
    row = head_row(loaded)
    weights, _ = to_ours(loaded.rest, row.names)

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    pooling, text = row.pooling(config), loaded.family is not None and loaded.family.modality == "text"
    pooled = states.roles_BL != Role.PAD if text else states.roles_BL == Role.CONTENT
    if pooling == "pooler":
        x = pooled_of(loaded, config, states)
    elif pooling in ("mean", "mean@-1"):
        x = mean_of(states, pooled, normed=pooling != "mean@-1")
    elif pooling == "cls+mean":
        x = torch.cat((at(states, Role.CLASS), mean_of(states, pooled)), dim=-1)
    else:
        assert pooling in ("cls", "cls+dist"), f"no formula for a head on '{pooling}'"
        x = at(states, Role.CLASS)
    if pooling == "cls+dist":
        return (linear(x, "output") + linear(at(states, Role.DISTILLATION), "distillation")) / 2
    if "dense.weight" in weights:
        x = FUNCTIONS[row.activation](linear(x, "dense"))
        if row.norm:
            x = F.layer_norm(x, x.shape[-1:], weights["norm.weight"], weights.get("norm.bias"), config["norm_eps"])
    return linear(x, "output")
