"""A headless Chromium for the page's tests, and pages to open in it."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.page.fixture import PHOTO, TOY, as_text, walkthrough

from classtoken.page.export import write_page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
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
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages on disk: a toy with all of its weights, a sentence, and one of 14x14 patches, 12 layers, 3 heads."""
    folder = tmp_path_factory.mktemp("pages")
    toy = walkthrough(TOY)
    written = {"toy": toy, "text": as_text(toy), "photo": walkthrough(PHOTO, toy=False, light=True)}
    for name, page in written.items():
        write_page(page, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in written}
