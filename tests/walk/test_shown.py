"""An input as the page shows it: every token as what it is, spans in the sentence, only a truth that a model knows."""

import base64
import io
from collections import Counter
from collections.abc import Callable

import pytest
from PIL import Image
from tests.walk.conftest import Made

from classtoken.errors import OptionError
from classtoken.walk.items import Item, example_pictures
from classtoken.walk.shown import walk_input


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("distilled", {"class": 1, "distillation": 1, "content": 16}),
        ("registers", {"class": 1, "register": 3, "content": 16}),
    ],
)
def test_registers_and_distillation_tokens(made: Callable[[str], Made], name: str, roles: dict[str, int]) -> None:
    (e,) = made(name)[1].examples
    assert dict(Counter(token.role for token in e.tokens)) == roles
    registers = [f"register {i}" for i in range(roles.get("register", 0))]
    assert [t.name for t in e.tokens if t.role == "register"] == registers
    assert [t.text for t in e.tokens if t.role == "content"] == [str(i) for i in range(16)]


def test_spans_are_counted_as_the_page_counts(made: Callable[[str], Made]) -> None:
    """In UTF-16 units: an umbrella sign takes one, what lies beyond the first plane two."""
    e = made("minilm")[1].examples[0]
    assert e.tokens[0].role == "class"
    assert e.tokens[-1].role == "end"
    units = (e.input.text or "").encode("utf-16-le")
    spelt = [units[2 * t.span[0] : 2 * t.span[1]].decode("utf-16-le") for t in e.tokens if t.span]
    assert spelt[:4] == ["The", "cat", "sat", "on"]


def test_of_a_text_that_is_too_long_it_is_said_that_a_part_was_not_read(made: Callable[[str], Made]) -> None:
    engine = made("sentiment")[0]
    long, short = (
        walk_input(engine.embedder, engine.subject, Item("a", "a text", text)) for text in ("good film " * 60, "good")
    )
    assert len(long.shown) == 64
    assert long.input.unread is not None
    assert long.input.unread.startswith("the text is longer than the 64 tokens that the model takes; at least ")
    assert short.input.unread is None


def test_a_text_of_which_nothing_is_left_is_refused(made: Callable[[str], Made]) -> None:
    """Two spaces of no width: there is no word piece to begin with."""
    engine = made("sentiment")[0]
    with pytest.raises(OptionError, match=r"of '\\u200b\\u200b' no word piece is left"):
        engine.add("\u200b\u200b")


def test_a_label_that_the_model_does_not_know_is_no_truth(made: Callable[[str], Made]) -> None:
    """The drawn cat's label is no class of this model, so the page must not call the answer wrong."""
    embedder = made("registers")[0].embedder
    items = example_pictures(embedder)
    assert {item.label for item in items} == {"cat", "dog", "bird"}
    assert all(walk_input(embedder, made("registers")[0].subject, item).truth.label is None for item in items)


def test_the_object_covers_the_patches_that_its_mask_covers(made: Callable[[str], Made]) -> None:
    embedder = made("toy")[0].embedder
    (cat, *_) = example_pictures(embedder)
    share = walk_input(embedder, made("toy")[0].subject, cat).truth.object
    assert cat.mask is not None
    assert share is not None
    assert share.mean() == pytest.approx(cat.mask.mean(), abs=0.03)


def test_ones_own_picture_stands_beside_what_the_model_gets(made: Callable[[str], Made]) -> None:
    """The package's own are drawn in the size in which they are shown."""
    engine, page = made("registers")
    (mine,) = page.examples
    assert mine.origin == "yours"
    assert mine.input.original is not None
    picture = Image.open(io.BytesIO(base64.b64decode(mine.input.original.partition(",")[2])))
    assert max(picture.size) <= 160
    assert walk_input(engine.embedder, engine.subject, example_pictures(engine.embedder)[0]).input.original is None
