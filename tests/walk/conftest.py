"""Walkthroughs of models of every kind, each made once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.page import tiny
from tests.page.tiny import PICTURES, TEXTS, drawn, written

from classtoken.page.document import Walkthrough
from classtoken.walk.engine import Engine

SENTENCES = ["The cat sat on the ☂ window sill.", "A dog."]
Made = tuple[Engine, Walkthrough]


@pytest.fixture(scope="session")
def picture_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn dog in a file; the package puts its own drawn cat beside it."""
    return drawn("dog", tmp_path_factory.mktemp("pictures") / "a.png")


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory, picture_file: Path, request: pytest.FixtureRequest
) -> Callable[[str], Made]:
    """An engine and its page, by the name of a model; `full` pages only of the toy."""
    folder, known = tmp_path_factory.mktemp("models"), dict[str, Made]()

    def make(name: str) -> Made:
        if name not in known:
            model: str | Path = f"builtin:{name}"
            items = [str(picture_file)]
            if name in (*PICTURES, *TEXTS):
                model = written(name, folder / name)
            if name.startswith("deit"):
                shared: Path = request.getfixturevalue("shared")
                model = shared / "models" / "deit-tiny-patch16-224"
                photos = sorted((shared / "data" / "imagenet-samples").iterdir())
                wanted = ["retriever", "tabby"] if name == "deit_two" else ["retriever"]
                items = [str(next(path for path in photos if word in path.name)) for word in wanted]
            if name in ("sentiment", "minilm"):
                items = SENTENCES
            if name in TEXTS:
                items = tiny.SENTENCES
            if name == "minilm":
                model = request.getfixturevalue("minilm")
            engine = Engine(model, [] if name == "toy" else items)
            known[name] = engine, engine.document(full=name == "toy")
        return known[name]

    return make


@pytest.fixture
def toy(made: Callable[[str], Made]) -> Engine:
    return made("toy")[0]


@pytest.fixture
def document(made: Callable[[str], Made]) -> Walkthrough:
    """The toy's page, with all that takes many forwards."""
    return made("toy")[1]
