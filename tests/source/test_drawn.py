"""Pictures that the package draws are a source like any other."""

from pathlib import Path

import pytest

from classtoken import drawn
from classtoken.errors import SourceError
from classtoken.source import SourceOptions, make_plan, open_source
from classtoken.testing.sources import check_source
from classtoken.verbs import embed


@pytest.mark.parametrize("name", ["builtin:tiny?count=7&seed=3", "builtin:scenes?count=4&start=2"])
def test_the_battery_for_sources(name: str) -> None:
    check_source(open_source(name))


def test_the_records_are_those_that_are_drawn() -> None:
    source = open_source("builtin:tiny?count=5&seed=2&start=10")
    assert list(source.records()) == list(drawn.tiny_records(5, seed=2, start=10))
    assert make_plan(open_source("builtin:tiny")).total == 1000


def test_a_limit_holds() -> None:
    assert [record.id for record in open_source("builtin:tiny?count=12").records(limit=3)] == [
        record.id for record in drawn.tiny_records(3)
    ]


def test_a_table_of_labels_goes_with_them(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("id,label\ntiny-0-1,mine\n")
    source = open_source("builtin:tiny?count=3", SourceOptions(labels=table))
    assert [record.label for record in source.records()] == [None, "mine", None]


def test_another_seed_is_another_plan() -> None:
    plans = {make_plan(open_source(f"builtin:tiny?count=3{more}")).hash for more in ("", "&seed=1", "&start=1")}
    assert len(plans) == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("builtin:birds", "there is no built-in source 'builtin:birds'; there are builtin:scenes, builtin:tiny"),
        ("builtin:tiny?number=3", "has number; a built-in source takes count, seed and start"),
        ("builtin:tiny?count=many", r"is not understood; write whole numbers from 0, as in builtin:tiny\?count=1000"),
        ("builtin:tiny?count=-1", "whole numbers from 0"),
        ("builtin:tiny?count", "is not understood"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(name: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        open_source(name)
    assert "\n" not in str(caught.value)


def test_embed_takes_them(tmp_path: Path) -> None:
    assert embed("builtin:toy", "builtin:tiny?count=12", tmp_path / "out", limit=5).rows == 5
