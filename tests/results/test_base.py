"""Results go to JSON and come back equal; what does not fit is refused by the name of its place."""

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.house.surface import result_classes

from classtoken.destination import marked
from classtoken.errors import ClasstokenError, InternalError
from classtoken.plain import encode
from classtoken.results.base import Result, format_of, write
from classtoken.results.statistics import Interval
from classtoken.results.train import Trial
from classtoken.values import Layout, Role


class Verdict(Enum):
    GOOD = "good"
    BAD = "bad"


@dataclasses.dataclass(frozen=True)
class Inner:
    name: str
    score: float
    count: int = 0


@dataclasses.dataclass(frozen=True)
class Outer(Result):
    inner: Inner
    many: tuple[Inner, ...]
    pair: tuple[int, str]
    table: Mapping[str, float]
    by_block: Mapping[int, tuple[float, ...]]
    by_role: Mapping[Role, int]
    verdict: Verdict
    role: Role
    maybe: Inner | None
    number_or_text: int | float | str
    names: frozenset[str]
    flag: bool
    layout: Layout
    where: Path
    rows: list[int] = dataclasses.field(default_factory=list)


floats = st.floats(allow_nan=False)
inners = st.builds(Inner, st.text(), floats, st.integers())
outers = st.builds(
    Outer,
    inner=inners,
    many=st.lists(inners, max_size=3).map(tuple),
    pair=st.tuples(st.integers(), st.text()),
    table=st.dictionaries(st.text(), floats, max_size=3),
    by_block=st.dictionaries(st.integers(), st.lists(floats, max_size=3).map(tuple), max_size=3),
    by_role=st.dictionaries(st.sampled_from(Role), st.integers(), max_size=3),
    verdict=st.sampled_from(Verdict),
    role=st.sampled_from(Role),
    maybe=st.none() | inners,
    number_or_text=st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(alphabet="abc"),
    names=st.frozensets(st.text(), max_size=3),
    flag=st.booleans(),
    layout=st.just(Layout(((Role.CLASS, 1), (Role.CONTENT, 196)), (14, 14))),
    where=st.just(Path("a/b.txt")),
    rows=st.lists(st.integers(), max_size=3),
)


@given(outers)
def test_json_and_back_is_equal(outer: Outer) -> None:
    text = outer.to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    back = Outer.from_json(text)
    assert back == outer
    assert type(back.number_or_text) is type(outer.number_or_text)
    assert back.to_json() == text


def test_nan_comes_back_as_nan() -> None:
    inner = encode(Inner("a", math.nan))
    assert inner == {"name": "a", "score": "NaN", "count": 0}
    assert math.isnan(Single.from_dict({"value": "NaN"}).value)


@dataclasses.dataclass(frozen=True)
class Single(Result):
    value: float


def test_numpy_scalars_are_numbers_and_arrays_are_refused() -> None:
    assert Single(np.float32(0.5)).to_dict() == {"value": 0.5}
    assert Single.from_json(Single(np.float64(1 / 3)).to_json()) == Single(1 / 3)
    assert encode(np.int64(3)) == 3
    assert encode(np.bool_(True)) is True
    with pytest.raises(InternalError, match="ndarray"):
        Single(np.zeros(3)).to_json()


@pytest.mark.parametrize(
    ("plain", "complaint"),
    [
        ({}, "Single lacks value"),
        ({"value": 1.0, "more": 2}, "Single has no field more; it has value"),
        ({"value": "high"}, "Single.value must be a number, not 'high'"),
        ({"value": True}, "Single.value must be a number"),
        ([1.0], "Single must be an object"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(plain: object, complaint: str) -> None:
    with pytest.raises(ClasstokenError, match=complaint):
        Single.from_dict(plain)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"value": [1]}', '{"value": null}'])
def test_broken_json_is_the_users_input(text: str) -> None:
    with pytest.raises(ClasstokenError) as caught:
        Single.from_json(text)
    assert "\n" not in str(caught.value)


def test_lone_surrogates_can_be_written(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Named(Result):
        name: str

    write(Named("caf\udce9"), tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["name"] == "caf\udce9"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_json_says_what_it_is_and_is_read_back_as_that_alone() -> None:
    """The key `format` of every result, also of a file that carries the mark of what made it."""
    for name, kind in result_classes().items():
        own = {field.name: field.default for field in dataclasses.fields(kind)}
        if "format" not in own:
            assert format_of(kind) == f"classtoken.{name}/1"
    trial = Trial("C = 1", 0.5)
    text = trial.to_json()
    assert list(json.loads(text)) == ["format", "setting", "score", "metric"]
    assert json.loads(text)["format"] == "classtoken.Trial/1"
    assert Trial.from_json(text) == trial
    assert Trial.from_json(marked(text.encode(), ".json", "classtoken train, work 0")) == trial
    with pytest.raises(ClasstokenError, match=r"this is a classtoken\.Trial/1, not a classtoken\.Interval/1"):
        Interval.from_json(text)
