"""Which side of a model is walked through."""

from pathlib import Path

import pytest
from tests import folders

from classtoken.embedder import Embedder, load
from classtoken.errors import OptionError
from classtoken.walk.card import card_of
from classtoken.walk.engine import Engine
from classtoken.walk.items import side_of


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
