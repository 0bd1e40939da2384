"""A batch through a model that may mix its rows up or padding in: rows of one length at a time, or one alone."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from classtoken.tensors import States, Tokens
from classtoken.values import Role


def lengths_of(tokens: Tokens) -> list[int]:
    """How many tokens each row has besides padding."""
    lengths: list[int] = tokens.mask_BL.sum(1).tolist()
    return lengths


def one_by_one(encoder: Callable[..., States], tokens: Tokens, layers: Sequence[int | str]) -> States:
    """States as of the whole batch, every row computed without company."""
    if tokens.ids_BL is not None:
        return _in_groups(encoder, tokens, layers, [[row] for row in range(len(tokens))])
    parts = [encoder(tokens.row(row), layers=layers) for row in range(len(tokens))]
    joined: dict[str, Any] = {name: torch.cat([_tensors(part)[name] for part in parts]) for name in _tensors(parts[0])}
    kept = {layer: torch.cat([part.layers[layer] for part in parts]) for layer in parts[0].layers}
    roles_BL = torch.cat([part.roles_BL for part in parts])
    return dataclasses.replace(parts[0], roles_BL=roles_BL, layers=kept, **joined)


def by_length(encoder: Callable[..., States], tokens: Tokens, layers: Sequence[int | str]) -> States:
    """States as of the padded batch, in its places; those of padding are zero."""
    lengths = lengths_of(tokens)
    groups = [[row for row, n in enumerate(lengths) if n == length] for length in sorted(set(lengths))]
    return _in_groups(encoder, tokens, layers, groups)


def _in_groups(
    encoder: Callable[..., States], tokens: Tokens, layers: Sequence[int | str], groups: Sequence[list[int]]
) -> States:
    """Texts in groups of rows of one length, without their padding, put back into the places of the batch."""
    assert tokens.ids_BL is not None
    keep_BL = tokens.roles_BL != Role.PAD
    joined: dict[str, Any] = {}
    kept: dict[int | str, Tensor] = {}
    for group in groups:
        rows = torch.tensor(group, device=keep_BL.device)
        inside = keep_BL[rows]
        length = int(inside[0].sum())

        def cut(padded_BL: Tensor, rows: Tensor = rows, inside: Tensor = inside) -> Tensor:
            return padded_BL[rows][inside].view(len(rows), -1)

        part = encoder(Tokens(roles_BL=cut(tokens.roles_BL), ids_BL=cut(tokens.ids_BL)), layers=layers)
        for name, value in _tensors(part).items():
            whole = joined.setdefault(name, value.new_zeros(_shape(value, keep_BL, length)))
            whole[rows] = _padded(value, inside) if value.dim() == 3 else value
        for layer, value in part.layers.items():
            whole = kept.setdefault(layer, value.new_zeros(_shape(value, keep_BL, length)))
            whole[rows] = _padded(value, inside)
    return dataclasses.replace(part, roles_BL=tokens.roles_BL, layers=kept, **joined)


def _tensors(states: States) -> dict[str, Tensor]:
    """The fields of states that hold numbers row by row."""
    named = {field.name: getattr(states, field.name) for field in dataclasses.fields(states)}
    return {name: value for name, value in named.items() if isinstance(value, Tensor) and name != "roles_BL"}


def _shape(value: Tensor, keep_BL: Tensor, length: int) -> tuple[int, ...]:
    rows, places = keep_BL.shape
    return (rows, places, value.shape[2]) if value.dim() == 3 else (rows, *value.shape[1:])


def _padded(value: Tensor, inside_BL: Tensor) -> Tensor:
    """(rows, length, D) -> (rows, L, D), zero where padding stands."""
    whole = value.new_zeros((*inside_BL.shape, value.shape[2]))
    whole[inside_BL] = value.flatten(0, 1)
    return whole
