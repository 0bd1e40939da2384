"""One or many: what a caller gives as items."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from classtoken.errors import OptionError
from classtoken.inputs import listed

GREY, COLOUR = np.zeros((5, 6), np.uint8), np.zeros((5, 6, 3), np.uint8)


@pytest.mark.parametrize("item", ["text", b"bytes", Path("a.png"), Image.new("RGB", (2, 2)), GREY, COLOUR, 3.5, None])
def test_one_item_is_one(item: Any) -> None:
    found = listed(item)
    assert len(found) == 1
    assert found[0] is item


def test_the_struct_of_an_image_is_one() -> None:
    assert listed({"bytes": b"png", "path": None}) == [b"png"]
    assert listed({"bytes": None, "path": "a.png"}) == ["a.png"]


@pytest.mark.parametrize(
    "items",
    [
        ["a", "b"],
        ("a", "b"),
        iter(["a", "b"]),
        np.array(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        pa.array(["a", "b"]),
        pa.chunked_array([["a"], ["b"]]),
    ],
)
def test_many_are_many(items: Any) -> None:
    assert listed(items) == ["a", "b"]


def test_a_stack_of_pictures_is_many() -> None:
    assert [item.shape for item in listed(np.zeros((2, 5, 6, 3)))] == [(5, 6, 3)] * 2
    assert listed([]) == []


class Frame:
    """As a data frame goes: iterating gives the names of columns."""

    columns = ("title", "body")

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.columns)


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ({"a": "text"}, "dictionary"),
        ({"a", "b"}, "no order"),
        (Frame(), "'title', 'body'"),
        (pa.table({"body": ["a"]}), "'body'"),
        (np.zeros((2, 5, 6)), r"shape \(2, 5, 6\)"),
        (np.zeros(3), "neither one picture"),
    ],
)
def test_what_has_no_items_in_an_order_is_refused(items: Any, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        listed(items)
