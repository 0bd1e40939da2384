"""Plain values by annotation: strict, and the place is named; what earlier versions wrote is still read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from classtoken.encoder.shape import shape_from_dict
from classtoken.errors import InternalError
from classtoken.learning.recipe import Recipe
from classtoken.plain import Limits, Misfit, chosen, decode, encode
from classtoken.results.embed import EmbedResult
from classtoken.results.inspect import Inspection
from classtoken.results.predict import PredictResult
from classtoken.results.train import TrainResult
from classtoken.sink.manifest import Manifest
from classtoken.values import Role

ROOT = Path(__file__).resolve().parents[1]
BUILT_IN = sorted(path.parent for path in (ROOT / "src/classtoken/builtin").glob("*/training.json"))


@dataclass(frozen=True)
class Round:
    json_kind: ClassVar[str] = "round"
    radius: Annotated[float, Limits(gt=0)]


@dataclass(frozen=True)
class Square:
    json_kind: ClassVar[str] = "square"
    radius: Annotated[float, Limits(ge=1, le=9)]


@dataclass(frozen=True)
class Whole:
    form: Round | Square
    colour: Literal["red", "blue"] = "red"
    counts: Mapping[Role, Annotated[int, Limits(ge=0)]] = field(default_factory=dict)
    share: Annotated[float, Limits(ge=0, le=1)] | None = None


def test_dataclasses_of_one_union_are_told_apart_by_their_kind() -> None:
    for form in (Round(2.0), Square(2.0)):
        plain = json.loads(json.dumps(encode(Whole(form, counts={Role.PAD: 2}))))
        assert plain["form"]["kind"] == form.json_kind
        assert decode(plain, Whole) == Whole(form, counts={Role.PAD: 2})


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({}, "Whole lacks form"),
        ({"form": {"kind": "square", "radius": 10}}, r"Whole.form.radius must be 1 or more, at most 9, not 10"),
        ({"form": {"kind": "round", "radius": 0}}, r"Whole.form.radius must be above 0, not 0"),
        ({"form": {"kind": "round", "radius": "NaN"}}, r"Whole.form.radius must be above 0, not nan"),
        ({"form": {"kind": "round", "radius": 10**400}}, r"Whole.form.radius must be a number of at most 308 digits"),
        ({"form": {"kind": "oval", "radius": 2}}, "Whole.form.kind must be one of round, square, not 'oval'"),
        ({"form": {"kind": "round", "radius": 2}, "color": "red"}, "Whole has no field color; it has form, colour"),
        ({"form": {"kind": "round", "radius": 2}, "colour": "green"}, "Whole.colour must be one of red, blue"),
        ({"form": {"kind": "round", "radius": 2}, "counts": {"CLASS": -1}}, "Whole.counts.CLASS must be 0 or more"),
        ({"form": {"kind": "round", "radius": 2}, "counts": {"HEAD": 1}}, "a key of Whole.counts must be one of PAD"),
        ({"form": {"kind": "round", "radius": 2}, "share": 2.0}, "Whole.share must be 0 or more, at most 1"),
        ({"form": {"kind": "round", "radius": True}}, "Whole.form.radius must be a number, not True"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(plain: dict, said: str) -> None:
    with pytest.raises(Misfit, match=said):
        decode(plain, Whole)


def test_an_annotation_that_cannot_be_read_back_is_our_own_mistake() -> None:
    @dataclass(frozen=True)
    class Odd:
        value: complex

    with pytest.raises(InternalError, match=r"Odd\.value is annotated"):
        decode({"value": 1}, Odd)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("inspect", Inspection),
        ("embed", EmbedResult),
        ("train", TrainResult),
        ("predict", PredictResult),
        ("manifest", Manifest),
    ],
)
def test_results_that_an_earlier_version_wrote_are_read(name: str, kind: type) -> None:
    """`tests/golden/results` was written by version 0.1.0; a field that came later has a default."""
    plain = json.loads((ROOT / f"tests/golden/results/{name}.json").read_text(encoding="utf-8"))
    again = kind.from_dict(plain).to_dict()
    assert _holds(again, plain)


def _holds(new: Any, old: Any) -> bool:
    """Whether all of the old plain value is in the new one, which may have more fields."""
    if isinstance(old, dict):
        return all(key in new and _holds(new[key], value) for key, value in old.items())
    if isinstance(old, list):
        return len(new) == len(old) and all(_holds(*pair) for pair in zip(new, old, strict=True))
    return bool(new == old)


@pytest.mark.parametrize("folder", BUILT_IN, ids=lambda folder: folder.name)
def test_records_of_the_models_that_ship_are_read(folder: Path) -> None:
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert TrainResult.from_dict(record["result"]).labels
    recipe = Recipe.from_dict(record["recipe"])
    assert recipe.essence() == Recipe.from_dict(recipe.to_dict()).essence()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for plain in filter(None, (config.get("shape"), record["recipe"]["model"])):
        shape = shape_from_dict(plain)
        assert shape_from_dict(json.loads(json.dumps(shape.to_dict()))) == shape


def test_what_is_at_its_default_is_not_chosen() -> None:
    """A hash of it stays what it was when a field with a default is added."""

    @dataclass(frozen=True)
    class Inner:
        a: int = 1
        b: int = 2

    @dataclass(frozen=True)
    class Outer:
        needed: int
        inner: Inner = field(default_factory=Inner)
        other: Inner = field(default_factory=lambda: Inner(b=3))

    assert chosen(Outer(5)) == {"needed": 5}
    assert chosen(Outer(5, Inner(a=7), Inner())) == {"needed": 5, "inner": {"a": 7}, "other": {}}
