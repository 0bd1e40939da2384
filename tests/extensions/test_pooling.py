"""A pooling from outside: one class and one row, and it works wherever a pooling may be named."""

from pathlib import Path

import numpy as np
import pytest
from tests.extensions.conftest import Install
from tests.folders import pictures, tiny_vit

import classtoken as ct
from classtoken.errors import SpecError
from classtoken.pooling import make, parse
from classtoken.testing.poolings import check_pooling

ABOUT = """
from classtoken.pooling.table import About

MIDDLE = About(
    name="middle",
    code="my_middle:Middle",
    meaning="the state of the token in the middle of those pooled",
    elsewhere=("centre",),
)
"""
MODULE = """
from classtoken.pooling.base import kept
from classtoken.pooling.fixed import RolePooling


class Middle(RolePooling):
    def shares(self, roles_BL, over):
        kept_BL = kept(self, roles_BL, over)
        half_B1 = (kept_BL.sum(1, keepdim=True) + 1) // 2
        return (kept_BL & (kept_BL.cumsum(1) == half_B1)).float()
"""


@pytest.fixture
def middle(install: Install) -> None:
    install("my_middle", MODULE, {})
    install("my_about", ABOUT, {"poolings": "middle = my_about:MIDDLE"})


def test_without_it_the_name_is_unknown() -> None:
    with pytest.raises(SpecError, match="there is no pooling 'middle'"):
        parse("middle")


@pytest.mark.usefixtures("middle")
def test_a_pooling_of_another_package_passes_the_battery() -> None:
    check_pooling(make("middle", 8))


@pytest.mark.usefixtures("middle")
def test_it_is_read_printed_and_listed_like_any_other() -> None:
    assert str(parse("cls+middle@-2")) == "cls+middle@-2"
    with pytest.raises(SpecError, match="Did you mean middle"):
        parse("centre")
    with pytest.raises(SpecError, match="middle takes nothing in parentheses"):
        parse("middle(3)")


@pytest.mark.usefixtures("middle")
def test_a_model_is_read_out_with_it_and_saved(tmp_path: Path) -> None:
    embedder = ct.load(tiny_vit(tmp_path / "model"), pooling="middle")
    vectors, states = embedder.embed(pictures()), embedder.states(pictures())
    content = embedder.layout.count(ct.Role.CONTENT) if hasattr(ct, "Role") else 16
    place = embedder.layout.length - content + (content + 1) // 2 - 1
    np.testing.assert_array_equal(vectors, states.last_BLD[:, place].numpy())
    saved = ct.load(embedder.save(tmp_path / "saved"))
    assert saved.contract.pooling == "middle"
    np.testing.assert_array_equal(saved.embed(pictures()), vectors)
