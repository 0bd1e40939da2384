"""Which side of a model is walked through."""

from pathlib import Path

import pytest
from tests import folders

from classtoken.embedder import Embedder, load
from classtoken.errors import OptionError
from classtoken.walk.card import card_of
from classtoken.walk.engine import KEPT, Engine
from classtoken.walk.items import Item, distinct, side_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return load(folders.tiny_clip(tmp_path_factory.mktemp("clip") / "clip"))


def test_a_model_of_two_towers_is_walked_through_on_the_side_of_its_items(clip: Embedder, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    folders.pictures(1)[0].save(picture)
    assert side_of(clip, [str(picture)], None).modalities == ("image",)
    assert side_of(clip, ["the cat sits"], None).modalities == ("text",)
    assert side_of(clip, [], "text").modalities == ("text",)
    with pytest.raises(OptionError, match="has a text and an image side; say which"):
        side_of(clip, [], None)
    with pytest.raises(OptionError, match=r"'the cat sits' is a text, '.*picture\.png' an image; give them apart"):
        side_of(clip, ["the cat sits", str(picture)], None)
    assert set(clip.modalities) == {"image", "text"}  # the model itself is as it was


def test_the_page_of_a_side_is_about_that_side(clip: Embedder) -> None:
    engine = Engine(clip.folder, ["the cat sits"])
    shown = engine.builder.build(engine.given[0], engine.given[0], full=False)
    assert card_of(engine.embedder, engine.subject, shown.shown).modality == engine.modality == "text"


def test_inputs_are_told_apart_by_ids_and_titles() -> None:
    """A page finds its inputs by the one and shows them by the other: two alike are two of which one is lost."""

    def apart(*items: Item) -> list[tuple[str, str]]:
        return [(each.id, each.title) for each in distinct(items)]

    def files(*names: str) -> list[Item]:
        return [Item(Path(name).stem, Path(name).name, Path(name)) for name in names]

    assert apart(*files("/data/a/cat.png", "/data/b/cat.png", "/data/cat-2.png")) == [
        ("cat", "a/cat.png"),
        ("cat-2", "b/cat.png"),
        ("cat-2-2", "cat-2.png"),
    ]
    assert [title for _, title in apart(*files("x/1/cat.png", "y/1/cat.png", "dog.png"))] == [
        "x/1/cat.png",
        "y/1/cat.png",
        "dog.png",
    ]
    assert [title for _, title in apart(*files("/data/cat.png", "/data/cat.png"))] == ["cat.png", "cat.png (2)"]
    assert apart(Item("t", "so it begins…", "so it begins well"), Item("t", "so it begins…", "so it begins ill")) == [
        ("t", "so it begins…"),
        ("t-2", "so it begins… (2)"),
    ]


def test_what_is_sent_to_a_server_never_takes_the_place_of_what_was_given(tmp_path: Path) -> None:
    picture = tmp_path / "yours-1.png"
    folders.pictures(1)[0].save(picture)
    engine = Engine("builtin:toy", [str(picture)])
    given = engine.document(full=False).examples[0]
    sent = [engine.add(picture.read_bytes()).id for _ in range(KEPT + 2)]
    assert len({given.id, *sent}) == len(sent) + 1
    assert engine.attention(given.id, 0, 0).shape[0] == len(given.tokens)
    assert len(engine.walked) == 1 + KEPT


def test_the_other_input_is_never_the_same_again(tmp_path: Path) -> None:
    """Beside itself nothing differs, and every sentence about two inputs would be untrue."""
    engine = Engine("builtin:sentiment", ["good", "good", "bad"])
    partners = [engine._partner[item.id].content for item in engine.given]
    assert partners == ["bad", "bad", "good"]
    alone = Engine("builtin:sentiment", ["good", "good"])
    assert all(alone._partner[item.id].content != "good" for item in alone.given)
