"""Which side of a model a source is for."""

import pytest

from classtoken.errors import OptionError, SourceError
from classtoken.inputs import choose_modality
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
            "'m' reads text, but the first record of s has only image; name the column with",
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
