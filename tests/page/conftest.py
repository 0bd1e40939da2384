"""A headless Chromium for the page's tests, and pages to open in it."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.page import tiny
from tests.page.fixture import PHOTO, TOY, as_text, itself, strange, walkthrough
from tests.page.tiny import drawn, written

from classtoken.page.document import Walkthrough
from classtoken.page.export import write_page
from classtoken.walk.engine import Engine

Open = Callable[..., Any]

PATIENCE = 180_000
"""ms that an action may take: only a page that hangs may fail, whatever else the machine does"""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="session")
def chromium(root: Path) -> Iterator[Any]:
    """A browser; the tests are skipped, saying so, where there is none (`make test` gets one first)."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = subprocess.run([root / "tools" / "browser.sh"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(found.stderr.strip() or "no Chromium here")
    with sync_api.sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        browser = playwright.chromium.launch(
            executable_path=found.stdout.split()[0], headless=True, args=list(FLAGS), env={"HOME": home, "PATH": ""}
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Walkthrough]:
    """Walkthroughs of real models: a class token a class, a post-norm text encoder, registers, DeiT's second token;
    without a class token: a learned query, the last token, the mean."""
    folder = tmp_path_factory.mktemp("models")
    cat = str(drawn("cat", folder / "cat.png"))
    sentences = ["A wonderful film, funny and warm from beginning to end.", "The plot is thin and the jokes fall flat."]
    return {
        "multi": Engine("builtin:scenes-multi", [cat]).document(full=False),
        "sentiment": Engine("builtin:sentiment", sentences).document(),
        "registers": Engine(written("registers", folder / "registers"), [cat]).document(),
        "distilled": Engine(written("distilled", folder / "distilled"), [cat]).document(full=False),
        "query": Engine(written("query", folder / "query"), [cat]).document(full=False),
        "last": Engine(written("last", folder / "last"), tiny.SENTENCES).document(full=False),
        "mean": Engine(written("mean", folder / "mean"), tiny.SENTENCES).document(full=False),
    }


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, documents: dict[str, Walkthrough]) -> dict[str, Path]:
    """Pages on disk: a toy with all of its weights, a sentence, one of 14x14 patches and 12 layers; real models'."""
    folder = tmp_path_factory.mktemp("pages")
    toy = walkthrough(TOY)
    made = {
        "toy": toy,
        "text": as_text(toy),
        "itself": itself(as_text(toy)),
        "strange": strange(toy, 0.01),
        "usual": strange(toy, 0.4),
        "photo": walkthrough(PHOTO, toy=False, light=True),
    }
    written_pages = {**made, **documents}
    for name, page in written_pages.items():
        write_page(page, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in written_pages}


@pytest.fixture
def open_page(chromium: Any, pages: dict[str, Path]) -> Iterator[Open]:
    """Open a page by name; at the end: not one request may have left it, and nothing may have gone wrong inside."""
    contexts, requests, problems = [], [], []

    def open_one(name: str = "toy", hash: str = "", *, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(f"{pages[name].as_uri()}{hash}")
        page.wait_for_selector("h2#step-title")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not problems
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
