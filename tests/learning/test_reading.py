"""Records for training that cannot be read cost nobody else anything."""

from pathlib import Path

import classtoken as ct
from classtoken import drawn
from classtoken.learning.data.images import load_images
from classtoken.learning.data.texts import tokenized, with_text
from classtoken.tokens.image import ImagePreprocessor
from classtoken.tokens.text import TextPreprocessor
from classtoken.values import Record, Rejected


def test_pictures_come_in_order_and_bad_ones_are_rejected(tmp_path: Path) -> None:
    prepare = ct.load("builtin:toy").tower().prepare
    assert isinstance(prepare, ImagePreprocessor)
    records = list(drawn.tiny_records(30))
    records[4] = Record("gone", image=tmp_path / "gone.png")
    records[9] = Record("text", text="no picture")
    pixels, kept, rejected = load_images(records, prepare.recipe)
    assert [record.id for record in kept] == [r.id for i, r in enumerate(records) if i not in (4, 9)]
    assert all(record.image is None for record in kept)
    assert (pixels[4].permute(1, 2, 0).numpy() == drawn.draw_tiny(0, 5).image).all()
    assert rejected == [
        Rejected("gone", "there is no such file", passing=True),
        Rejected("text", "there is no image in this record"),
    ]


def test_a_text_that_the_tokenizer_refuses_is_rejected() -> None:
    prepare = ct.load("builtin:sentiment").tower().prepare
    assert isinstance(prepare, TextPreprocessor)
    records = [Record("a", text="fine"), Record("b", text="\ud800"), Record("c"), Record("d", text="good")]
    rows, kept, rejected = tokenized(prepare, records)
    assert [record.id for record in kept] == ["a", "d"]
    assert [row.ids.tolist() for row in rows] == [row.ids.tolist() for row in prepare.encode(["fine", "good"])]
    assert [entry.id for entry in rejected] == ["b", "c"]
    before, bad = with_text(records)
    assert (before, [entry.id for entry in bad]) == (kept, ["b", "c"])
