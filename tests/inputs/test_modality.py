"""Which side of a model a source is for."""

import contextlib
import re
from pathlib import Path

import pytest

from classtoken.errors import OptionError, SourceError
from classtoken.inputs import check_item, choose_modality
from classtoken.values import Record

TEXT, IMAGE, BOTH = Record("1", text="a"), Record("1", image=b"a"), Record("1", text="a", image=b"a")
TWO = ("text", "image")


@pytest.mark.parametrize(
    ("sides", "first", "asked", "chosen"),
    [
        (TWO, TEXT, None, "text"),
        (TWO, IMAGE, None, "image"),
        (("image",), BOTH, None, "image"),
        (TWO, BOTH, "image", "image"),
        (("text",), TEXT, "text", "text"),
    ],
)
def test_what_model_and_record_share(sides: tuple[str, ...], first: Record, asked: str | None, chosen: str) -> None:
    assert choose_modality(sides, first, asked, model="m") == chosen


@pytest.mark.parametrize(
    ("sides", "first", "asked", "error", "message"),
    [
        (TWO, BOTH, None, OptionError, "'m' and s both have text and image; say which"),
        (
            ("text",),
            IMAGE,
            None,
            SourceError,
            "'m' reads text, but the first record of s has only image; give a source of texts, or a model of images.",
        ),
        (TWO, TEXT, "image", SourceError, "the first record of s has only text"),
        (("text",), TEXT, "image", OptionError, "modality is 'image', and 'm' reads text"),
        (TWO, Record("1"), None, SourceError, "has neither text nor image"),
    ],
)
def test_what_cannot_be_chosen(
    sides: tuple[str, ...], first: Record, asked: str | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        choose_modality(sides, first, asked, model="m", source="s")


@pytest.mark.parametrize(
    ("item", "side", "said"),
    [
        ("a red dress", "image", "'a red dress' is no file here, and 'm' reads images"),
        ("dress", "image", "give a picture's path, or a model of texts"),
        ("missing.JPG", "text", "'missing.JPG' is the name of a file or folder, and 'm' reads texts"),
        (Path("x"), "text", "give a text, or a model of images"),
        ("missing.jpg", "image", ""),
        ("s3://photos/a", "image", ""),
        ("a red dress", "text", ""),
        (b"bytes", "image", ""),
    ],
)
def test_an_item_is_held_against_what_the_model_reads(item: object, side: str, said: str) -> None:
    """A path is never taken for a text, and words for no path."""
    with pytest.raises(OptionError, match=re.escape(said)) if said else contextlib.nullcontext():
        check_item(item, side, "m")


def test_what_is_said_to_be_a_text_is_one_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    name = str(tmp_path / "models")
    with pytest.raises(OptionError, match="If this is a text, say so: `modality` text"):
        check_item(name, "text", "m")
    check_item(name, "text", "m", "text")
    with pytest.raises(OptionError, match="is the name of a file"):
        check_item(Path(name), "text", "m", "text")
    with pytest.raises(OptionError, match="the text is empty"):
        check_item(" ", "text", "m", "text")


def test_a_column_is_asked_for_where_there_are_some() -> None:
    """A file of lines has none."""
    with pytest.raises(SourceError) as said:
        choose_modality(("image",), TEXT, model="m", source="s")
    assert "column" not in str(said.value)
    with pytest.raises(
        SourceError, match=r"or name the column with `image_column` \(there are besides 'photo', 'size'\)"
    ):
        choose_modality(("image",), Record("1", text="a", meta={"photo": "b.jpg", "size": 3}), model="m", source="s")
