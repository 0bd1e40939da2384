"""Real models behind the server, driven in a real browser: one's own inputs, whole matrices, free play."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.page.tiny import drawn, written
from tests.serve.fake import KEY, Running

from classtoken.serve.walkthrough import ServerLimits
from classtoken.walk.engine import Engine

pytestmark = pytest.mark.browser

SENTENCES = ["A wonderful film, warm from beginning to end.", "The plot is thin."]


@pytest.fixture(scope="module")
def text() -> Iterator[tuple[Engine, Running]]:
    engine = Engine("builtin:sentiment", SENTENCES)
    running = Running(engine, ServerLimits(), engine.document(full=False))
    yield engine, running
    running.stop()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Running]]:
    folder = tmp_path_factory.mktemp("registers")
    engine = Engine(written("registers", folder / "model"), [str(drawn("cat", folder / "cat.png"))])
    running = Running(engine, ServerLimits(), engine.document(full=False))
    yield engine, running
    running.stop()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a server's page; at the end: nothing went wrong inside, and nothing but that server was asked."""
    opened: list[tuple[Any, str, list[str], list[str]]] = []

    def one(running: Running, hash: str = "") -> Any:
        context = chromium.new_context(viewport={"width": 1366, "height": 768}, permissions=["camera"])
        page = context.new_page()
        problems: list[str] = []
        requests: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{running.url}/#key={KEY}{hash}")
        page.wait_for_selector("h2#step-title")
        opened.append((context, running.url, problems, requests))
        return page

    yield one
    for context, url, problems, requests in opened:
        context.close()
        assert problems == []
        assert [each for each in requests if not each.startswith((url + "/", "data:", "blob:"))] == []


def bars(page: Any) -> list[float]:
    page.locator(".lab [aria-busy=false]").wait_for()
    found = page.locator(".lab .bars span.num:not(.delta)").all_inner_texts()
    return [float(each.replace("\u2212", "-").replace("\u00a0%", "")) for each in found]


@pytest.mark.slow
def test_ones_own_sentence_and_free_play(text: tuple[Engine, Running], visit: Callable[..., Any]) -> None:
    engine, running = text
    page = visit(running, "&step=5&layer=1")
    page.get_by_role("button", name="+ Your own").click()
    page.locator("textarea").fill("A terrible, endless mess of a film.")
    page.get_by_role("button", name="Walk through it").click()
    page.get_by_role("button", name="A terrible, endless mess").wait_for()
    page.locator(".matter .verdict").wait_for()  # knock-outs come after the trace
    mine = page.evaluate("new URLSearchParams(location.hash.slice(1)).get('input')")
    e = engine.walked[mine].example
    assert e.origin == "yours"
    assert page.locator(".sentence [role=option]").count() == len(e.tokens)

    page.get_by_role("button", name="Load the whole matrix").click()
    page.locator(".matrix canvas").wait_for()
    assert page.evaluate("document.querySelector('.matrix canvas').width") == len(e.tokens)

    page.keyboard.press("End")
    words = page.locator(".sentence [role=option]")
    words.nth(2).click()
    words.nth(4).click()
    page.get_by_text("2 word pieces taken away").wait_for()
    truth = engine.what_if(mine, {"removed": [2, 4]})
    np.testing.assert_allclose(bars(page), truth * 100, atol=0.051)
    page.get_by_role("button", name="Swap", exact=True).click()
    page.locator(".lab select").select_option(label=e.contrast.title if e.contrast else "")
    page.locator(".lab select").select_option("text-2")
    page.locator(".lab input[type=range]").fill("2")
    truth = engine.what_if(mine, {"swap": {"donor": "text-2", "layer": 2}})
    page.wait_for_timeout(300)
    np.testing.assert_allclose(bars(page), truth * 100, atol=0.051)
    for name in ("Other pooling", "Causal mask", "Two class tokens"):  # computed with the trace
        page.get_by_role("button", name=name, exact=True).click()
        assert len(bars(page)) == 2
        assert page.get_by_text("was not computed").count() == 0


@pytest.mark.slow
def test_ones_own_pictures_by_file_drop_and_camera(
    image: tuple[Engine, Running], visit: Callable[..., Any], tmp_path: Path
) -> None:
    engine, running = image
    page = visit(running)
    inputs = page.locator(".inputs button")
    page.get_by_role("button", name="+ Your own").click()
    page.set_input_files("input[type=file]", str(drawn("dog", tmp_path / "dog.png")))
    inputs.nth(1).wait_for()
    page.evaluate(
        """async () => {
            const data = new DataTransfer();
            const canvas = new OffscreenCanvas(30, 20);
            canvas.getContext('2d').fillRect(0, 0, 15, 20);
            data.items.add(new File([await canvas.convertToBlob()], 'x.png', {type: 'image/png'}));
            window.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
        }"""
    )
    inputs.nth(2).wait_for()
    page.locator("dialog[open]").wait_for(state="detached")
    page.get_by_role("button", name="+ Your own").click()
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("video")
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Take the picture").click()
    inputs.nth(3).wait_for()
    titles = [each.strip() for each in inputs.all_inner_texts()]
    assert titles[1:] == ["dog.png", "x.png", "from the camera"]
    mine = [engine.walked[f"yours-{i}"].example for i in (1, 2, 3)]
    assert len({e.input.image for e in mine}) == 3
    assert page.locator(".left .picture img").get_attribute("src") == mine[2].input.image

    page.keyboard.press("End")
    for patch in (3, 4, 9):
        page.locator(".picture [role=option]").nth(patch).click()
    page.get_by_text("3 patches taken away").wait_for()
    truth = engine.what_if("yours-3", {"removed": [4 + 3, 4 + 4, 4 + 9]})[:5]
    np.testing.assert_allclose(bars(page), truth * 100, atol=0.051)
