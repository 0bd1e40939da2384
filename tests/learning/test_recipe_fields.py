"""Every field of a recipe, given what it cannot be: an error on one line that names the field, or a run that works."""

import dataclasses
import itertools
import math
import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
import torch

from classtoken.encoder.encoder import Encoder
from classtoken.encoder.shape import ImageStem, Shape
from classtoken.errors import ClasstokenError
from classtoken.learning.recipe import Recipe
from classtoken.tensors import Tokens
from classtoken.values import Role

STRANGE: tuple[Any, ...] = (
    None,
    "",
    "48",
    "nonsense",
    True,
    -1,
    0,
    1,
    2,
    3,
    48,
    0.5,
    -0.5,
    8.5,
    1e9,
    math.nan,
    math.inf,
    [],
    [48],
    [-1, 0],
    [0, 0],
    [1.0, 0.2],
    [[1, 2]],
    ["CLASS"],
    {},
    {"a": 1},
)
IMAGE = {
    "hidden_size": 16,
    "depth": 2,
    "stem": {"kind": "image", "patch": 8, "image": [16, 16]},
    "block": {"heads": 2, "feedforward_size": 32},
    "position": {},
}
TEXT = {**IMAGE, "stem": {"kind": "text", "vocabulary": 50, "positions": 16}}
LARGEST = 4096
"""of a size: larger ones are allowed, and not built in a test"""


def leaves(kind: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of every field that is no table itself."""
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        inner = [part for part in members(hint) if dataclasses.is_dataclass(part)]
        if not inner:
            yield (*before, field.name)
        for part in inner:
            yield from leaves(part, (*before, field.name))


def members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def changed(plain: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    if len(path) == 1:
        return {**plain, path[0]: value}
    return {**plain, path[0]: changed(plain.get(path[0], {}), path[1:], value)}


def small(shape: Shape) -> bool:
    sizes = [shape.hidden_size, shape.depth, shape.block.feedforward_size, shape.block.head_size or 1]
    stem = shape.stem
    if isinstance(stem, ImageStem):
        counts = (stem.class_tokens, stem.distillation_tokens, stem.registers)
        sizes += [*stem.image, *counts, *itertools.chain(*stem.convolutions)]
    else:
        sizes += [stem.vocabulary, stem.positions, stem.kinds, stem.embedding_size or 1, stem.position_offset]
    return max(*sizes, shape.position.buckets, shape.position.bucket_reach) <= LARGEST


def forward(shape: Shape) -> None:
    """The encoder is built and reads two inputs."""
    encoder = Encoder(shape).initialise(0)
    stem = shape.stem
    if isinstance(stem, ImageStem):
        roles = shape.layout.roles()
        tokens = Tokens(
            roles_BL=torch.tensor([[int(r) for r in roles]] * 2), pixels=torch.rand(2, 3, *stem.image), grid=stem.grid
        )
    else:
        length = min(6, stem.positions or 6)
        roles = [Role.CLASS, *[Role.CONTENT] * (length - 1)]
        tokens = Tokens(
            roles_BL=torch.tensor([[int(r) for r in roles]] * 2),
            ids_BL=torch.randint(0, stem.vocabulary, (2, length)),
        )
    assert encoder(tokens).last_BLD.shape[0] == 2


def test_every_field_of_every_table_is_tried() -> None:
    names = {".".join(path) for path in leaves(Recipe)}
    assert {"loop.epochs", "augment.zoom", "objective.local_size", "data.mean", "head.kind"} <= names
    assert {"hidden_size", "stem.patch", "stem.vocabulary", "block.windows", "position.rotary"} <= {
        ".".join(path) for path in leaves(Shape)
    }


def said(call: Callable[[], Any]) -> tuple[Any, str]:
    """What a call gives, or the line of the error that it raises; any other exception passes."""
    try:
        return call(), ""
    except ClasstokenError as error:
        return None, f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("path", sorted(set(leaves(Recipe))), ids=".".join)
def test_a_field_takes_what_its_table_says_or_names_itself(path: tuple[str, ...]) -> None:
    lines = [said(partial(Recipe.from_dict, changed({}, path, value)))[1] for value in STRANGE]
    refused = [line for line in lines if line]
    assert refused
    for line in refused:
        assert line.startswith("OptionError: recipe."), line
        assert ".".join(path) in line
        assert "\n" not in line


@pytest.mark.slow
@pytest.mark.parametrize("base", [IMAGE, TEXT], ids=["image", "text"])
@pytest.mark.parametrize("path", sorted(set(leaves(Shape))), ids=".".join)
def test_an_encoder_is_refused_by_name_or_works(path: tuple[str, ...], base: dict[str, Any]) -> None:
    """No value reaches a tensor that it breaks."""
    refused = 0
    for value in STRANGE:
        recipe, line = said(partial(Recipe.from_dict, {"model": changed(base, path, value)}))
        refused += bool(line)
        assert line == "" or line.startswith("OptionError: recipe.model"), line
        assert "\n" not in line
        if recipe is not None and small(recipe.shape()):
            assert "\n" not in said(partial(forward, recipe.shape()))[1]  # an error of ours, and not a tensor's
    assert refused
