"""Records of a real text and image model through the one room: in a batch each, or rejected with a reason."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import classtoken as ct
from classtoken import drawn
from classtoken.errors import BadRecord, OptionError
from classtoken.inputs import Preprocessor, batches, item_batches, one_batch, prepare_one
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record, Rejected, Role


@pytest.fixture(scope="module")
def image() -> Preprocessor:
    return ct.load("builtin:toy").tower().prepare


@pytest.fixture(scope="module")
def text() -> Preprocessor:
    return ct.load("builtin:sentiment").tower().prepare


def records_of(count: int) -> list[Record]:
    return list(drawn.tiny_records(count))


def test_both_preprocessors_are_one_protocol(image: Preprocessor, text: Preprocessor) -> None:
    assert isinstance(image, Preprocessor)
    assert isinstance(text, Preprocessor)
    assert (image.modality, text.modality) == ("image", "text")


def test_bad_images_cost_nobody_else_anything(image: Preprocessor, tmp_path: Path) -> None:
    records = records_of(40)
    whole = BytesIO()
    Image.new("RGB", (8, 8)).save(whole, "PNG")
    records[5] = Record("broken", image=whole.getvalue()[:40])
    records[6] = Record("gone", image=tmp_path / "gone.png")
    records[39] = Record("text only", text="no picture")
    rejected: dict[int, Rejected] = {}
    found = list(batches(image, enumerate(records), rejected.__setitem__))
    assert [place for batch in found for place in batch.places] == [i for i in range(39) if i not in (5, 6)]
    assert sorted(rejected) == [5, 6, 39]
    assert rejected[6] == Rejected("gone", "there is no such file", passing=True)
    assert rejected[39] == Rejected("text only", "there is no image in this record")
    for batch in found:
        alone = one_batch(image, [records[batch.places[0]].image])
        np.testing.assert_array_equal(batch.tokens.pixels[:1], alone.pixels)


def test_texts_of_like_length_go_together_and_bad_ones_are_named(text: Preprocessor) -> None:
    words = ["good", "a film " * 30, "half \ud800 a character", "x " * 900, "fine"]
    records = [Record(f"r{i}", text=word) for i, word in enumerate(words)] + [Record("none")]
    rejected: dict[int, Rejected] = {}
    found = list(batches(text, enumerate(records), rejected.__setitem__, most_rows=2))
    assert sorted(place for batch in found for place in batch.places) == [0, 1, 3, 4]
    assert found[0].places[0] == 3  # the longest first
    assert sum(sum(batch.long) for batch in found) == 1
    assert rejected[2].id == "r2"
    assert rejected[2].reason.startswith("half a character (a lone surrogate")
    assert rejected[5] == Rejected("none", "there is no text in this record")


def test_a_tokenizer_that_breaks_on_one_text_rejects_that_text(
    text: Preprocessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TextPreprocessor.encode

    def brittle(self, texts, *, prompt=None):  # type: ignore[no-untyped-def]
        if any("boom" in text for text in texts):
            raise RuntimeError("the tokenizer fell over")
        return whole(self, texts, prompt=prompt)

    monkeypatch.setattr(TextPreprocessor, "encode", brittle)
    rejected: dict[int, Rejected] = {}
    records = [Record("a", text="fine"), Record("b", text="boom"), Record("c", text="good")]
    found = list(batches(text, enumerate(records), rejected.__setitem__))
    assert sorted(place for batch in found for place in batch.places) == [0, 2]
    assert rejected == {1: Rejected("b", "cannot be prepared (RuntimeError: the tokenizer fell over); leave it out")}


def test_records_are_read_only_a_little_ahead(image: Preprocessor) -> None:
    read = []

    def stream():  # type: ignore[no-untyped-def]
        for place, record in enumerate(records_of(200)):
            read.append(place)
            yield place, record

    for done, _ in enumerate(batches(image, stream(), lambda *_: None), 1):
        assert len(read) <= done * 16 + 16 + 8 * 4


def test_items_without_ids_raise_at_the_first_bad_one(image: Preprocessor, text: Preprocessor) -> None:
    with pytest.raises(BadRecord, match=r"^text 1: a value of type float is not a text"):
        list(item_batches(text, ["fine", 3.5]))
    with pytest.raises(BadRecord, match=r"^nowhere\.png: there is no such file"):
        one_batch(image, ["nowhere.png"])
    with pytest.raises(BadRecord, match="text 1: there is no text"):
        one_batch(text, ["fine", None])
    with pytest.raises(OptionError, match="is for texts"):
        one_batch(image, [np.zeros((8, 8, 3), np.uint8)], prompt="query: ")


def test_images_of_different_sizes_go_in_batches_of_one_size() -> None:
    from dataclasses import replace

    from classtoken.tokens.image import ImagePreprocessor

    toy = ct.load("builtin:toy").tower().prepare
    assert isinstance(toy, ImagePreprocessor)
    free = ImagePreprocessor(replace(toy.recipe, resize="none", crop=None), toy.native_layout, toy.patch)
    items = [np.zeros((side, side, 3), np.uint8) for side in (16, 32, 16)]
    assert [batch.places for batch in item_batches(free, items)] == [(0, 2), (1,)]


def test_a_text_as_a_person_sees_it(text: Preprocessor) -> None:
    sentence = "A wonderful film"
    ready = prepare_one(text, sentence)
    view = ready.view
    assert view.roles[0] == Role.CLASS
    assert view.roles[-1] == Role.END
    assert len(view.words) == len(view.roles) == len(view.spans) == ready.tokens.roles_BL.shape[1]
    assert "".join(sentence[a:b] for a, b in filter(None, view.spans)) == "Awonderfulfilm"
    assert view.picture is None
    assert view.text == sentence


def test_a_picture_as_the_model_saw_it(image: Preprocessor) -> None:
    scene = drawn.draw_tiny(0, 3).image
    view = prepare_one(image, scene).view
    np.testing.assert_array_equal(view.picture, scene)  # no resize for a picture of the model's own size
    cells = [cell for cell in view.cells if cell is not None]
    assert len(cells) == view.roles.count(Role.CONTENT) == len(set(cells))
    assert view.cells[0] is None
    assert view.roles[0] == Role.CLASS
